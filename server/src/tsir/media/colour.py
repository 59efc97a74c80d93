"""Colours of any kind -> 8-bit RGB in sRGB, transparency on white."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from typing import Any

import numpy as np
from PIL import Image as PILImage
from PIL import ImageCms
from PIL.Image import Image


def flatten(image: Image) -> Image:
    """Any mode -> L, CMYK, LAB or RGB, 8 bits, transparency on white."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = PILImage.new("RGB", image.size, "white")
        ground.paste(image, mask=image)  # the pixels of `alpha_composite`, in a third of its time
        return ground
    if image.mode.startswith(("I", "F")):
        return _eight_bits(image)
    return image if image.mode in ("L", "CMYK", "LAB", "RGB") else image.convert("RGB")


def _eight_bits(image: Image) -> Image:
    """Grey of 16 or 32 bits or float -> L. Integers are taken as 16 bits wide, floats as 0..1; what exceeds that is scaled to fit."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    top = float(values.max(initial=0))
    full = max(top, 1.0) if image.mode == "F" else (65535.0 if 255 < top <= 65535 or image.mode != "I" else max(top, 255.0))
    return PILImage.fromarray(np.clip(values * (255 / full), 0, 255).round().astype(np.uint8))


SCREEN = 2.2
"""Exponent of sRGB, nearly."""

SAME = 3
"""Levels of 255 by which a profile may move colours and still be sRGB: there are many slightly different ones."""

_local = threading.local()  # lcms transforms must not be shared between threads


def to_srgb(image: Image, profile: bytes | None, gamma: float | None = None) -> Image:
    """L, CMYK, LAB or RGB -> RGB in sRGB by the embedded profile, where there is one that fits, else by the exponent that a PNG names."""
    if profile or image.mode == "LAB":
        cache: OrderedDict[Any, ImageCms.ImageCmsTransform | None] = _local.__dict__.setdefault("transforms", OrderedDict())
        key = (image.mode, profile)
        if key not in cache:
            cache[key] = _transform(image.mode, profile)
            if len(cache) > 16:
                cache.popitem(last=False)
        if transform := cache[key]:
            return transform.apply(image)
    image = image if image.mode == "RGB" else image.convert("RGB")
    if not profile and gamma and 0.1 < gamma < 10 and abs(gamma * SCREEN - 1) > 0.1:
        image = image.point([round(255 * (level / 255) ** (1 / (gamma * SCREEN))) for level in range(256)] * 3)
    return image


_PROBE = PILImage.fromarray(np.indices((5, 5, 5), np.uint8).reshape(3, 1, 125).transpose(1, 2, 0).copy() * 63)
"""Colours from all over RGB."""


def _transform(mode: str, profile: bytes | None) -> ImageCms.ImageCmsTransform | None:
    """None when the profile is sRGB already (by what it does: a linear one has "sRGB" in its name, too), does not fit or is broken."""
    try:
        if not profile:
            return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), mode, "RGB")
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if space != {"L": "GRAY", "LAB": "Lab"}.get(mode, mode):
            return None
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        if mode != "RGB":
            return transform
        moved = np.abs(np.asarray(transform.apply(_PROBE), np.int16) - np.asarray(_PROBE, np.int16))
        return transform if moved.max() > SAME else None
    except Exception:  # a broken profile is no reason to refuse the picture
        return None
