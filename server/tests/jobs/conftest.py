"""Jobs on the embedded stores and on real servers, like the library's own tests."""

from __future__ import annotations

import pytest

from tests.library.conftest import library, settings  # noqa: F401 - fixtures
from tsir.jobs.store import Jobs
from tsir.library.library import Library


@pytest.fixture
def jobs(library: Library) -> Jobs:  # noqa: F811
    return Jobs(library.stores.catalog.database)
