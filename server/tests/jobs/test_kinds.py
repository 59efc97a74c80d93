from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from tests.jobs.toys import COUNT, KINDS, CountSpec
from tsir.errors import InvalidInput
from tsir.jobs.kinds import Kind, Kinds
from tsir.jobs.model import Job


def job(kind: str, spec: Mapping[str, Any]) -> Job:
    now = datetime.now(timezone.utc)
    return Job(1, "photos", kind, spec, "queued", False, None, 0, 0, 0, 0.0, None, None, None, now, None, None)


def test_spec_is_read_as_its_kind_s_own_model() -> None:
    kind, spec = KINDS.read(job("count", {"upto": 3}))
    assert kind is COUNT
    assert spec == CountSpec(upto=3)
    assert (KINDS.title(job("count", {"upto": 3})), KINDS.uploads(job("count", {"upto": 3}))) == ("up to 3", ())


@pytest.mark.parametrize("spec", [{}, {"upto": "3"}, {"upto": 3, "by": 2}, {"upto": None}, {"upto": 1.5}])
def test_what_another_version_may_have_stored_is_refused_and_still_has_a_title(spec: Mapping[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="another version"):
        KINDS.read(job("count", spec))
    assert KINDS.title(job("count", spec)) == "count"


def test_kind_of_a_newer_version_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="'dream'"):
        KINDS.read(job("dream", {}))
    assert (KINDS.title(job("dream", {})), KINDS.uploads(job("dream", {}))) == ("dream", ())


BROKEN: list[Callable[[], Kinds[Any]]] = [
    lambda: Kinds((COUNT, COUNT)),
    lambda: Kinds((replace(COUNT, name="a kind whose name is too long"),)),
    lambda: Kinds((replace(COUNT, name=""),)),
    lambda: Kinds((Kind("idle", CountSpec, None, title=str),)),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("make", BROKEN)
def test_kinds_that_could_not_be_done_fail_at_the_start(make: Callable[[], Kinds[Any]]) -> None:
    with pytest.raises(ValueError):
        make()
