"""MySQL 8 and MariaDB, through pymysql: a server that several processes share."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine

from tsir.errors import StoreUnavailable
from tsir.storage.sql.dialects.base import EARTH_KM, POOL, Dialect

SESSION = "SET SESSION sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone='+00:00', innodb_lock_wait_timeout=20"
"""Whatever the server's defaults: nothing is cut off silently, times are UTC, a lock is waited for 20 s."""

UNKNOWN_DATABASE = 1049
LOST = (1205, 1213)
"""A lock was waited for too long; a deadlock."""
AWAY = (
    *LOST,
    0,  # pymysql: the connection is closed
    1021, 1030, 1041, 1114,  # disk full, an error of the storage engine, out of memory, table full
    1040, 1203, 1226,  # too many connections
    1044, 1045, UNKNOWN_DATABASE,  # no access, no such database: a server that is set up creates users and databases last
    1053, 1077, 1080, 1290, 1317, 1836, 1927,  # shutting down or read-only, statement or connection killed
    1129, 1158, 1159, 1160, 1161,  # host blocked, trouble of the network
    2002, 2003, 2006, 2013, 2014, 2055,  # no connection, or it was lost
)  # fmt: skip
"""Error numbers of a trouble that passes."""


class MySQL(Dialect):
    """See the module."""

    drivers = ("mysql+pymysql", "mysql", "mariadb", "mariadb+pymysql")
    example = "mysql+pymysql://USER:PASSWORD@HOST/DB"

    def __init__(self, url: URL) -> None:
        url = url.set(drivername="mysql+pymysql")
        super().__init__(url if "charset" in url.query else url.update_query_dict({"charset": "utf8mb4"}))

    @property
    def where(self) -> str:
        return f"MySQL at {self.url.host}:{self.url.port or 3306}"

    def connect(self) -> Engine:
        return sa.create_engine(
            self.url,
            isolation_level="READ COMMITTED",  # a search sees what another process has finished
            pool_pre_ping=True,
            pool_recycle=1800,
            connect_args={"connect_timeout": 5, "read_timeout": 60, "write_timeout": 60, "init_command": SESSION},
            **POOL,
        )

    def create_database(self, engine: Engine) -> None:
        try:
            engine.connect().close()
        except sa.exc.OperationalError as error:
            if _number(error) != UNKNOWN_DATABASE:
                raise
            server = sa.create_engine(self.url._replace(database=None), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
            name = server.dialect.identifier_preparer.quote_identifier(self.url.database or "")
            with server.connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4".replace("%", "%%"))

    @contextmanager
    def alone(self, engine: Engine) -> Iterator[Connection]:
        # By a named lock, as each change of the schema commits.
        with engine.connect() as connection:
            name = "tsir:" + hashlib.sha256(str(self.url.database).encode()).hexdigest()[:32]
            if connection.execute(sa.text("SELECT GET_LOCK(:name, 120)"), {"name": name}).scalar() != 1:
                raise StoreUnavailable(f"{self.where}: another process has been changing the schema for two minutes.")
            try:
                yield connection
                connection.commit()
            finally:
                connection.execute(sa.text("SELECT RELEASE_LOCK(:name)"), {"name": name})

    def now(self, connection: Connection) -> datetime:
        now: datetime = connection.execute(sa.select(sa.func.utc_timestamp(sa.literal_column("6")))).scalar_one()
        return now

    def folder(self, path: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
        return sa.func.left(path, sa.func.char_length(path) - sa.func.char_length(sa.func.substring_index(path, "/", -1)) - 1)

    def kilometres(
        self, latitude: sa.ColumnElement[float], longitude: sa.ColumnElement[float], to_latitude: float, to_longitude: float
    ) -> sa.ColumnElement[float]:
        north, east = sa.func.radians(latitude - to_latitude) / 2, sa.func.radians(longitude - to_longitude) / 2
        across = sa.func.cos(sa.func.radians(latitude)) * math.cos(math.radians(to_latitude))
        half = sa.func.pow(sa.func.sin(north), 2) + across * sa.func.pow(sa.func.sin(east), 2)
        return 2 * EARTH_KM * sa.func.asin(sa.func.sqrt(sa.func.least(half, 1.0)))

    def lost(self, error: sa.exc.OperationalError) -> bool:
        return _number(error) in LOST

    def away(self, error: sa.exc.SQLAlchemyError) -> bool:
        return super().away(error) or (isinstance(error, sa.exc.DBAPIError) and _number(error) in AWAY)


def _number(error: sa.exc.DBAPIError) -> object:
    return error.orig.args[0] if error.orig and error.orig.args else None
