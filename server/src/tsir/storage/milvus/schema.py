"""The schema of the vectors' collections: columns by version, all from the table of filters.

A collection carries the version that it was made with as a property of its own in Milvus; those of the first version have no mark. A
version only adds columns: rows of an older collection are the same without these, so that it is searched and written as before until it
was copied into a new one (`copy`). Neither Milvus Lite 3.2 nor Milvus 2.3 can add a field to a collection; later ones can, but leave it
empty in every row there is, so that writing all rows anew, which is what the copy does, would be due there, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tsir.storage import filters
from tsir.storage.filters import Column, Facts, Filter

PROPERTY = "tsir.schema"
"""Names the version among a collection's properties in Milvus."""


@dataclass(frozen=True, slots=True)
class Schema:
    """What a table of filters asks of Milvus."""

    table: type[Filter] = Filter

    @property
    def version(self) -> int:
        """The newest: that of collections made now."""
        return max(column.since for column in filters.columns(self.table))

    def columns(self, version: int) -> tuple[Column, ...]:
        """Columns of a collection of that version, beside id and vector."""
        return tuple(column for column in filters.columns(self.table) if column.since <= version)

    def properties(self) -> dict[str, str]:
        """The mark of a collection that is made now."""
        return {PROPERTY: str(self.version)}

    def build(self, dim: int, embedded: bool) -> Any:
        """pymilvus' schema of a collection of the newest version."""
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dim)
        for column in self.columns(self.version):
            form = column.of(embedded)
            params = {name: DataType[value] if isinstance(value, str) else value for name, value in form.params.items()}
            schema.add_field(column.name, DataType[form.type], **params)
        return schema

    def row(self, version: int, embedded: bool) -> Callable[[Facts], dict[str, object]]:
        """A function that gives the columns' values of a picture, for a collection of that version."""
        values = {column.name: column.of(embedded).value for column in self.columns(version)}
        return lambda facts: {name: value(facts) for name, value in values.items()}


SCHEMA = Schema()


def state_of(client: Any, name: str, timeout: float) -> int:
    """The version of a collection in Milvus. Raises what pymilvus raises, also when there is none of that name."""
    found = client.describe_collection(name, timeout=timeout).get("properties") or {}
    return int(found.get(PROPERTY, 1))
