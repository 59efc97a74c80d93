"""The workers of a Ray cluster, or of one that is started here. Importing this module does not import ray."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
from typing import Any

from tsir.errors import EncoderUnavailable, InvalidInput, StoreUnavailable, TsirError
from tsir.importing.parts.listing import Part
from tsir.importing.parts.making import Maker
from tsir.importing.parts.planning import WorkerLost
from tsir.settings import Settings

LOCAL = "local"
"""Address of a cluster that is started here, for this import alone."""

AHEAD = 2
"""Parts that a worker has: the one that it makes, and the next."""

ATTEMPTS = 2
"""So often a part is given to another worker when one died over it."""

STARTS = 3
"""So often a cluster is started here: Ray gives up after half a minute, which a busy machine may need."""

WORKER_SETTINGS = ("model", "weights", "device", "runtime", "precision", "batch_size", "max_upload_bytes", "max_pixels")
"""What of the settings a worker needs. None of them is a secret."""


class RayPool:
    """Actors on a cluster, a core (or a GPU) each unless told otherwise; Ray starts a new one where one dies."""

    def __init__(self, address: str, settings: Settings, shelf: str, workers: int | None = None, cores: int = 1) -> None:
        """Raises InvalidInput for an address that is none, EncoderUnavailable without the extra, StoreUnavailable when nobody answers.

        `workers`: how many; None: as many as the cluster has room for. A worker gets a whole GPU when DEVICE is cuda.
        """
        if importlib.util.find_spec("ray") is None:
            raise EncoderUnavailable("Importing on a cluster needs ray, which is not installed. Run `make setup EXTRAS=ray`.")
        import ray

        self._ray = ray
        if address != LOCAL and "://" not in address and ":" not in address and address != "auto":
            raise InvalidInput(f"{address!r} is no address of a Ray cluster: it is local, auto, HOST:PORT or ray://HOST:PORT.")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if address == LOCAL:
            os.environ.setdefault("RAY_worker_niceness", "0")  # else 15: whatever else this machine does would come first
        self._own = not ray.is_initialized()
        if self._own:
            self._connect(address)
        gpus = 1 if settings.device.startswith("cuda") else 0
        have: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        room = int(have.get("GPU", 0)) if gpus else int(have.get("CPU", 1)) // cores
        count = max(1, workers or room)
        needs = settings.model_dump(include=set(WORKER_SETTINGS), exclude_unset=True)
        actor: Any = ray.remote(num_cpus=cores, num_gpus=gpus, max_restarts=-1, max_task_retries=ATTEMPTS)(_Actor)
        # Workers that share a machine's cores among them keep to their own: each one's encoder would else count on all of them.
        pinned = address == LOCAL and not gpus
        self._actors = [actor.remote(needs, shelf, cores, each * cores if pinned else None) for each in range(count)]
        self._load = [0] * count
        self._running: dict[Any, tuple[int, Part]] = {}
        self.capacity = count * AHEAD

    def _connect(self, address: str) -> None:
        tries = STARTS if address == LOCAL else 1
        for left in reversed(range(tries)):
            try:
                self._ray.init(
                    address=address,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    include_dashboard=False if address == LOCAL else None,
                )
            except Exception as error:  # noqa: PERF203 - ray raises bare ones, too
                self._ray.shutdown()
                if not left:
                    raise StoreUnavailable(f"The Ray cluster {address!r} does not answer: {str(error).splitlines()[0]}") from error
            else:
                return

    def start(self, part: Part) -> None:
        worker = min(range(len(self._actors)), key=lambda each: self._load[each])
        self._load[worker] += 1
        self._running[self._actors[worker].make.remote(part)] = (worker, part)

    def wait(self, timeout_s: float) -> list[tuple[Part, Exception | None]]:
        ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=timeout_s)
        ended = []
        for reference in ready:
            worker, part = self._running.pop(reference)
            self._load[worker] -= 1
            ended.append((part, self._outcome(reference)))
        return ended

    def _outcome(self, reference: Any) -> Exception | None:
        exceptions = self._ray.exceptions
        try:
            self._ray.get(reference)
        except exceptions.RayTaskError as error:
            cause = error.cause
            return cause if isinstance(cause, TsirError) else StoreUnavailable(f"A worker failed: {cause}")
        except (exceptions.RayActorError, exceptions.WorkerCrashedError, exceptions.OutOfMemoryError, exceptions.ObjectLostError) as error:
            return WorkerLost(str(error))
        return None

    def close(self) -> None:
        """Stop the workers; a cluster that was started here ends."""
        for actor in self._actors:
            with contextlib.suppress(Exception):
                self._ray.kill(actor)
        if self._own:
            self._ray.shutdown()


class _Actor:
    """What runs on the cluster."""

    def __init__(self, needs: dict[str, Any], shelf: str, cores: int, first_core: int | None) -> None:
        self._maker = Maker(Settings(**needs, _env_file=None), shelf, cores, first_core)

    def make(self, part: Part) -> str:
        return self._maker.make(part)
