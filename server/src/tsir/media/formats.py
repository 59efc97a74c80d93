"""The picture formats: ONE table. What is sniffed, scanned, decoded, named, served and filtered derives from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from os.path import splitext


@dataclass(frozen=True)
class Format:
    """One format of pictures."""

    name: str
    """As the catalog has it: upper case, letters and digits."""
    label: str
    """As people write it."""
    suffixes: tuple[str, ...]
    """Lower-case file name endings that promise it; uploads get the first. A filter takes them as names, too: "JPG", "HEIF"."""
    media_type: str
    """Must be of a kind that a browser never runs scripts from: originals are served as this."""
    magic: bytes
    """Regular expression that the first bytes match: `head` says how many."""
    opener: str
    """What Pillow calls it."""
    register: Callable[[], object]
    """Makes `PIL.Image.open(formats=[opener])` know it. Called before the first use: nobody waits for the formats of others."""


def _pillow(plugin: str) -> Callable[[], object]:
    return partial(import_module, f"PIL.{plugin}ImagePlugin")


def _heif() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False)


FORMATS = (
    Format("JPEG", "JPEG", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), "image/jpeg", rb"\xff\xd8\xff", "JPEG", _pillow("Jpeg")),
    Format("PNG", "PNG", (".png", ".apng"), "image/png", rb"\x89PNG\r\n\x1a\n", "PNG", _pillow("Png")),
    Format("WEBP", "WebP", (".webp",), "image/webp", rb"RIFF.{4}WEBP", "WEBP", _pillow("WebP")),
    Format("GIF", "GIF", (".gif",), "image/gif", rb"GIF8", "GIF", _pillow("Gif")),
    Format("BMP", "BMP", (".bmp", ".dib"), "image/bmp", rb"BM", "BMP", _pillow("Bmp")),
    Format("TIFF", "TIFF", (".tif", ".tiff"), "image/tiff", rb"II[*+]\0|MM\0[*+]", "TIFF", _pillow("Tiff")),
    # An AVIF may name the general brands of HEIF, too.
    Format(
        "HEIC",
        "HEIC",
        (".heic", ".heif", ".hif"),
        "image/heic",
        rb".{4}ftyp(?!.*avi[fs]).*(hei[cxms]|hev[cx]|mif1|msf1)",
        "HEIF",
        _heif,
    ),
    Format("AVIF", "AVIF", (".avif", ".avifs"), "image/avif", rb".{4}ftyp.*avi[fs]", "AVIF", _pillow("Avif")),
)

SUFFIXES = frozenset(suffix for format in FORMATS for suffix in format.suffixes)
"""Lower-case file name endings that promise a picture of a known format."""

READABLE = f"{', '.join(format.label for format in FORMATS[:-1])} or {FORMATS[-1].label}"
"""The formats, for a sentence."""

HEAD = 256
"""First bytes that tell a picture's format."""

UNKNOWN = "application/octet-stream"

_NAMES = {name: format for format in FORMATS for name in (format.name, *(suffix[1:].upper() for suffix in format.suffixes))}


def named(name: str) -> Format | None:
    """The format of a name or an ending without its dot, in upper or lower case: "JPEG", "jpg"."""
    return _NAMES.get(name.upper())


def held_as(name: str) -> tuple[str, ...]:
    """Under which names catalogs hold the pictures of a format: the table's, and Pillow's."""
    format = named(name)
    return tuple(dict.fromkeys((format.name, format.opener))) if format else (name.upper(),)


def catalogued(name: str) -> str:
    """The name under which the catalog has the pictures of a format, by any of its names; one that is not known, in upper case."""
    format = named(name)
    return format.name if format else name.upper()


def sniff(data: bytes) -> Format | None:
    """The format of a picture by its first bytes (names lie), or None."""
    head = data[:16]
    if head[4:8] == b"ftyp":  # box size, "ftyp", major brand, version, compatible brands
        head = data[: min(max(int.from_bytes(head[:4], "big"), 16), HEAD)]
    return next((format for format in FORMATS if re.match(format.magic, head, re.DOTALL)), None)


def is_picture_name(name: str) -> bool:
    """Whether a file's name promises a picture."""
    return splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - strings throughout: a scan asks for every file


def media_type(name: str) -> str:
    """What an original of that format is served as; UNKNOWN, which no browser shows, for one that is not in the table."""
    format = named(name)
    return format.media_type if format else UNKNOWN


def suffix(name: str) -> str:
    """File name ending of a format; of one that is not known, its name without what a file name should not have."""
    format = named(name)
    return format.suffixes[0] if format else "." + re.sub("[^a-z0-9]", "", name.lower())[:8]


@cache
def register(format: Format) -> str:
    """What Pillow calls the format, now that it knows it."""
    format.register()
    return format.opener
