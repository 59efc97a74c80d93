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
        ground = PILImage.new("RGBA", image.size, "white")
        return PILImage.alpha_composite(ground, image).convert("RGB")
    if image.mode.startswith(("I", "F")):
        return _eight_bits(image)
    return image if image.mode in ("L", "CMYK", "LAB", "RGB") else image.convert("RGB")


def _eight_bits(image: Image) -> Image:
    """Grey of 16 or 32 bits or float -> L. Integers are taken as 16 bits wide, floats as 0..1; what exceeds that is scaled to fit."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    top = float(values.max(initial=0))
    full = max(top, 1.0) if image.mode == "F" else (65535.0 if 255 < top <= 65535 or image.mode != "I" else max(top, 255.0))
    return PILImage.fromarray(np.clip(values * (255 / full), 0, 255).round().astype(np.uint8))


_local = threading.local()  # lcms transforms must not be shared between threads


def to_srgb(image: Image, profile: bytes | None) -> Image:
    """L, CMYK, LAB or RGB -> RGB in sRGB by the embedded profile, where there is one that fits."""
    if profile or image.mode == "LAB":
        cache: OrderedDict[Any, ImageCms.ImageCmsTransform | None] = _local.__dict__.setdefault("transforms", OrderedDict())
        key = (image.mode, profile)
        if key not in cache:
            cache[key] = _transform(image.mode, profile)
            if len(cache) > 16:
                cache.popitem(last=False)
        if transform := cache[key]:
            return transform.apply(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _transform(mode: str, profile: bytes | None) -> ImageCms.ImageCmsTransform | None:
    """None when the profile is sRGB already, does not fit the mode or is broken."""
    try:
        if not profile:
            return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), mode, "RGB")
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if space != {"L": "GRAY", "LAB": "Lab"}.get(mode, mode) or "srgb" in (source.profile.profile_description or "").lower():
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except Exception:  # a broken profile is no reason to refuse the picture
        return None
