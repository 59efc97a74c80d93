"""Opening and closing the whole: stores, encoders, jobs and who runs them. For the server, the command line and programs."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator

from PIL import Image

from tsir.encoders.base import Encoder
from tsir.encoders.loaded import Encoders
from tsir.errors import EncoderMismatch, Forbidden, TsirError
from tsir.importing.mend import MEND, MendSpec, lost
from tsir.jobs.runner import JobRunner
from tsir.jobs.store import Jobs
from tsir.library.library import Library
from tsir.services.jobs import make_runner
from tsir.settings import Settings

log = logging.getLogger(__name__)

OPEN = 1_000
"""Jobs, or pictures, that are looked at at once."""

STOP_S = 30.0
"""How long a command's job gets to finish its batch after Ctrl-C; what is cut off is done again."""


def refuse_open(settings: Settings) -> None:
    """Raise Forbidden for a server that everybody could change, unless that is meant."""
    if settings.local or settings.keys or settings.allow_open:
        return
    where = f"PUBLISH={settings.publish}" if settings.publish else f"HOST={settings.host}"
    raise Forbidden(
        f"{where} lets other computers in, and without a key everyone there could see, change and delete everything. "
        "Set API_KEYS=some-long-secret, which the browser then asks for. If everyone is meant to, set ALLOW_OPEN=yes."
    )


class Service:
    """What use cases work with. Opening is in two parts, since each takes its time: `open_stores` and `load_encoder`, from any threads."""

    library: Library
    jobs: Jobs
    runner: JobRunner

    def __init__(
        self, settings: Settings, encoders: Encoders | None = None, *, library: Library | None = None, runner: JobRunner | None = None
    ) -> None:
        """Encoders, library and runner are made from the settings unless given; a given library is not closed."""
        self.settings = settings
        self.encoders = encoders or Encoders(settings)
        self._given = library
        self._opened: Library | None = library
        self._runner = runner
        self._warmed = False

    def open_stores(self, *, ahead: bool = False) -> None:
        """Open the library; jobs that a process which held it alone left running are queued again. Idempotent; `ahead`, and what it
        raises, as of `Library.open`."""
        if self._opened is None:
            self._opened = Library.open(self.settings, ahead=ahead)
        self.library = self._opened
        self.jobs = Jobs(self.library.stores.catalog.database)
        if self._given is None and self.library.stores.exclusive and (requeued := self.jobs.requeue_orphans()):
            log.info("%d jobs of the last run were interrupted and go on.", requeued)
        if self._runner is None:
            self._runner = make_runner(self.library, self.encoders, self.settings)
        self.runner = self._runner

    def load_encoder(self) -> None:
        """Load the encoder that MODEL names, and warm it up in the background. Idempotent; raises as `Encoders.named`."""
        encoder = self.encoders.main
        if not self._warmed:
            self._warmed = True
            threading.Thread(target=self._warm_up, args=(encoder,), name="warm-up", daemon=True).start()

    def make_default_collection(self) -> None:
        """Create the default collection for the running encoder; one of another encoder stays as it is.

        Where others are without it, somebody renamed or dropped it: it is made again when DEFAULT_TABLE is set, or something is imported.
        """
        names = [collection.name for collection in self.library.handles()]
        if names and self.settings.default_table not in names and "default_table" not in self.settings.model_fields_set:
            return
        try:
            if self.settings.default_table in names and self.library.stores.vectors.embedded:
                # Loading Milvus Lite takes longer than all else: who looks at pictures need not wait for it.
                self.library.collection(self.settings.default_table).expect(self.encoders.main.info)
            else:
                self.library.create(self.settings.default_table, self.encoders.main.info)
        except EncoderMismatch as error:
            log.warning("%s", error)

    def mend(self, name: str) -> str | None:
        """Vectors of a collection that are lost get encoded again by a job; returns a sentence about it, None when all are there."""
        owed = self.library.collection(name).owe()
        if not owed:
            return None
        self.runner.submit(name, MEND, MendSpec(), once=True)
        log.warning("%s", lost(owed, name))
        return lost(owed, name)

    def mend_all(self) -> None:
        """The same for all collections, and for pictures that never got their vectors; for the start of a server.

        What fails now, a check or the next start does.
        """
        try:
            names = [collection.name for collection in self.library.handles()]
        except TsirError as error:
            self.library.warn(error)
            return
        for name in names:
            try:
                if not self.mend(name):
                    self._finish(name)
            except TsirError as error:  # noqa: PERF203 - the others are mended
                self.library.warn(error)

    def _finish(self, name: str) -> None:
        """Pictures that wait for their vector, with no job at work on the collection, get one: a killed process left them."""
        if any(not job.over for job in self.jobs.list(OPEN, name)):
            return
        collection = self.library.collection(name)
        self.encoders.of(collection)
        after = 0
        while waiting := collection.unfinished(OPEN, after):
            after = waiting[-1].id
            if not all(image.missing for image in waiting):
                self.runner.submit(name, MEND, MendSpec(), once=True)
                log.info("Pictures of %r still wait for their vectors: they are encoded now.", name)
                return

    def _warm_up(self, encoder: Encoder) -> None:
        """The first query of each kind costs more than later ones; it need not be a person's."""
        try:
            encoder.texts(["a photo"])
            encoder.sketches([Image.new("RGB", (64, 64), "white")])
        except Exception as error:  # closed meanwhile, perhaps; what is really wrong, the next query says
            log.info("Warming up failed: %s", error)

    def stop_jobs(self, patience_s: float) -> None:
        """Hand running jobs back; they get `patience_s` seconds to finish their batch. Idempotent."""
        with contextlib.suppress(TsirError):
            if self._runner is not None:
                self._runner.stop(patience_s)

    def close(self, patience_s: float = STOP_S) -> None:
        """Stop jobs, which get `patience_s` seconds to finish their batch, then release encoders and stores. Idempotent."""
        self.stop_jobs(patience_s)
        self.encoders.close()
        if self._opened is not None and self._given is None:
            self._opened.close()


@contextlib.contextmanager
def opened(settings: Settings) -> Iterator[Service]:
    """The whole, for this process alone; closed at the end of the context."""
    service = Service(settings)
    try:
        service.open_stores()
        yield service
    finally:
        service.close()
