"""Real files of every kind, good and bad, made on the spot."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tsir.errors import InvalidImage, TooLarge, TsirError
from tsir.media.decode import Picture, open_picture, open_sketch

RED, WHITE = (200, 30, 40), (255, 255, 255)


def opened(data: bytes | Path, **options: Any) -> Picture:
    return open_picture(data, **{"max_bytes": 2**26, "max_pixels": 10**8, **options})


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def scene(width: int = 64, height: int = 48) -> Image.Image:
    """Not uniform: left half red, right half noise."""
    pixels = np.random.default_rng(1).integers(0, 255, (height, width, 3), dtype=np.uint8)
    pixels[:, : width // 2] = RED
    return Image.fromarray(pixels)


def near(image: Image.Image, xy: tuple[int, int], colour: tuple[int, int, int], by: int = 8) -> bool:
    got = image.getpixel(xy)
    assert isinstance(got, tuple)
    return all(abs(a - b) <= by for a, b in zip(got, colour, strict=True))


@pytest.mark.parametrize(
    ("format", "options", "name"),
    [
        ("JPEG", {"quality": 90}, "JPEG"),
        ("JPEG", {"quality": 90, "progressive": True}, "JPEG"),
        ("PNG", {}, "PNG"),
        ("WEBP", {"lossless": True}, "WEBP"),
        ("GIF", {}, "GIF"),
        ("BMP", {}, "BMP"),
        ("TIFF", {"compression": "tiff_lzw"}, "TIFF"),
        ("AVIF", {"quality": 95}, "AVIF"),
    ],
)
def test_every_format_opens_as_rgb(format: str, options: dict[str, Any], name: str) -> None:
    picture = opened(saved(scene(), format, **options))
    assert (picture.metadata.format, picture.metadata.width, picture.metadata.height, picture.image.mode) == (name, 64, 48, "RGB")
    assert near(picture.image, (8, 24), RED, 12)


def test_heic_opens() -> None:
    file = io.BytesIO()
    pillow_heif.from_pillow(scene()).save(file, quality=95)
    picture = opened(file.getvalue())
    assert (picture.metadata.format, picture.image.size) == ("HEIC", (64, 48))
    assert near(picture.image, (8, 24), RED, 12)


def test_cmyk_jpeg_keeps_its_colour() -> None:
    assert near(opened(saved(Image.new("RGB", (16, 16), RED).convert("CMYK"), "JPEG", quality=95)).image, (8, 8), RED, 12)


def test_palette_png_with_transparency_lies_on_white() -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, *RED])
    image.putpixel((3, 3), 0)
    picture = opened(saved(image, "PNG", transparency=0))
    assert near(picture.image, (3, 3), WHITE, 0)
    assert near(picture.image, (0, 0), RED, 0)


def test_half_transparent_pixels_blend_with_white() -> None:
    assert near(opened(saved(Image.new("RGBA", (4, 4), (0, 0, 0, 128)), "PNG")).image, (1, 1), (127, 127, 127), 1)


def test_sketch_with_strokes_only_in_the_alpha_channel_keeps_them() -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    image.putpixel((2, 5), (0, 0, 0, 255))
    sketch = open_sketch(saved(image, "PNG"), max_bytes=10**6, max_pixels=10**6)
    assert (sketch.mode, sketch.getpixel((2, 5)), sketch.getpixel((0, 0))) == ("RGB", (0, 0, 0), WHITE)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_clipped(format: str) -> None:
    image = Image.fromarray(np.full((4, 4), 128 * 257, np.uint16))
    assert near(opened(saved(image, format)).image, (1, 1), (128, 128, 128), 1)


@pytest.mark.parametrize(("values", "grey"), [(np.float32([[0, 0.5], [0.5, 1]]), 128), (np.int32([[0, 32896], [0, 65535]]), 128)])
def test_float_and_32_bit_tiff_are_scaled(values: Any, grey: int) -> None:
    assert near(opened(saved(Image.fromarray(values), "TIFF")).image, (1, 0), (grey, grey, grey), 1)


def test_gif_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, "blue")]
    assert near(opened(saved(frames[0], "GIF", save_all=True, append_images=frames[1:])).image, (4, 4), RED, 4)


def test_one_pixel_is_a_picture() -> None:
    picture = opened(saved(Image.new("RGB", (1, 1), RED), "PNG"), min_side=768)
    assert (picture.metadata.width, picture.metadata.height, picture.image.getpixel((0, 0))) == (1, 1, RED)


@pytest.mark.parametrize("format", ["JPEG", "TIFF", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_orientation_is_applied_once(format: str, orientation: int) -> None:
    upright = scene()
    turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = opened(saved(upright.transpose(turn), format, exif=exif, **({"quality": 95} if format != "PNG" else {})))
    assert (picture.metadata.width, picture.metadata.height, picture.image.size) == (64, 48, (64, 48))
    assert near(picture.image, (8, 24), RED, 15)


def test_display_p3_becomes_srgb() -> None:
    srgb = ImageCms.createProfile("sRGB")
    assert near(opened(saved(scene(), "PNG", icc_profile=ImageCms.ImageCmsProfile(srgb).tobytes())).image, (8, 24), RED, 0)
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert near(opened(saved(scene(), "PNG", icc_profile=lab)).image, (8, 24), RED, 0), "a profile that does not fit is ignored"
    assert near(opened(saved(scene(), "PNG", icc_profile=b"nonsense")).image, (8, 24), RED, 0), "a broken one too"
    assert not near(opened(saved(scene(), "PNG", icc_profile=swapped_primaries())).image, (8, 24), RED, 40)


def swapped_primaries() -> bytes:
    """An sRGB profile whose red and blue primaries are exchanged, so that its use is visible."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile = profile.replace(b"sRGB", b"test").replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


def test_reduced_decode_keeps_the_sides_asked_for() -> None:
    image = Image.new("RGB", (4001, 3001), RED)
    for data in (saved(image, "JPEG"), saved(image, "PNG", compress_level=1)):
        picture = opened(data, min_side=224, min_long_side=768)
        assert (picture.metadata.width, picture.metadata.height) == (4001, 3001)
        assert 768 <= max(picture.image.size) < 2 * 768
        assert opened(data).image.size == (4001, 3001)


def test_facts_from_exif() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon\0", "Canon EOS 5D"
    exif.get_ifd(0x8769)[0x9003] = "2019:07:21 18:03:59"
    exif.get_ifd(0x8825).update({1: "S", 2: (33.0, 51.0, 36.0), 3: "E", 4: (151.0, 12.0, 40.0)})
    picture = opened(saved(scene(), "JPEG", exif=exif))
    assert (picture.metadata.taken_at, picture.metadata.camera) == (datetime(2019, 7, 21, 18, 3, 59), "Canon EOS 5D")
    assert picture.metadata.latitude == pytest.approx(-33.86)
    assert picture.metadata.longitude == pytest.approx(151.2111, abs=1e-4)


def test_broken_facts_are_no_facts() -> None:
    exif = Image.Exif()
    exif[0x0132] = "0000:00:00 00:00:00"
    exif.get_ifd(0x8825).update({1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)})
    picture = opened(saved(scene(), "JPEG", exif=exif))
    assert (picture.metadata.taken_at, picture.metadata.camera, picture.metadata.latitude, picture.metadata.longitude) == (
        None,
        None,
        None,
        None,
    )


def test_empty_file_and_text_are_named() -> None:
    with pytest.raises(InvalidImage, match="empty"):
        opened(b"")
    with pytest.raises(InvalidImage, match="not a picture"):
        opened(b"Dear diary, this is not a JPEG.")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidImage, match="No such file"):
        opened(tmp_path / "gone.jpg")


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("left", [0.3, 0.9])
@pytest.mark.parametrize("tail", [b"", bytes(5000)])
def test_cut_jpeg_is_cut_off(progressive: bool, left: float, tail: bytes) -> None:
    data = saved(scene(640, 480), "JPEG", progressive=progressive)
    with pytest.raises(InvalidImage, match="cut off"):
        opened(data[: int(len(data) * left)] + tail)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("min_side", [None, 50])
def test_jpeg_without_end_marker_or_with_garbage_behind_is_whole(progressive: bool, min_side: int | None) -> None:
    data = saved(scene(641, 479), "JPEG", progressive=progressive)
    whole = opened(data, min_side=min_side)
    for variant in (data[:-2], data[:-2] + bytes(3), data + b"garbage" * 99):
        assert opened(variant, min_side=min_side).image.tobytes() == whole.image.tobytes()


@pytest.mark.parametrize("format", ["PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "HEIF"])
@pytest.mark.parametrize("left", [0.05, 0.5, 0.9])
def test_cut_pictures_of_other_formats_are_refused_as_such(format: str, left: float) -> None:
    pillow_heif.register_heif_opener()
    data = saved(scene(640, 480), format)
    with pytest.raises(InvalidImage, match="cut off"):
        opened(data[: int(len(data) * left)])


def test_limits_come_before_decoding(tmp_path: Path) -> None:
    data = saved(scene(), "PNG")
    with pytest.raises(TooLarge, match="MAX_UPLOAD_BYTES"):
        opened(data, max_bytes=len(data) - 1)
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(TooLarge, match="MAX_UPLOAD_BYTES"):
        opened(tmp_path / "a.png", max_bytes=len(data) - 1)
    with pytest.raises(TooLarge, match="64 x 48"):
        opened(data, max_pixels=64 * 48 - 1)


def test_decompression_bomb_is_refused_by_its_header() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2**30, 2**30, 8, 2, 0, 0, 0))
    with pytest.raises(TooLarge):
        opened(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))


def test_odd_metadata_prints_no_warning(tmp_path: Path) -> None:
    data = bytearray(saved(scene(), "TIFF"))
    start = struct.unpack("<I", data[4:8])[0]
    data[start + 2 + 12 * 3 + 4 : start + 2 + 12 * 3 + 8] = struct.pack("<I", 2**31)  # a tag longer than the file
    (tmp_path / "odd.tif").write_bytes(data)
    code = (
        "import sys, pathlib; from tsir.media.decode import open_picture; from tsir.errors import TsirError\n"
        "try: open_picture(pathlib.Path(sys.argv[1]), max_bytes=10**9, max_pixels=10**9)\nexcept TsirError: pass"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "odd.tif")], capture_output=True, text=True, check=True)
    assert done.stderr == ""


SEEDS = [
    saved(scene(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"),
    saved(scene(), "JPEG", progressive=True),
    saved(scene().convert("CMYK"), "JPEG"),
    saved(scene(), "PNG"),
    saved(scene().convert("P"), "PNG", transparency=3),
    saved(scene(), "GIF"),
    saved(scene(), "TIFF", compression="tiff_lzw"),
    saved(scene(), "WEBP"),
    saved(scene(), "BMP"),
    saved(scene(), "AVIF"),
]


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 2**16), st.binary(min_size=1, max_size=6)), max_size=6),
    st.integers(0, 2**16),
    st.sampled_from([None, 16]),
)
def test_mutated_bytes_never_crash(seed: bytes, changes: list[tuple[int, bytes]], cut: int, min_side: int | None) -> None:
    data = bytearray(seed)
    for at, new in changes:
        at %= len(data)
        data[at : at + len(new)] = new
    try:
        picture = opened(bytes(data[: cut % (2 * len(data))]), max_pixels=10**6, min_side=min_side)
        assert picture.image.mode == "RGB"
    except TsirError as error:
        assert str(error).endswith(".")
