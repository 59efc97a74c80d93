"""The small model that ships with the project: EfficientNet-Lite towers for photos and sketches, MiniLM for words."""

from tsir.encoders.lite.encoder import LiteEncoder, load

__all__ = ["LiteEncoder", "load"]
