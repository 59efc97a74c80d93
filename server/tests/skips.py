"""What a test does when a part that it needs is not on this machine."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def skip_or_fail(reason: str) -> NoReturn:
    """A missing part skips a test on a laptop and fails it in CI, where every part must be there."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
