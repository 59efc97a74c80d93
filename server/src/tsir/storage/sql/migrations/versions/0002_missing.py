"""Places whose files are gone are marked instead of deleted; uploads are stored relative to their folder.

What is there already is left as it is: MySQL commits each statement by itself, so a crash half-way is mended by running it again.
"""

import hashlib
import re
from pathlib import Path

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"

TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
UPLOAD = re.compile(r"/([0-9a-f]{2}/[0-9a-f]{32}(\.[a-z0-9]{1,8})?)$")
PAGE = 500

locations = sa.table("locations", sa.column("id"), sa.column("collection_id"), sa.column("path"), sa.column("path_hash"))


def upgrade() -> None:
    connection = op.get_bind()
    tables = sa.inspect(connection)
    if "missing" not in {column["name"] for column in tables.get_columns("images")}:
        op.add_column("images", sa.Column("missing", sa.Boolean, nullable=False, server_default=sa.text("0")))
    if "ix_images_missing" not in {index["name"] for index in tables.get_indexes("images")}:
        op.create_index("ix_images_missing", "images", ["collection_id", "missing", "state"])
    if "missing_since" not in {column["name"] for column in tables.get_columns("locations")}:
        op.add_column("locations", sa.Column("missing_since", TIME))
    _convert(connection, Path(context.config.attributes["uploads"]))


def _convert(connection: sa.Connection, uploads: Path) -> None:
    """Uploads get their short paths, also those of a data folder that was moved before."""
    after = 0
    while rows := connection.execute(
        sa.select(locations)
        .where(locations.c.id > after, locations.c.path.like("/%/__/________________________________%"))
        .order_by(locations.c.id)
        .limit(PAGE)
    ).all():
        after = rows[-1].id
        for row in rows:
            found = UPLOAD.search(row.path)
            if not found:
                continue
            here = row.path == f"{uploads}/{found[1]}"
            if not here and (Path(row.path).exists() or not (uploads / found[1]).is_file()):
                continue  # somebody's own file of such a name
            path = f"uploads:{found[1]}"
            hashed = hashlib.sha256(path.encode()).hexdigest()
            taken = sa.select(locations.c.id).where(locations.c.collection_id == row.collection_id, locations.c.path_hash == hashed)
            if connection.execute(taken).first() is None:
                connection.execute(locations.update().where(locations.c.id == row.id).values(path=path, path_hash=hashed))
