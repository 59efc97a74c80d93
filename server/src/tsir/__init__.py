"""Image retrieval with text and sketch: find your own photos by drawing and typing.

For programs and notebooks:

    with tsir.open("photos-library") as library:      # a library on this computer; no server is needed
        library.add("~/Pictures")
        hits = library.search("a dog in the snow", sketch="drawing.png")

`tsir.Client(url, key)` has the same methods on a server's library, and so has `tsir.AsyncClient`, to be awaited. What goes wrong is a
`tsir.errors.TsirError` whose text says what to do. Importing this module imports nothing else: the rest comes when it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tsir import errors
    from tsir.programs.asked import Like, Picture, Source
    from tsir.programs.calls import Added
    from tsir.programs.client import AsyncClient, Client
    from tsir.programs.hits import Hits
    from tsir.programs.local import Library, open

__version__ = "0.1.0"

__all__ = ["Added", "AsyncClient", "Client", "Hits", "Library", "Like", "Picture", "Source", "__version__", "errors", "open"]

_ROOMS = {
    "Added": "programs.calls",
    "AsyncClient": "programs.client",
    "Client": "programs.client",
    "Hits": "programs.hits",
    "Library": "programs.local",
    "Like": "programs.asked",
    "Picture": "programs.asked",
    "Source": "programs.asked",
    "open": "programs.local",
}
"""Where the names are, below this package."""


def __getattr__(name: str) -> object:
    if name == "errors":
        return importlib.import_module("tsir.errors")
    if name not in _ROOMS:
        raise AttributeError(f"module 'tsir' has no attribute {name!r}; it has {', '.join(__all__)}.")
    value: object = getattr(importlib.import_module(f"tsir.{_ROOMS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
