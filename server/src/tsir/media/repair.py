"""What viewers show although its file breaks the rules: the same picture again, without what nobody needs to see it.

Asked only when a file could not be read as it is. Nothing here decodes a pixel, and no answer is much longer than the file.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

from tsir.media.formats import Format

MAX_PROFILE = 2**24
"""Bytes of a colour profile that is kept, unpacked."""


def variants(data: bytes, kind: Format) -> Iterator[bytes]:
    """Other bytes for the same picture, the best first."""
    if kind.name == "PNG":
        yield from _png(data)
    elif kind.name == "JPEG":
        yield from _jpeg(data)
    elif kind.name == "WEBP":
        yield from _webp(data)
    elif kind.name in ("HEIC", "AVIF"):
        # The items' types stand in the first box: one of an unknown type is passed over.
        yield re.sub(rb"(infe.{8})Exif|(infe.{8})mime", lambda item: item[0][:-4] + b"none", data[:65536], flags=re.DOTALL) + data[65536:]


def _png(data: bytes) -> Iterator[bytes]:
    """The chunks that make the picture, all with right checksums; then without the others."""
    needed = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"sRGB"}
    kept = {*needed, b"eXIf", b"iCCP", b"acTL", b"fcTL", b"fdAT"}
    for wanted in (kept, needed):
        out = [data[:8]]
        for name, body in _png_chunks(data):
            if name not in wanted and not (name == b"iTXt" and body.startswith(b"XML:com.adobe.xmp\0") and wanted is kept):
                continue
            if name == b"iCCP":
                body = _small_profile(body)
                if not body:
                    continue
            out.append(struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)))
        yield b"".join(out)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents; a chunk whose length is nonsense ends where the next known one begins."""
    at, known = 8, re.compile(rb"IDAT|IEND|PLTE|tRNS")
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        if not name.isalpha():
            found = known.search(data, at)
            if not found:
                return
            at = found.start() - 4
            continue
        end = at + 8 + length
        if end > len(data):
            found = known.search(data, at + 8)
            end = found.start() - 8 if found else len(data)
        yield name, data[at + 8 : max(end, at + 8)]
        if name == b"IEND":
            return
        at = max(end, at + 8) + 4


def _small_profile(body: bytes) -> bytes:
    """The chunk of a colour profile if Pillow takes it, else empty: it unpacks no more than a megabyte of any chunk."""
    name, _, packed = body.partition(b"\0")
    unpack = zlib.decompressobj()
    try:
        profile = unpack.decompress(packed[1:], 2**20)
    except zlib.error:
        return b""
    return b"" if unpack.unconsumed_tail or not profile else name[:79] + b"\0\0" + packed[1:]


def big_profile(data: bytes, kind: Format) -> bytes | None:
    """The colour profile of a PNG that is too big for Pillow, unpacked, if there is one."""
    if kind.name != "PNG":
        return None
    for name, body in _png_chunks(data):
        if name == b"iCCP":
            unpack = zlib.decompressobj()
            try:
                profile = unpack.decompress(body.partition(b"\0")[2][1:], MAX_PROFILE)
            except zlib.error:
                return None
            return None if unpack.unconsumed_tail else profile
        if name == b"IDAT":
            return None
    return None


def _jpeg(data: bytes) -> Iterator[bytes]:
    """The segments that make the picture, with EXIF, XMP and profile where these are whole; then without those."""
    for wanted in (True, False):
        out, at = [b"\xff\xd8"], 2
        while at + 4 <= len(data):
            at = data.find(b"\xff", at)
            if at < 0 or at + 4 > len(data):
                break
            marker = data[at + 1]
            if marker in (0, 1, 0xD8, 0xFF) or 0xD0 <= marker <= 0xD7:  # filling, and what stands alone
                at += 1 + (marker != 0xFF)
                continue
            if marker == 0xD9:
                break
            length = int.from_bytes(data[at + 2 : at + 4], "big")
            body = data[at : at + 2 + length]
            if marker == 0xDA:  # the rest is the picture
                out.append(data[at:])
                yield b"".join(out)
                break
            comfort = 0xE0 <= marker <= 0xEF or marker == 0xFE
            follows = data[at + 2 + length : at + 3 + length] == b"\xff"
            if marker == 0xEE or not comfort or (wanted and follows and marker in (0xE1, 0xE2)):
                out.append(body)
            # The length of what is not needed may be nonsense: look for the next marker then.
            at += 2 + length if follows or not comfort else 2


def _webp(data: bytes) -> Iterator[bytes]:
    """The chunks that make the picture."""
    out, at, extended = [], 12, b""
    while at + 8 <= len(data):
        name, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + length]
        if name == b"VP8X" and len(body) >= 10:
            extended = bytes([body[0] & 0b00010010]) + body[1:10]  # alpha and animation stay
        elif name in (b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"):
            out.append(name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2))
        at += 8 + length + length % 2
    if extended:
        out.insert(0, b"VP8X" + struct.pack("<I", 10) + extended)
    body = b"WEBP" + b"".join(out)
    yield b"RIFF" + struct.pack("<I", len(body)) + body
