"""What the file system says of the places where pictures lie."""

from __future__ import annotations

from pathlib import Path


def vanished(path: str) -> bool:
    """Whether the file is gone, and not just out of reach (permissions, a network drive that hangs)."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
