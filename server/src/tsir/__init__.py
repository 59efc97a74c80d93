"""Image retrieval with text and sketch."""

__version__ = "0.1.0"
