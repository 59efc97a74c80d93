"""Pictures whose pixels come from elsewhere than Pillow's decoders: size and metadata at once, the rest when asked for."""

from __future__ import annotations

from abc import abstractmethod

from PIL.Image import Image
from PIL.ImageFile import ImageFile


class LateImage(ImageFile):
    """Opened by `PIL.Image.open` like any other."""

    @abstractmethod
    def develop(self) -> Image:
        """The picture itself, upright but for what its EXIF says here; it may be smaller than `size`. Raises anything."""
