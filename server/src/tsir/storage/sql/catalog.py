"""The whole catalog: its database and the rows of each aggregate."""

from __future__ import annotations

from tsir.settings import Settings
from tsir.storage.sql.browsing import Browsing
from tsir.storage.sql.collections import Collections
from tsir.storage.sql.engine import Database
from tsir.storage.sql.generations import Generations
from tsir.storage.sql.images import Images
from tsir.storage.sql.locations import Locations
from tsir.storage.sql.migrate import migrate


class Catalog:
    """Everything in SQL. Knows no vectors: the library keeps the two in step."""

    def __init__(self, settings: Settings) -> None:
        self.database = Database(settings)
        self.collections = Collections(self.database)
        self.generations = Generations(self.database)
        self.images = Images(self.database)
        self.browsing = Browsing(self.database)
        self.locations = Locations(self.database)
        self.tag = ""
        """A few random letters that keep the vectors of several catalogs on one Milvus apart; known after `migrate`."""

    def migrate(self) -> None:
        """Create the tables, or bring them up to date. Raises Conflict for a catalog of a newer version."""
        self.tag = migrate(self.database)

    def close(self) -> None:
        """Finish what is being written, and disconnect. Idempotent."""
        self.database.close()
