"""Pictures are sorted and found by their names and times.

What is there already is left as it is: MySQL commits each statement by itself, so a crash half-way is mended by running it again.
"""

import posixpath
import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

PAGE = 1_000

images = sa.table("images", sa.column("id"), sa.column("name"), sa.column("missing"))
locations = sa.table("locations", sa.column("id"), sa.column("image_id"), sa.column("path"), sa.column("name"), sa.column("missing_since"))


def upgrade() -> None:
    connection = op.get_bind()
    tables = sa.inspect(connection)
    for table in ("images", "locations"):
        if "name" not in {column["name"] for column in tables.get_columns(table)}:
            op.add_column(table, sa.Column("name", sa.String(255), nullable=False, server_default=""))
    _name(connection)
    present = {index["name"] for index in tables.get_indexes("images")}
    for column in ("taken_at", "name"):
        called = f"ix_images_{column.removesuffix('_at')}"
        if called not in present:
            op.create_index(called, "images", ["collection_id", "state", column, "id"])


def _name(connection: sa.Connection) -> None:
    after = 0
    found = sa.select(locations.c.id, locations.c.path).order_by(locations.c.id).limit(PAGE)
    while rows := connection.execute(found.where(locations.c.id > after)).all():
        after = rows[-1].id
        connection.execute(
            locations.update().where(locations.c.id == sa.bindparam("row")).values(name=sa.bindparam("called")),
            [{"row": row.id, "called": sortable(posixpath.basename(row.path))} for row in rows],
        )
    first = (
        sa.select(locations.c.name)
        .where(locations.c.image_id == images.c.id, sa.or_(locations.c.missing_since.is_(None), images.c.missing == 1))
        .order_by(locations.c.id)
        .limit(1)
        .correlate(images)
        .scalar_subquery()
    )
    connection.execute(images.update().values(name=sa.func.coalesce(first, "")))


def sortable(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())[:255]
