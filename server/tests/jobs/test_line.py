from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tsir.errors import NotFound, StoreRefused, StoreUnavailable
from tsir.jobs.line import Line, Stopped, in_order


def test_items_keep_their_order_and_run_only_so_far_ahead() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    with Line() as line:
        stage = line.ahead(source(), 3, "test")
        got = []
        for number in stage:
            got.append(number)
            assert len(made) <= number + 1 + 3 + 1  # this one, three waiting, one in hand
    assert got == list(range(100))


def test_error_of_a_stage_reaches_the_consumer_after_what_came_before() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise NotFound("There is nothing.")

    with Line() as line:
        stage = line.ahead(line.ahead(source(), 1, "first"), 1, "second")
        assert next(stage) == 1
        with pytest.raises(NotFound):
            next(stage)


def test_stop_wakes_a_waiting_consumer_and_ends_all_threads() -> None:
    before = threading.active_count()
    gate = threading.Event()

    def source() -> Iterator[int]:
        gate.wait()
        yield 1

    with Line() as line:
        stage = line.ahead(line.ahead(source(), 1, "first"), 1, "second")
        threading.Timer(0.05, line.stop).start()
        with pytest.raises(Stopped):
            next(stage)
    gate.set()
    for thread in threading.enumerate():
        if thread.name in ("first", "second"):
            thread.join(5)
    assert threading.active_count() <= before + 1  # the timer may still end


def test_stage_of_a_stopped_line_never_gives_anything() -> None:
    line = Line()
    line.stop()
    with pytest.raises(Stopped):
        next(line.ahead(iter([1]), 1, "late"))


def test_patience_outlasts_an_outage_and_says_what_it_waits_for() -> None:
    line, seen = Line(), []

    def call(value: int) -> int:
        seen.append(line.waiting_for)
        if len(seen) < 3:
            raise StoreUnavailable(f"Down {len(seen)}.")
        return value

    assert line.patiently(call, 7) == 7
    assert seen == [None, "Down 1.", "Down 2."]
    assert line.waiting_for is None


def test_patience_ends_with_a_stop() -> None:
    line = Line()

    def call() -> None:
        line.stop()
        raise StoreUnavailable("Down.")

    with pytest.raises(Stopped):
        line.patiently(call)


def test_what_a_store_refuses_is_not_waited_for() -> None:
    calls: list[int] = []

    def call() -> None:
        calls.append(1)
        raise StoreRefused("It knows no such field.")

    with pytest.raises(StoreRefused, match="no such field"):
        Line().patiently(call)
    assert len(calls) == 1


def test_results_keep_their_order_and_only_a_window_is_under_way() -> None:
    begun: list[int] = []

    def double(number: int) -> int:
        begun.append(number)
        return 2 * number

    with ThreadPoolExecutor(4) as pool:
        for taken, result in enumerate(in_order(pool, double, range(50), 5)):
            assert result == 2 * taken
            assert len(begun) <= taken + 5
    assert sorted(begun) == list(range(50))


def test_error_of_a_call_comes_in_its_place() -> None:
    def call(number: int) -> int:
        if number == 2:
            raise NotFound("There is nothing.")
        return number

    with ThreadPoolExecutor(4) as pool:
        results = in_order(pool, call, range(10), 4)
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(NotFound):
            next(results)
