from __future__ import annotations

import subprocess
import sys

import pytest

from tsir.media.formats import FORMATS, READABLE, UNKNOWN, is_picture_name, media_type, named, sniff, suffix


def ftyp(*brands: bytes) -> bytes:
    """The first box of an ISO media file: its major brand, a version, the compatible ones."""
    rest = b"ftyp" + brands[0] + b"\0\0\0\0" + b"".join(brands[1:])
    return (len(rest) + 4).to_bytes(4, "big") + rest + b"\0\0\0\x10meta"


def test_table_is_unambiguous() -> None:
    names = [name for format in FORMATS for name in (format.name.lower(), *(suffix[1:] for suffix in format.suffixes))]
    assert len(names) - len(set(names)) == sum(format.name.lower() in (suffix[1:] for suffix in format.suffixes) for format in FORMATS)
    for format in FORMATS:
        assert (format.name, format.media_type[:6]) == (format.name.upper(), "image/")
        assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in format.suffixes)
        assert "svg" not in format.media_type, "what can carry a script is not served as a picture"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\xff\xd8\xff\xe1" + bytes(20), "JPEG"),
        (b"\x89PNG\r\n\x1a\n\0", "PNG"),
        (b"RIFF\n\n\n\nWEBPVP8 ", "WEBP"),
        (b"RIFF\n\n\n\nWAVEfmt ", None),
        (b"GIF89a", "GIF"),
        (b"BM" + bytes(20), "BMP"),
        (b"II*\0", "TIFF"),
        (b"MM\0+", "TIFF"),
        (ftyp(b"heic", b"mif1"), "HEIC"),
        (ftyp(b"mif1", b"miaf", b"heix"), "HEIC"),
        (ftyp(b"avif", b"mif1", b"miaf"), "AVIF"),
        (ftyp(b"mif1", b"miaf", b"avis"), "AVIF"),
        (ftyp(b"isom", b"mp42"), None),
        (ftyp(b"qt  ") + b"heic", None),
        (b"<svg xmlns", None),
        (b"%PDF-1.7", None),
        (b"", None),
    ],
)
def test_content_tells_the_format(data: bytes, name: str | None) -> None:
    found = sniff(data)
    assert (found.name if found else None) == name


def test_formats_have_many_names_and_few_in_the_catalog() -> None:
    for given, name in (
        ("jpg", "JPEG"),
        ("JPEG", "JPEG"),
        ("HEIF", "HEIC"),
        ("heic", "HEIC"),
        ("tif", "TIFF"),
        ("Mpo", "JPEG"),
        ("jpegxl", "JXL"),
    ):
        found = named(given)
        assert found is not None and found.name == name
    assert named("xyz") is None


def test_uploads_are_called_after_their_format() -> None:
    assert [suffix(name) for name in ("JPEG", "TIFF", "HEIF", "zip", "unknown", "../../etc")] == [
        ".jpg",
        ".tif",
        ".heic",
        ".zip",
        ".unknown",
        ".etc",
    ]


def test_originals_are_served_as_what_they_are() -> None:
    assert (media_type("JPEG"), media_type("MPO"), media_type("HEIF"), media_type("SVG")) == (
        "image/jpeg",
        "image/jpeg",
        "image/heic",
        UNKNOWN,
    )


def test_names_promise_pictures_and_the_sentence_lists_them() -> None:
    assert all(is_picture_name(f"a.b{suffix.upper()}") for format in FORMATS for suffix in format.suffixes)
    assert not any(map(is_picture_name, ("jpg", ".jpg", "a.jpg.txt", "a.svg", "")))
    assert READABLE.startswith("JPEG, PNG, WebP, ")
    assert [label for format in FORMATS if (label := format.label) not in READABLE] == []


def test_nobody_waits_for_the_decoders_of_others() -> None:
    code = "import sys, tsir.media.decode; print(*sorted(set(sys.modules) & {'pillow_heif', 'PIL.AvifImagePlugin', 'tsir.encoders.base'}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == []
