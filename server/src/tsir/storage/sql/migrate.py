"""Brings the tables of a catalog to the newest schema, one step after the other."""

from __future__ import annotations

import logging
import secrets
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tsir.errors import Conflict
from tsir.storage.sql.engine import Database
from tsir.storage.sql.schema import HEAD, library

log = logging.getLogger(__name__)


def migrate(database: Database) -> str:
    """Bring the schema to HEAD and return the library's tag. Raises Conflict for a schema of a newer version."""
    with database.errors():
        database.dialect.create_database(database.engine)
    if database.read(_version) != HEAD:
        with database.errors(), database.dialect.writer, database.dialect.alone(database.engine) as connection:
            _upgrade(database, connection, _version(connection))
    return database.write(lambda connection: _tag(database, connection))


def _version(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return found


def _upgrade(database: Database, connection: Connection, found: str | None) -> None:
    if found == HEAD:
        return
    from alembic import command  # a quarter of a second that most starts do not need
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise Conflict(
            f"The catalog ({database.where}) was written by a newer version of tsir (schema {found}, this one knows up to {HEAD}). "
            "Update tsir, or open another DATA_DIR or DATABASE_URL."
        )
    config.attributes["connection"] = connection
    config.attributes["uploads"] = str(database.paths.folder)
    command.upgrade(config, "head")
    log.info("Catalog schema brought from %s to %s.", found or "nothing", HEAD)


def _tag(database: Database, connection: Connection) -> str:
    """A few random letters that keep the vectors of several catalogs on one Milvus apart."""
    found: str | None = connection.execute(sa.select(library.c.tag)).scalar()
    if found is None:
        found = secrets.token_hex(4)
        connection.execute(library.insert().values(id=1, tag=found, created_at=database.now(connection)))
    return found
