"""Pieces and pages: what is too long for one statement, one batch or one answer."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from tsir.errors import NotFound

T = TypeVar("T")


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items; the last may be shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def encode_cursor(text: str) -> str:
    """An opaque cursor that stands for a short ASCII text."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, pattern: str) -> re.Match[str]:
    """The text of a cursor, matched with what such a text looks like. Raises NotFound for what `encode_cursor` never gave."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except (ValueError, binascii.Error):
        text = ""
    found = re.fullmatch(pattern, text)
    if found is None:
        raise NotFound("cursor is not one of ours; use `next` of the page before, or none for the first page.")
    return found
