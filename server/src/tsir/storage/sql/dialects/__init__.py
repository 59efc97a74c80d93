"""The databases that can hold the catalog: a module each, found by its presence here. What differs between them stands there alone.

A module defines one subclass of `Dialect`; nothing else needs to know of it.
"""

from __future__ import annotations

import importlib
import pkgutil

from sqlalchemy.engine import URL

from tsir.errors import InvalidInput
from tsir.storage.sql.dialects.base import Dialect


def dialects() -> list[type[Dialect]]:
    """All databases there are."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return Dialect.__subclasses__()


def dialect_of(url: URL) -> Dialect:
    """What speaks to the database of an address. Raises InvalidInput for one that cannot hold the catalog."""
    known = dialects()
    for kind in known:
        if url.drivername in kind.drivers:
            return kind(url)
    raise InvalidInput(f"DATABASE_URL begins with {url.drivername}://; it can be {' or '.join(sorted(kind.example for kind in known))}.")


def examples() -> str:
    """What DATABASE_URL can look like, for a sentence."""
    return " or ".join(sorted(kind.example for kind in dialects()))
