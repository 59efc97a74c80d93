"""Files that break a rule, or are of a rare kind, and are shown by browsers and viewers all the same."""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.media.made import chunk, directory, dng, jpeg_with, longs, png_with, saved, segment, tiff
from tests.media.test_decode import RED, near, opened, scene
from tsir.errors import InvalidImage, TooLarge
from tsir.media.formats import KNOWN

XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description {attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta>'


def big_profile() -> bytes:
    """sRGB with red and blue exchanged, and two megabytes of something else in it."""
    from tests.media.test_decode import swapped_primaries

    profile = swapped_primaries() + np.random.default_rng(0).integers(0, 255, 2**21, np.uint8).tobytes()
    return struct.pack(">I", len(profile)) + profile[4:]


PNGS: dict[str, Callable[[], bytes]] = {
    "a checksum of a text": lambda: png_with(scene(), chunk(b"tEXt", b"Comment\0hello", wrong=True)),
    "a checksum of what nobody knows": lambda: png_with(scene(), chunk(b"prVt", b"hello", wrong=True)),
    "a checksum of the pixels": lambda: (data := saved(scene(), "PNG"))[:-16] + bytes([data[-16] ^ 1]) + data[-15:],
    "a checksum of the header": lambda: (data := saved(scene(), "PNG"))[:32] + bytes([data[32] ^ 1]) + data[33:],
    "a text of 9 MB": lambda: png_with(scene(), chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(9 * 2**20)))),
    "a text that is not packed well": lambda: png_with(scene(), chunk(b"zTXt", b"Comment\0\0nonsense")),
    "a profile that is not packed well": lambda: png_with(scene(), chunk(b"iCCP", b"x\0\0nonsense")),
    "EXIF that is none": lambda: png_with(scene(), chunk(b"eXIf", b"nonsense")),
    "EXIF in a text that is none": lambda: png_with(
        scene(), chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 9\nzz"))
    ),
    "no end": lambda: saved(scene(), "PNG")[:-12],
    "something behind": lambda: saved(scene(), "PNG") + b"garbage" * 100,
    "line ends before": lambda: b"\r\n\xef\xbb\xbf" + saved(scene(), "PNG"),
}


@pytest.mark.parametrize("what", PNGS)
def test_png_with(what: str) -> None:
    picture = opened(PNGS[what]())
    assert picture.image.tobytes() == scene().tobytes()
    assert picture.missing == 0


def test_png_with_a_profile_above_a_megabyte_is_shown_in_its_colours() -> None:
    data = png_with(scene(), chunk(b"iCCP", b"x\0\0" + zlib.compress(big_profile(), 0)))
    assert near(opened(data).image, (8, 24), (RED[2], RED[1], RED[0]), 60)


@pytest.mark.parametrize(("gamma", "same"), [(45455, True), (100000, False)])
def test_png_that_names_its_exponent(gamma: int, same: bool) -> None:
    picture = opened(png_with(Image.new("RGB", (8, 8), (60, 60, 60)), chunk(b"gAMA", longs(gamma, order=">"))))
    assert near(picture.image, (4, 4), (60, 60, 60) if same else (132, 132, 132), 2)


def test_linear_profile_is_known_by_what_it_does() -> None:
    from tests.media.test_decode import swapped_primaries

    profile = bytearray(swapped_primaries())
    for tag in (b"test", "test".encode("utf-16-be")):
        profile = profile.replace(tag, tag.replace(b"t\0e\0s\0t", b"s\0R\0G\0B") if len(tag) > 4 else b"sRGB")
    assert not near(opened(saved(scene(), "PNG", icc_profile=bytes(profile))).image, (8, 24), RED, 40), "its name says sRGB"
    srgb = bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()).replace(b"sRGB", b"mine")
    assert near(opened(saved(scene(), "PNG", icc_profile=srgb)).image, (8, 24), RED, 0)


JPEGS: dict[str, Callable[[bytes], bytes]] = {
    "EXIF that is none": lambda data: jpeg_with(data, segment(0xE1, b"Exif\0\0nonsense")),
    "EXIF that ends early": lambda data: jpeg_with(data, segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\0\x09\1\x12\0\3")),
    "a segment of no length": lambda data: jpeg_with(data, segment(0xED, b"Photoshop 3.0\0", 0)),
    "a segment of a wrong length": lambda data: jpeg_with(data, segment(0xE3, b"something", 5)),
    "a segment of far too great a length": lambda data: jpeg_with(data, segment(0xE5, b"something", 60000)),
    "a broken comment": lambda data: jpeg_with(data, segment(0xFE, b"\xff\xff\xff")),
    "a profile of which a part is lost": lambda data: jpeg_with(data, segment(0xE2, b"ICC_PROFILE\0\1\3something")),
    "pictures in it that are none": lambda data: jpeg_with(data, segment(0xE2, b"MPF\0II*\0\x08\0\0\0\x09\0nonsense")),
    "XMP that is none": lambda data: jpeg_with(data, segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmp\xff\xff")),
    "a Photoshop block that is none": lambda data: jpeg_with(data, segment(0xED, b"Photoshop 3.0\x008BIM\4\4\xff\xff\xff\xff")),
    "something before": lambda data: b"\xef\xbb\xbf\r\n\r\n" + data,
    "zeros before": lambda data: bytes(16) + data,
    "something behind": lambda data: data + b"<html>garbage</html>" * 50,
    "another picture behind": lambda data: data + data,
    "filling between segments": lambda data: data[:20] + b"\xff" * 5 + data[20:],
}


@pytest.mark.parametrize("min_side", [None, 16])
@pytest.mark.parametrize("what", JPEGS)
def test_jpeg_with(what: str, min_side: int | None) -> None:
    good = saved(scene(200, 120), "JPEG", quality=90)
    picture = opened(JPEGS[what](good), min_side=min_side)
    assert picture.image.tobytes() == opened(good, min_side=min_side).image.tobytes()
    assert picture.missing == 0


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_that_lacks_its_last_percent_is_read_as_far_as_it_goes(progressive: bool) -> None:
    data = saved(scene(640, 480), "JPEG", progressive=progressive)
    picture = opened(data[: len(data) * 99 // 100])
    assert 0 < picture.missing < 0.05
    assert picture.image.crop((0, 0, 640, 400)).tobytes() == opened(data).image.crop((0, 0, 640, 400)).tobytes() or progressive
    assert near(picture.image, (8, 24), RED, 12)


@pytest.mark.parametrize("format", ["PNG", "BMP", "GIF"])
def test_others_that_lack_little_are_read_as_far_as_they_go(format: str) -> None:
    data = saved(scene(320, 240), format)
    picture = opened(data[: len(data) * 97 // 100])
    assert 0 < picture.missing < 0.06
    assert near(picture.image, (8, 24), RED, 12)


def exif_of(image: Image.Image, orientation: int = 6) -> bytes:
    exif = image.getexif()
    exif[0x0112], exif[0x010F] = orientation, "Canon"
    return exif.tobytes()


@pytest.mark.parametrize("format", ["WEBP", "AVIF", "TIFF", "HEIF", "PNG"])
def test_broken_facts_refuse_no_picture(format: str) -> None:
    image = scene()
    if format == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    data = saved(image, format, exif=exif_of(image, 1), xmp=b"<x:xmpmeta>")
    at = data.rindex(b"MM\0*" if b"MM\0*" in data else b"II*\0") if format != "TIFF" else 0
    for broken in (data[:at] + b"nonsense" + data[at + 8 :], data.replace(b"<x:xmpmeta>", b"\xff\xfe\0\0\0\0<x:xm")):
        if format != "TIFF" or broken[:4] == data[:4]:
            assert near(opened(broken).image, (8, 24), RED, 20)


def test_webp_with_a_wrong_length_of_its_metadata() -> None:
    data = saved(scene(), "WEBP", lossless=True, exif=exif_of(scene(), 1))
    at = data.index(b"EXIF")
    assert near(opened(data[: at + 4] + struct.pack("<I", 2**20) + data[at + 8 :]).image, (8, 24), RED, 2)


RAMP = np.linspace(0, 1, 48 * 64 * 3, dtype=np.float64).reshape(48, 64, 3)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "u2", "u4"])
@pytest.mark.parametrize(
    "options", [{}, {"deflate": True, "predictor": 2}, {"deflate": True, "tile": 32, "predictor": 2}, {"planar": True}]
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_of_many_bits(dtype: str, options: dict[str, Any], order: str) -> None:
    if dtype[0] == "f" and options.get("predictor"):
        options = {**options, "predictor": 3}
    values = RAMP.astype(dtype) if dtype[0] == "f" else (RAMP * np.iinfo(dtype).max).astype(dtype)
    picture = opened(tiff(values, 2, order=order, **options))
    assert (picture.metadata.format, picture.image.size) == ("TIFF", (64, 48))
    assert np.abs(np.asarray(picture.image) - RAMP * 255).max() <= 2


@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_tiff_of_lab_and_cmyk(dtype: str) -> None:
    red = np.array([54, 80, 68])  # L, a, b of pure red
    lab = red * [65535 / 100, 256, 256] if dtype == "u2" else red.astype(float)
    image = opened(tiff(np.tile(lab.astype("i4" if dtype == "u2" else "f4").astype(dtype), (8, 8, 1)), 8)).image
    assert near(image, (4, 4), (255, 0, 0), 12)
    top = 65535 if dtype == "u2" else 1
    cmyk = opened(tiff(np.tile(np.array([0, top, top, 0]).astype(dtype), (8, 8, 1)), 5)).image
    assert near(cmyk, (4, 4), (255, 0, 0), 12)


def test_tiff_that_is_not_known_is_not_called_broken() -> None:
    for values in (np.zeros((4, 4, 5), "f4"), np.zeros((4, 4, 2), "u8")):
        with pytest.raises(InvalidImage, match=r"not supported .*-bit"):
            opened(tiff(values, 32844))
    with pytest.raises(TooLarge, match="64 x 48"):
        opened(tiff(RAMP.astype("f4"), 2), max_pixels=64 * 48 - 1)
    with pytest.raises(InvalidImage, match=r"cut off|broken"):
        opened(tiff(RAMP.astype("f4"), 2)[:9000])


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_that_shows_something_is_taken(format: str) -> None:
    empty = Image.new("RGBA" if format != "GIF" else "RGB", (64, 48), (0, 0, 0, 0) if format != "GIF" else "black")
    more = [scene().convert(empty.mode)]
    options = {"lossless": True} if format == "WEBP" else {}
    picture = opened(saved(empty, format, save_all=True, append_images=[empty.copy(), *more], duration=100, **options))
    assert near(picture.image, (8, 24), RED, 8)
    alone = opened(saved(empty, format))
    assert alone.image.size == (64, 48)


def test_the_largest_page_is_taken_where_the_first_says_that_it_is_small() -> None:
    pages = [Image.new("RGB", (16, 12), "blue"), scene()]
    data = bytearray(saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert opened(bytes(data)).metadata.width in (16, 64)
    small = saved(pages[0], "TIFF", tiffinfo={254: 1}, save_all=True, append_images=pages[1:])
    picture = opened(small)
    assert (picture.metadata.width, picture.metadata.height) == (64, 48)
    assert near(picture.image, (8, 24), RED, 2)


def test_bmp_with_masks_of_its_own() -> None:
    pixels = np.asarray(scene()).astype(np.uint32)
    packed = (pixels[..., 0] << 20) | (pixels[..., 1] << 10) | pixels[..., 2]  # ten bits each
    body = np.flipud(packed << 0).astype("<u4").tobytes()
    masks = longs(0xFF << 20, 0xFF << 10, 0xFF)
    header = struct.pack("<IiiHHIIiiII", 40, 64, 48, 1, 32, 3, len(body), 2835, 2835, 0, 0)
    data = b"BM" + struct.pack("<IHHI", 14 + 40 + 12 + len(body), 0, 0, 66) + header + masks + body
    assert near(opened(data).image, (8, 24), RED, 2)


def dated(times: dict[int, str], **options: Any) -> datetime | None:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update(times)
    return opened(saved(scene(), "JPEG", exif=exif, **options)).metadata.taken_at


DAY = datetime(2023, 5, 6, 10, 11)
EAST = timezone(timedelta(hours=5, minutes=30))


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("2023:05:06 10:11", DAY),
        ("2023-05-06T10:11:00", DAY),
        ("2023-05-06 10:11:00.123", DAY),
        ("2023:05:06 10:11:  ", DAY),
        ("2023-05-06T10:11:00+05:30", DAY.replace(tzinfo=EAST)),
        ("2023-05-06T10:11:00Z", DAY.replace(tzinfo=timezone.utc)),
        ("0000:00:00 00:00:00", None),
        ("    :  :     :  :  ", None),
        ("2023:13:45 10:11:00", None),
        ("yesterday", None),
    ],
)
def test_dates_as_cameras_and_programs_write_them(text: str, when: datetime | None) -> None:
    assert dated({0x9003: text}) == when


def test_an_offset_beside_the_time_is_kept_and_none_is_invented() -> None:
    found = dated({0x9003: "2024:07:01 23:30:00", 0x9011: "-05:30"})
    assert found is not None
    assert found.isoformat() == "2024-07-01T23:30:00-05:30"
    assert dated({0x9003: "2024:07:01 23:30:00", 0x9011: "   :  "}) == datetime(2024, 7, 1, 23, 30)
    assert dated({0x9003: "0000:00:00 00:00:00", 0x9004: "2024:07:01 23:30:00", 0x9012: "+01:00"}) == datetime(
        2024, 7, 1, 23, 30, tzinfo=timezone(timedelta(hours=1))
    )


@pytest.mark.parametrize("name", ["exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate"])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_xmp_says_when_where_exif_does_not(name: str, format: str) -> None:
    for packet in (
        XMP.format(attributes=f'{name}="2023-05-06T10:11:00+05:30" tiff:Make="Canon"', elements=""),
        XMP.format(attributes="", elements=f"<{name}>2023-05-06T10:11:00+05:30</{name}><tiff:Make>Canon</tiff:Make>"),
    ):
        if format == "PNG":
            data = png_with(scene(), chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet.encode()))
        elif format == "TIFF":
            data = saved(scene(), "TIFF", tiffinfo={700: packet.encode()})
        else:
            data = saved(scene(), format, xmp=packet.encode())
        facts = opened(data).metadata
        assert (facts.taken_at, facts.camera) == (DAY.replace(tzinfo=EAST), "Canon")


@pytest.mark.parametrize(
    ("gps", "position"),
    [
        ({1: "South", 2: (33.0, 51.0, 36.0), 3: "East", 4: (151.0, 12.0, 0.0)}, (-33.86, 151.2)),
        ({1: "E", 2: (33.0, 51.0, 36.0), 3: "S", 4: (151.0, 12.0, 0.0)}, (-33.86, 151.2)),
        ({1: "E", 2: (151.0, 12.0, 0.0), 3: "S", 4: (33.0, 51.0, 36.0)}, (-33.86, 151.2)),
        ({1: "s", 2: (33.86,), 3: "e", 4: (151.2,)}, (-33.86, 151.2)),
        ({1: "N", 2: (100.0, 0.0, 0.0), 3: "E", 4: (1.0, 0.0, 0.0)}, (None, None)),
        ({1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)}, (None, None)),
        ({1: "S"}, (None, None)),
    ],
)
def test_positions_as_devices_write_them(gps: dict[int, Any], position: tuple[float | None, float | None]) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8825).update(gps)
    facts = opened(saved(scene(), "JPEG", exif=exif)).metadata
    assert (facts.latitude, facts.longitude) == (pytest.approx(position[0]), pytest.approx(position[1]))


@pytest.mark.parametrize(("degrees", "position"), [((33, 1), (-33.5, 151.0)), ((-33, 1), (-33.5, 151.0)), ((0, 0), (None, None))])
def test_a_position_of_nothing_by_nothing(degrees: tuple[int, int], position: tuple[float | None, float | None]) -> None:
    def rationals(*values: tuple[int, int]) -> bytes:
        return b"".join(struct.pack("<ii", *value) for value in values)

    place = [(1, 2, 2, b"N\0" if degrees[0] < 0 else b"S\0"), (2, 10, 3, rationals(degrees, (30, 1), (0, 0)))]
    place += [(3, 2, 2, b"E\0"), (4, 5, 3, rationals((151, 1), (0, 0), (0, 0)))]
    entry = [(0x8825, 4, 1, longs(26))]
    exif = b"Exif\0\0II*\0" + longs(8) + directory(entry, 8) + directory(place, 26)
    facts = opened(saved(scene(), "JPEG", exif=exif)).metadata
    assert (facts.latitude, facts.longitude) == position


def test_position_of_xmp() -> None:
    packet = XMP.format(attributes='exif:GPSLatitude="33,51.6S" exif:GPSLongitude="151,12,0E"', elements="")
    facts = opened(saved(scene(), "JPEG", xmp=packet.encode())).metadata
    assert (facts.latitude, facts.longitude) == (pytest.approx(-33.86), pytest.approx(151.2))


def test_zeros_are_called_zeros() -> None:
    with pytest.raises(InvalidImage, match="nothing but zeros"):
        opened(bytes(4096))


@pytest.mark.parametrize("data", [dng(np.asarray(scene())), dng(np.asarray(scene()), preview=False), b"\xff\x0a" + bytes(30)])
def test_what_would_read_a_file_is_said(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = "jxl" if data[0] == 255 else "raw"
    for format in KNOWN:
        if format.extra:
            monkeypatch.setitem(sys.modules, format.module, None)  # as where it is not installed
    with pytest.raises(InvalidImage, match=f"after `make setup EXTRAS={extra}`"):
        opened(data)


@pytest.mark.parametrize("preview", [True, False])
@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_camera_raw(preview: bool, orientation: int) -> None:
    pytest.importorskip("rawpy")
    upright = scene(640, 480) if orientation == 1 else scene(480, 640)
    turn = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}.get(orientation)
    picture = opened(dng(np.asarray(upright.transpose(turn) if turn else upright), preview=preview, orientation=orientation))
    assert (picture.metadata.format, picture.metadata.width, picture.metadata.height) == ("RAW", *upright.size)
    assert (picture.metadata.taken_at, picture.metadata.camera) == (datetime(2021, 2, 3, 4, 5, 6), "Test Cam")
    assert picture.image.size == upright.size
    pixels = np.asarray(picture.image).astype(int)
    left, right = pixels[:, : upright.width // 2 - 8], pixels[:, upright.width // 2 + 8 :]
    assert left.std((0, 1)).max() < 12 < right.std((0, 1)).min()
    assert left[..., 0].mean() > 2 * left[..., 2].mean()
    with pytest.raises(TooLarge, match="MAX_PIXELS"):
        opened(dng(np.asarray(upright)), max_pixels=640 * 480 - 1)
    with pytest.raises(InvalidImage):
        opened(dng(np.asarray(upright), preview=False)[:5000])


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "I;16"])
def test_jpeg_xl(mode: str) -> None:
    pytest.importorskip("pillow_jxl")
    image = scene(203, 120) if mode != "I;16" else Image.fromarray(np.asarray(scene(203, 120).convert("L")).astype(np.uint16) * 257)
    data = saved(image.convert(mode), "JXL", lossless=True, exif=exif_of(scene()))
    picture = opened(data)
    assert (picture.metadata.format, picture.metadata.width, picture.metadata.height) == ("JXL", 203, 120)
    assert picture.image.convert("L").tobytes() == image.convert("RGB").convert("L").tobytes() or mode == "I;16"
    with pytest.raises(TooLarge, match="203 x 120"):
        opened(data, max_pixels=203 * 120 - 1)
    with pytest.raises(InvalidImage):
        opened(data[: len(data) // 2])
