"""The picture formats: ONE table. What is sniffed, scanned, decoded, named, served and filtered derives from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
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
    extra: str | None = None
    """The extra of this package that reads it; None: what is always installed does."""
    module: str = "PIL"
    """What must be importable to read it."""

    @property
    def readable(self) -> bool:
        """Whether what reads it is installed."""
        return find_spec(self.module) is not None

    @property
    def missing(self) -> str:
        """How to get what reads it, in a sentence."""
        return f"{self.label[:1].upper()}{self.label[1:]} is read after `make setup EXTRAS={self.extra}`."


def _pillow(plugin: str) -> Callable[[], object]:
    return partial(import_module, f"PIL.{plugin}ImagePlugin")


def _heif() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener(thumbnails=False)


def _own(module: str) -> Callable[[], object]:
    return lambda: import_module(f"tsir.media.{module}").register()


# The last one's wheel is under the GPL, this project is not; the one before has none for Intel Macs. So neither is installed unasked.
KNOWN = (
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
    # Most are TIFF by their first bytes: `tsir.media.tiff` tells them from others.
    Format(
        "RAW",
        "camera RAW",
        tuple(
            f".{end}"
            for end in re.findall(r"\w+", "dng cr2 cr3 crw nef nrw arw sr2 srf srw orf rw2 raf pef 3fr erf kdc dcr mrw mos iiq rwl mef")
        ),
        "image/x-dcraw",
        rb"II\*\0.{4}CR\x02|II\x1a\0\0\0HEAPCCDR|IIR[OS]\x08\0|MMOR|IIU\0|FUJIFILMCCD-RAW|.{4}ftypcrx |\0MRM",
        "RAW",
        _own("raw"),
        "raw",
        "rawpy",
    ),
    Format("JXL", "JPEG XL", (".jxl",), "image/jxl", rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", "JPEGXL", _own("jxl"), "jxl", "pillow_jxl"),
)
"""Every format that the catalog may hold pictures of."""

RAW = next(format for format in KNOWN if format.name == "RAW")

FORMATS = tuple(format for format in KNOWN if format.readable)
"""Those that this installation reads."""

SUFFIXES = frozenset(suffix for format in FORMATS for suffix in format.suffixes)
"""Lower-case file name endings that promise a picture of a known format."""

READABLE = f"{', '.join(format.label for format in FORMATS[:-1])} or {FORMATS[-1].label}"
"""The formats, for a sentence."""

HEAD = 256
"""First bytes that tell a picture's format."""

UNKNOWN = "application/octet-stream"

_NAMES = {name: format for format in KNOWN for name in (format.name, format.opener, *(suffix[1:].upper() for suffix in format.suffixes))}


def named(name: str) -> Format | None:
    """The format of a name, the table's or Pillow's, or an ending without its dot, in upper or lower case: "JPEG", "jpg"."""
    return _NAMES.get(name.upper())


_JUNK = re.compile(rb"[\0\t\n\r \xef\xbb\xbf]{1,200}(?=\xff\xd8\xff|\x89PNG\r\n|GIF8)")
"""What scripts leave before a picture: line ends, a byte order mark."""


def begin(data: bytes) -> int:
    """Where in the bytes a picture begins: after what careless scripts wrote before it."""
    junk = _JUNK.match(data)
    return junk.end() if junk else 0


def sniff(data: bytes) -> Format | None:
    """The format of a picture by its first bytes (names lie), or None. It need not be one that is read here."""
    data = data[begin(data) :][:HEAD]
    head = data[:16]
    if head[4:8] == b"ftyp":  # box size, "ftyp", major brand, version, compatible brands
        head = data[: max(int.from_bytes(head[:4], "big"), 16)]
    # The last first: a CR2 is a TIFF, too.
    return next((format for format in reversed(KNOWN) if re.match(format.magic, head, re.DOTALL)), None)


def is_picture_name(name: str) -> bool:
    """Whether a file's name promises a picture."""
    return splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - strings throughout: a scan asks for every file


def obtainable(endings: Iterable[str]) -> str | None:
    """What would read the files of such endings, if that is to be had, in sentences; None if it is not."""
    wanted = set(endings)
    formats = [format for format in KNOWN if not format.readable and wanted.intersection(format.suffixes)]
    return " ".join(format.missing for format in formats) or None


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
