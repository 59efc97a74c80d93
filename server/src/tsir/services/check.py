"""Compare what is stored, mend it, and encode what turned out to lack a vector."""

from __future__ import annotations

from dataclasses import dataclass

from tsir.importing.mend import encode_unfinished
from tsir.jobs.model import JobFailure
from tsir.library.check import check
from tsir.records import CheckReport
from tsir.services.opening import Service
from tsir.services.pictures import make_thumbnails


@dataclass(frozen=True)
class Checked:
    """What was found, and what was encoded again."""

    report: CheckReport
    encoded: int
    """Pictures that got a vector."""
    unreadable: list[JobFailure]
    """Pictures that could not get one, and why."""


def check_library(service: Service, *, repair: bool) -> Checked:
    """See `tsir.library.check`; with `repair`, pictures without a vector are encoded from their files."""
    library = service.library
    report = check(
        library, repair, lambda image: make_thumbnails(library, image, service.settings), working=lambda: service.jobs.open_count() > 0
    )
    encoded, unreadable = encode_unfinished(library, service.encoders.of, service.settings) if repair else (0, [])
    return Checked(report, encoded, unreadable)
