"""TIFFs that Pillow does not know: floats, 32 bits, 16 bits of Lab. And camera RAW, most of which is a TIFF by its first bytes.

The samples are taken for bytes, so that Pillow undoes whatever compression, and are put together here.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL.Image import Image

from tsir.media.late import LateImage

MAX_ENTRIES = 512
"""Of a directory; more are no TIFF's."""
MAX_VALUES = 64
"""Bytes of a tag that are looked at as numbers."""
MAX_SAMPLES = 8
"""Values of a pixel."""

_CODES = {1: "u1", 3: "u2", 4: "u4"}
WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, STRIPS, SAMPLES, ROWS, COUNTS, PLANAR = 256, 257, 258, 259, 262, 273, 277, 278, 279, 284
PREDICTOR, TILE_WIDTH, TILE_LENGTH, TILES, TILE_COUNTS, EXTRA, SAMPLE_FORMAT = 317, 322, 323, 324, 325, 338, 339
REDUCED, MAKE, SUB_DIRECTORIES, XMP, PROFILE, DNG = 254, 271, 330, 700, 34675, 50706
RGB, CMYK, LAB, CFA, LINEAR_RAW = 2, 5, 8, 32803, 34892
JPEGS = (6, 7)
"""Compressions that do not have such samples."""
NEEDED = {0: 1, 1: 1, RGB: 3, CMYK: 4, LAB: 3}
"""Photometric -> values that make a colour; more are alpha and masks."""
BRIGHT = 0.999
"""Share of float values that are not burnt out: a sun in the picture does not make all else black."""


class NotSupported(Exception):
    """A TIFF, and no broken one, of a kind that is not read; the message says which."""


@dataclass(frozen=True)
class Directory:
    """The first directory of a TIFF: its entries as they are in the file."""

    data: bytes
    order: str
    """"<" or ">", as `struct` and numpy have it."""
    entries: dict[int, bytes]
    """Tag -> its 12 bytes."""

    @classmethod
    def of(cls, data: bytes) -> Directory | None:
        """None for what is no TIFF of the classic kind, or broken."""
        order = {b"II": "<", b"MM": ">"}.get(data[:2])
        if not order or len(data) < 8:
            return None
        magic, at = struct.unpack(order + "HI", data[2:8])
        if magic != 42 or at + 2 > len(data):
            return None
        (number,) = struct.unpack(order + "H", data[at : at + 2])
        raw = [data[at + 2 + 12 * n : at + 14 + 12 * n] for n in range(min(number, MAX_ENTRIES))]
        return cls(data, order, {struct.unpack(order + "H", entry[:2])[0]: entry for entry in raw if len(entry) == 12})

    def blob(self, tag: int) -> bytes:
        """The bytes of a tag's values; empty if there are none."""
        entry = self.entries.get(tag)
        if entry is None:
            return b""
        kind, count = struct.unpack(self.order + "HI", entry[2:8])
        size = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1}.get(kind, 8) * count
        if size <= 4:
            return entry[8 : 8 + size]
        (at,) = struct.unpack(self.order + "I", entry[8:12])
        return self.data[at : at + size]

    def numbers(self, tag: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """A tag's whole numbers."""
        entry = self.entries.get(tag)
        code = _CODES.get(struct.unpack(self.order + "H", entry[2:4])[0]) if entry else None
        if not code:
            return default
        return tuple(int(value) for value in np.frombuffer(self.blob(tag)[:MAX_VALUES], self.order + code))

    def number(self, tag: int, default: int = 0) -> int:
        return (self.numbers(tag) or (default,))[0]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.number(WIDTH), self.number(LENGTH)

    @property
    def reduced(self) -> bool:
        """Whether the first page says that it is a small version of another."""
        return bool(self.number(REDUCED) & 1)

    @property
    def camera_raw(self) -> bool:
        """Whether a camera wrote its sensor's values here: what a TIFF reader sees is a thumbnail at best."""
        preview = self.reduced and SUB_DIRECTORIES in self.entries and MAKE in self.entries
        return DNG in self.entries or self.number(PHOTOMETRIC) in (CFA, LINEAR_RAW) or preview


def plain(directory: Directory) -> bool:
    """Whether its values are of at most 8 bits, which Pillow knows if anybody does."""
    return max(directory.numbers(BITS, (1,))) <= 8


def misread(directory: Directory) -> bool:
    """Whether Pillow takes it for something else, without a word: planes of more than 8 bits."""
    return directory.number(PLANAR, 1) == 2 and directory.number(SAMPLES, 1) > 1 and not plain(directory)


def kind_of(directory: Directory) -> str:
    """What is special of a TIFF, for a sentence: "32-bit float, 5 samples"."""
    bits = directory.numbers(BITS, (1,))
    name = {2: "signed", 3: "float"}.get(directory.number(SAMPLE_FORMAT, 1), "integer")
    samples = directory.number(SAMPLES, 1)
    return (
        f"{'/'.join(map(str, sorted(set(bits))))}-bit {name}, {samples} sample{'s' * (samples != 1)}, "
        f"compression {directory.number(COMPRESSION, 1)}, photometric {directory.number(PHOTOMETRIC)}"
    )


class WideTiff(LateImage):
    """A TIFF of 16 to 64 bits, as 8: L, RGB, RGBA, CMYK or LAB."""

    def _open(self) -> None:
        assert self.fp is not None
        directory = Directory.of(self.fp.read())
        if directory is None:
            raise SyntaxError("not a TIFF")
        self._directory = directory
        self._size, self._mode = directory.size, "RGB"
        self.info = {"exif": directory.data, "icc_profile": directory.blob(PROFILE) or None, "xmp": directory.blob(XMP)}

    def develop(self) -> Image:
        """Raises NotSupported, and anything for a broken file."""
        image = _developed(self._directory)
        image.info = self.info
        return image


def _developed(directory: Directory) -> Image:
    (width, height), samples, photometric = directory.size, directory.number(SAMPLES, 1), directory.number(PHOTOMETRIC)
    bits = set(directory.numbers(BITS, (1,)))
    dtype = (
        np.dtype(f"{directory.order}{'?uif'[directory.number(SAMPLE_FORMAT, 1) & 3]}{max(bits) // 8}")
        if max(bits) in (16, 32, 64)
        else None
    )
    planes, across = (samples, 1) if directory.number(PLANAR, 1) == 2 else (1, samples)
    block = directory.number(TILE_LENGTH) if TILES in directory.entries else min(directory.number(ROWS) or height, height)
    if (
        dtype is None
        or len(bits) != 1
        or not NEEDED.get(photometric, MAX_SAMPLES + 1) <= samples <= MAX_SAMPLES
        or directory.number(COMPRESSION, 1) in JPEGS
        or (planes > 1 and height % max(block, 1))
    ):
        raise NotSupported(kind_of(directory))
    step = across * dtype.itemsize
    with PILImage.open(io.BytesIO(_as_bytes(directory, step, planes, block)), formats=("TIFF",)) as flat:
        rows = np.asarray(flat)
    values = _values(rows, directory, dtype, across).reshape(planes, height, width, across)
    pixels = values[..., 0].transpose(1, 2, 0) if planes > 1 else values[0]
    return _picture(pixels, photometric, directory.number(EXTRA))


def _as_bytes(directory: Directory, step: int, planes: int, block: int) -> bytes:
    """The same file as a grey picture of 8 bits, `step` times as wide, the planes below each other."""
    width, height = directory.size

    def entry(tag: int, value: int) -> bytes:
        return struct.pack(directory.order + "HHII", tag, 4, 1, value)

    entries = {
        tag: directory.entries[tag] for tag in (COMPRESSION, STRIPS, COUNTS, TILE_LENGTH, TILES, TILE_COUNTS) if tag in directory.entries
    }
    new = {WIDTH: width * step, LENGTH: height * planes, BITS: 8, PHOTOMETRIC: 1, SAMPLES: 1, ROWS: block, PLANAR: 1}
    if TILES in directory.entries:
        new[TILE_WIDTH] = directory.number(TILE_WIDTH) * step
    entries |= {tag: entry(tag, value) for tag, value in new.items()}
    at = len(directory.data) + len(directory.data) % 2
    header = directory.data[:4] + struct.pack(directory.order + "I", at)
    body = struct.pack(directory.order + "H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    return header + directory.data[8:].ljust(at - 8, b"\0") + body


def _values(rows: NDArray[np.uint8], directory: Directory, dtype: np.dtype[Any], across: int) -> NDArray[Any]:
    """Bytes of rows -> values, the differences that the predictor made undone, in each tile for itself."""
    predictor = directory.number(PREDICTOR, 1)
    if predictor not in (2, 3):
        return np.ascontiguousarray(rows).view(dtype)
    span = directory.number(TILE_WIDTH) * across * dtype.itemsize if TILES in directory.entries else rows.shape[1]
    parts = []
    for start in range(0, rows.shape[1], span):
        part = rows[:, start : start + span]
        if predictor == 2:  # each value is the difference to the one of the pixel before, in whole numbers
            whole = np.ascontiguousarray(part).view(f"{dtype.byteorder}u{dtype.itemsize}")
            pixels = whole.reshape(len(whole), -1, across)
            parts.append(
                np.add.accumulate(pixels, axis=1, dtype=pixels.dtype.newbyteorder("=")).reshape(whole.shape).view(dtype.newbyteorder("="))
            )
        else:  # the same of bytes, of which all highest come first
            summed = np.add.accumulate(part.reshape(len(part), -1, across), axis=1, dtype=np.uint8)
            highest_first = summed.reshape(len(part), dtype.itemsize, -1).transpose(0, 2, 1)
            parts.append(np.ascontiguousarray(highest_first).view(dtype.newbyteorder(">"))[..., 0])
    return np.concatenate(parts, axis=1)


def _picture(pixels: NDArray[Any], photometric: int, extra: int) -> Image:
    """Values [height, width, samples] -> 8 bits. Whole numbers take all of their range, floats 0 to 1 (Lab: its own); NaN is black."""
    needed = NEEDED[photometric]
    alpha = photometric == RGB and pixels.shape[2] > needed and extra in (1, 2)
    pixels = pixels[..., : needed + alpha]
    if photometric == LAB:
        whole = pixels.dtype.kind != "f"
        scale = np.array([255 / 65535, 1 / 256, 1 / 256] if whole else [2.55, 1, 1], np.float32)
        signed = pixels.astype("i2") if whole else pixels  # a and b are signed
        values = np.where([True, False, False], pixels.astype(np.float32), signed.astype(np.float32)) * scale + np.array(
            [0, 128, 128], np.float32
        )
    else:
        values = pixels.astype(np.float32)
        if pixels.dtype.kind == "f":
            seen = values[np.isfinite(values)]
            full = max(1.0, float(np.quantile(seen[:: max(1, seen.size // 10**6)], BRIGHT))) if seen.size else 1.0
        else:
            full = float(np.iinfo(pixels.dtype).max)
        values *= 255 / full
        if photometric == 0:
            values = 255 - values
    bytes_ = np.clip(np.nan_to_num(values, nan=0, posinf=255, neginf=0), 0, 255).round().astype(np.uint8)
    mode = {LAB: "LAB", CMYK: "CMYK", RGB: "RGBA" if alpha else "RGB"}.get(photometric, "L")
    height, width = bytes_.shape[:2]
    return PILImage.frombytes(mode, (width, height), (bytes_ ^ np.array([0, 128, 128], np.uint8) if mode == "LAB" else bytes_).tobytes())
