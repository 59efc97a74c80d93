"""Thousands of broken pictures of every format, decoded as an import does: `python -m tests.media.mutate 10000 [SEED]`.

Prints what became of them, how often decoders crashed, and the most memory that was held. Nothing is to be raised but sentences.
"""

from __future__ import annotations

import random
import re
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.media.made import dng, saved, tiff
from tsir.errors import InvalidImage, TooLarge
from tsir.media.apart import open_apart, processes
from tsir.media.formats import KNOWN, register


def seeds() -> list[bytes]:
    """Whole pictures of every format that is read here, in several of its ways."""
    pixels = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    pixels[:, :32] = (200, 30, 40)
    image, exif = Image.fromarray(pixels), Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Canon"
    exif.get_ifd(0x8769)[0x9003] = "2024:07:01 23:30:00"
    exif.get_ifd(0x8825).update({1: "S", 2: (33.0, 51.0, 36.0), 3: "E", 4: (151.0, 12.0, 40.0)})
    facts = {"exif": exif, "xmp": b'<x:xmpmeta exif:DateTimeOriginal="2024-07-01T23:30:00+01:00"/>'}

    def frames() -> dict[str, Any]:  # Pillow notes in an image how it was saved last
        return {"save_all": True, "append_images": [image.rotate(90), image.copy()]}

    made = [
        saved(image, "JPEG", **facts), saved(image, "JPEG", progressive=True), saved(image.convert("CMYK"), "JPEG"),
        saved(image, "MPO", **frames()),
        saved(image, "PNG", exif=exif), saved(image.convert("P"), "PNG", transparency=3), saved(image, "PNG", **frames()),
        saved(image, "GIF", **frames()), saved(image, "BMP"), saved(image.convert("P"), "BMP"),
        saved(image, "WEBP", **facts), saved(image, "WEBP", lossless=True, **frames()), saved(image, "AVIF", **facts),
        saved(image, "TIFF", compression="tiff_lzw"), saved(image, "TIFF", compression="jpeg"), saved(image, "TIFF", **frames()),
        tiff(pixels / np.float32(255), 2, deflate=True, predictor=3),
        tiff(pixels.astype("u2") * 257, 8, tile=32, deflate=True, predictor=2),
    ]  # fmt: skip
    for format in KNOWN:
        if format.readable and format.name == "HEIC":
            register(format)
            made.append(saved(image, "HEIF", **facts))
        elif format.readable and format.name == "RAW":
            made += [dng(pixels), dng(pixels, preview=False)]
        elif format.readable and format.name == "JXL":
            import pillow_jxl  # noqa: F401 - it registers itself

            made.append(saved(image, "JXL"))
    return made


LENGTHS = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4), b"\0\0\xff\xff", b"\x80\0\0\0")


def mutated(count: int, seed: int) -> Iterator[bytes]:
    """Seeds with bits turned, ends cut, parts moved, repeated and mixed, and lengths made huge."""
    chance, whole = random.Random(seed), seeds()
    for number in range(count):
        data = bytearray(whole[number % len(whole)])
        for _ in range(chance.choice((1, 1, 2, 3, 8))):
            at, length = chance.randrange(len(data)), chance.choice((1, 2, 4, 16, 200))
            early = chance.randrange(min(len(data), 600))  # headers are where lengths and sizes are
            match chance.randrange(7):
                case 0:
                    data[at] ^= 1 << chance.randrange(8)
                case 1:
                    data[early] = chance.randrange(256)
                case 2:
                    data[early : early + 4] = chance.choice(LENGTHS)
                case 3:
                    del data[max(at, 8) :]
                case 4:
                    del data[at : at + length]
                case 5:
                    other = whole[chance.randrange(len(whole))]
                    start = chance.randrange(len(other))
                    data[at:at] = other[start : start + length]
                case _:
                    data[at:at] = data[at : at + length] * chance.choice((1, 3, 50))
            if not data:
                data = bytearray(b"\0")
        yield bytes(data)


def survey(count: int, seed: int) -> Counter[str]:
    """What became of so many: "read", or the sentence, its numbers as N. Raises what is no sentence."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:

        def one(numbered: tuple[int, bytes]) -> str:
            path = Path(folder) / f"{numbered[0]}"
            path.write_bytes(numbered[1])
            try:
                picture = open_apart(path, max_bytes=2**26, max_pixels=200_000_000, min_side=256, min_long_side=768)
            except (InvalidImage, TooLarge) as error:
                return re.sub(r"\(.*-bit.*?\)|[\d,.]*\d", "N", str(error))
            finally:
                path.unlink()
            assert picture.image.mode == picture.as_stored.mode == "RGB"
            return "read, cut off" if picture.missing else "read"

        found: Counter[str] = Counter()
        for start in range(0, count, 1000):
            part = [data for number, data in enumerate(mutated(count, seed)) if start <= number < start + 1000]
            found.update(pool.map(one, enumerate(part)))
        return found


def _most(process: int | str) -> int:
    """Megabytes that a process held at most."""
    return int(re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{process}/status").read_text())[0]) // 1024


def main() -> None:
    found = survey(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    for sentence, number in found.most_common():
        sys.stdout.write(f"{number:7,}  {sentence}\n")
    ended = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    decoding = [_most(process) for process in processes()]
    sys.stdout.write(f"MB held at most: here {_most('self')}, decoding {decoding}, those that ended {ended}\n")


if __name__ == "__main__":
    main()
