"""What lets the stages of a job overlap: iterators that run ahead in threads of their own, and a stop that wakes everyone."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from types import TracebackType
from typing import Generic, ParamSpec, TypeVar

from tsir.errors import StoreUnavailable

A = TypeVar("A")
T = TypeVar("T")
P = ParamSpec("P")

FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 3.0
"""Between two attempts to reach a store that is away: a job goes on this soon after it is back."""


class Stopped(Exception):
    """The work was asked to stop before its end."""


class Line:
    """A line of stages, each in its own thread, that stop together.

    Used as a context: leaving it closes every stage. Threads end as soon as the call they are in returns; nobody waits for them.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._stages: list[Ahead[object]] = []
        self._lock = threading.Lock()
        self.waiting_for: str | None = None
        """The sentence of the store that is waited for, if one is away."""

    def ahead(self, source: Iterable[T], size: int, name: str) -> Iterator[T]:
        """Run `source` in a thread of its own, at most `size` items ahead of the consumer."""
        stage = Ahead(source, size, name)
        with self._lock:
            self._stages = [*(other for other in self._stages if not other.over), stage]  # type: ignore[list-item]
            stopped = self._stop.is_set()
        if stopped:
            stage.close()
        return stage

    def stop(self) -> None:
        """Make every stage raise Stopped. From any thread, any number of times."""
        self._stop.set()
        with self._lock:
            stages = list(self._stages)
        for stage in stages:
            stage.close()

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    def patiently(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call until the stores answer. The call must be idempotent. Raises Stopped, and what the call raises otherwise.

        Only StoreUnavailable is waited for: what a store refuses, it would refuse for ever.
        """
        wait = FIRST_WAIT_S
        while not self._stop.is_set():
            try:
                result = call(*args, **kwargs)
            except StoreUnavailable as error:  # noqa: PERF203
                self.waiting_for = str(error)
                self._stop.wait(wait)
                wait = min(wait * 2, LONGEST_WAIT_S)
            else:
                self.waiting_for = None
                return result
        raise Stopped

    def __enter__(self) -> Line:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


class Ahead(Generic[T]):
    """An iterator whose items are made in a thread of its own, at most `size` ahead: memory stays bounded."""

    def __init__(self, source: Iterable[T], size: int, name: str) -> None:
        self._source = source
        self._size = size
        self._items: deque[T] = deque()
        self._error: BaseException | None = None
        self.over = self._closed = False
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name=name).start()

    def _run(self) -> None:
        try:
            for item in self._source:
                with self._changed:
                    self._changed.wait_for(lambda: self._closed or len(self._items) < self._size)
                    if self._closed:
                        break
                    self._items.append(item)
                    self._changed.notify_all()
        except BaseException as error:
            self._error = error
        finally:
            del self._source  # a generator's `finally` runs here, in the thread that ran the rest of it
            with self._changed:
                self.over = True
                self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._changed:
            self._changed.wait_for(lambda: self._items or self.over or self._closed)
            if self._closed:
                raise Stopped
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            if self._error is not None:
                raise self._error
            raise StopIteration

    def close(self) -> None:
        """Wake both sides: the consumer gets Stopped, the thread ends."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


def in_order(pool: Executor, call: Callable[[A], T], items: Iterable[A], window: int) -> Iterator[T]:
    """Results of a call on each item, by the pool's threads, in the order of the items.

    At most `window` calls are under way or wait for their result to be taken, so that memory stays bounded. Raises what a call raises.
    """
    running: deque[Future[T]] = deque()
    try:
        for item in items:
            running.append(pool.submit(call, item))
            if len(running) >= window:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        for future in running:
            future.cancel()
