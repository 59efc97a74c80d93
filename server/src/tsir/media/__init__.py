"""Bytes and files: formats, decoding, EXIF, colour, thumbnails, and the one durable writer. Knows no catalog and no model."""
