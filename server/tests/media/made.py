"""Files of many kinds, made byte by byte: what cameras, scanners and old programs write, which no library here does."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.copy().save(file, format, **options)  # what Pillow notes in an image while saving it is not wanted in the next file
    return file.getvalue()


def chunk(kind: bytes, body: bytes, *, wrong: bool = False) -> bytes:
    """One of a PNG, with a right or wrong checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body) ^ wrong)


def png_with(image: Image.Image, *chunks: bytes) -> bytes:
    """A PNG with more chunks before its pixels."""
    data = saved(image, "PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def segment(marker: int, body: bytes, length: int | None = None) -> bytes:
    """One of a JPEG; `length` as it says, be that true or not."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2 if length is None else length) + body


def jpeg_with(data: bytes, *segments: bytes) -> bytes:
    """A JPEG with more segments behind its start."""
    return data[:2] + b"".join(segments) + data[2:]


Entry = tuple[int, int, int, bytes]
"""Tag, type, count, values."""


def shorts(*values: int, order: str = "<") -> bytes:
    return struct.pack(f"{order}{len(values)}H", *values)


def longs(*values: int, order: str = "<") -> bytes:
    return struct.pack(f"{order}{len(values)}I", *values)


def directory(entries: Sequence[Entry], at: int, order: str = "<", after: int = 0) -> bytes:
    """One of a TIFF that lies at a place in its file, with what does not fit into its entries behind it."""
    size, out, more = 2 + 12 * len(entries) + 4, struct.pack(order + "H", len(entries)), b""
    for tag, kind, count, values in sorted(entries):
        out += struct.pack(order + "HHI", tag, kind, count)
        if len(values) <= 4:
            out += values.ljust(4, b"\0")
        else:
            out += struct.pack(order + "I", at + size + len(more))
            more += values + b"\0" * (len(values) % 2)
    return out + struct.pack(order + "I", after) + more


def tiff(
    values: NDArray[Any],
    photometric: int,
    *,
    predictor: int = 1,
    deflate: bool = False,
    planar: bool = False,
    tile: int = 0,
    order: str = "<",
) -> bytes:
    """A TIFF of values [height, width, samples] of any type."""
    values = values.astype(values.dtype.newbyteorder(order))
    height, width, samples = values.shape
    size, number = values.dtype.itemsize, {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    planes = [values[..., n : n + 1] for n in range(samples)] if planar else [values]
    side = tile or max(width, height)
    blocks = []
    for plane in planes:
        for top in range(0, height, tile or height):
            for left in range(0, width, tile or width):
                part = plane[top : top + side, left : left + side]
                if tile:
                    part = np.pad(part, ((0, tile - part.shape[0]), (0, tile - part.shape[1]), (0, 0)))
                blocks.append(_packed(part, predictor, deflate))

    def entries(places: Sequence[int]) -> list[Entry]:
        def short(tag: int, *given: int) -> Entry:
            return tag, 3, len(given), shorts(*given, order=order)

        def long(tag: int, *given: int) -> Entry:
            return tag, 4, len(given), longs(*given, order=order)

        counts = [len(block) for block in blocks]
        found = [long(256, width), long(257, height), short(258, *[size * 8] * samples), short(259, 8 if deflate else 1)]
        found += [short(262, photometric), short(277, samples), short(284, 2 if planar else 1), short(317, predictor)]
        found += [short(339, *[number] * samples)]
        if tile:
            return [*found, short(322, tile), short(323, tile), long(324, *places), long(325, *counts)]
        return [*found, long(273, *places), long(278, height), long(279, *counts)]

    start = 8 + len(directory(entries([0] * len(blocks)), 8, order))
    places = [start + sum(len(block) for block in blocks[:n]) for n in range(len(blocks))]
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + longs(8, order=order)
    return head + directory(entries(places), 8, order) + b"".join(blocks)


def _packed(values: NDArray[Any], predictor: int, deflate: bool) -> bytes:
    height, width, samples = values.shape
    if predictor == 2:
        whole = values.view(f"{values.dtype.byteorder}u{values.dtype.itemsize}").astype(np.uint64)
        differences = np.concatenate([whole[:, :1], whole[:, 1:] - whole[:, :-1]], axis=1)
        data = (differences & ((1 << 8 * values.dtype.itemsize) - 1)).astype(f"{values.dtype.byteorder}u{values.dtype.itemsize}").tobytes()
    elif predictor == 3:  # the highest bytes of a row first, then differences of all bytes
        swapped = np.ascontiguousarray(values.astype(values.dtype.newbyteorder(">")))
        planes = swapped.view(np.uint8).reshape(height, width * samples, -1).transpose(0, 2, 1).reshape(height, -1, samples)
        data = np.concatenate([planes[:, :1], planes[:, 1:] - planes[:, :-1]], axis=1).tobytes()
    else:
        data = values.tobytes()
    return zlib.compress(data) if deflate else data


def dng(pixels: NDArray[np.uint8], *, preview: bool = True, orientation: int = 1) -> bytes:
    """What a camera writes: the mosaic of its sensor, 16 bits, and a JPEG of the same in a TIFF."""
    height, width, _ = pixels.shape
    mosaic = pixels[..., 1].astype("<u2")
    mosaic[0::2, 0::2], mosaic[1::2, 1::2] = pixels[0::2, 0::2, 0], pixels[1::2, 1::2, 2]
    sensor, jpeg = (mosaic * 257).astype("<u2").tobytes(), saved(Image.fromarray(pixels), "JPEG", quality=95)

    def rationals(*values: int) -> bytes:
        return b"".join(struct.pack("<ii", value, 1) for value in values)

    camera: list[Entry] = [
        (50706, 1, 4, b"\1\4\0\0"), (50708, 2, 9, b"Test Cam\0"), (271, 2, 5, b"Test\0"), (272, 2, 9, b"Test Cam\0"),
        (274, 3, 1, shorts(orientation)), (306, 2, 20, b"2021:02:03 04:05:06\0"),
        (50721, 10, 9, rationals(1, 0, 0, 0, 1, 0, 0, 0, 1)), (50728, 5, 3, rationals(1, 1, 1)), (50778, 3, 1, shorts(21)),
    ]  # fmt: skip

    def image(at: int, bits: tuple[int, ...], compression: int, photometric: int, length: int) -> list[Entry]:
        return [
            (256, 4, 1, longs(width)), (257, 4, 1, longs(height)), (258, 3, len(bits), shorts(*bits)), (259, 3, 1, shorts(compression)),
            (262, 3, 1, shorts(photometric)), (273, 4, 1, longs(at)), (277, 3, 1, shorts(len(bits))), (278, 4, 1, longs(height)),
            (279, 4, 1, longs(length)),
        ]  # fmt: skip

    def raw(at: int) -> list[Entry]:
        pattern: list[Entry] = [(254, 4, 1, longs(0)), (33421, 3, 2, shorts(2, 2)), (33422, 1, 4, b"\0\1\1\2"), (50717, 4, 1, longs(65535))]
        return image(at, (16,), 1, 32803, len(sensor)) + pattern

    def small(at: int, sub: int) -> list[Entry]:
        return [*image(at, (8, 8, 8), 7, 6, len(jpeg)), (254, 4, 1, longs(1)), (330, 4, 1, longs(sub))]

    head = b"II*\0" + longs(8)
    if not preview:
        return head + directory(camera + raw(8 + len(directory(camera + raw(0), 8))), 8) + sensor
    sub = 8 + len(directory(camera + small(0, 0), 8))
    at = sub + len(directory(raw(0), sub))
    return head + directory(camera + small(at + len(sensor), sub), 8) + directory(raw(at), sub) + sensor + jpeg
