"""The encoders of a running process: the one that MODEL names, and others while a collection moves from one to another."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Protocol

from tsir.encoders.base import Encoder
from tsir.errors import encoder_mismatch
from tsir.records import CollectionState, EncoderInfo
from tsir.settings import Settings


class Served(Protocol):
    """A collection, as far as it matters which encoder made its vectors."""

    @property
    def name(self) -> str: ...
    @property
    def encoder(self) -> EncoderInfo: ...
    @property
    def state(self) -> CollectionState: ...


Load = Callable[[Settings], Encoder]


def load_batched(settings: Settings) -> Encoder:
    """The encoder that MODEL names, with concurrent calls gathered into batches."""
    from tsir.encoders.batching import Batched
    from tsir.encoders.registry import load_encoder

    return Batched(load_encoder(settings))


class Encoders:
    """Loads each encoder once and keeps it. Safe to use from many threads."""

    def __init__(self, settings: Settings, main: Encoder | None = None, load: Load = load_batched) -> None:
        self._settings = settings
        self._load = load
        self._loaded: dict[str, Encoder] = {} if main is None else {settings.model: main, main.name: main}
        # Two callers may ask for an encoder that neither has loaded; loading takes seconds and hundreds of megabytes.
        self._loading = threading.Lock()

    def begin(self) -> None:
        """Load the main encoder in a thread. Returns at once; who asks for it meanwhile waits, and is told when it cannot be loaded."""

        def load() -> None:
            with contextlib.suppress(Exception):
                self.named(self._settings.model)

        threading.Thread(target=load, name="load-encoder", daemon=True).start()

    @property
    def main(self) -> Encoder:
        """The encoder that MODEL names; loads it at the first use."""
        return self.named(self._settings.model)

    def named(self, name: str) -> Encoder:
        """The encoder of a name. Raises InvalidInput for an unknown name, EncoderUnavailable when it cannot be loaded."""
        if encoder := self._loaded.get(name):
            return encoder
        with self._loading:
            if name not in self._loaded:
                own = name == self._settings.model
                settings = self._settings if own else self._settings.model_copy(update={"model": name, "weights": None})
                encoder = self._load(settings)
                self._loaded[name] = self._loaded.setdefault(encoder.name, encoder)
            return self._loaded[name]

    def of(self, collection: Served) -> Encoder:
        """The encoder whose vectors the collection serves now.

        That is the running one, or one that is loaded because the collection moves to or from it. Raises EncoderMismatch otherwise.
        """
        wanted = collection.encoder
        for encoder in [*self._loaded.values(), self.main]:
            if encoder.fingerprint == wanted.fingerprint:
                return encoder
        if collection.state == "reencoding":
            encoder = self.named(wanted.name)
            if encoder.fingerprint == wanted.fingerprint:
                return encoder
        raise encoder_mismatch(collection.name, wanted, self.main.info)

    def close(self) -> None:
        """Release what the encoders hold."""
        for encoder in {id(encoder): encoder for encoder in self._loaded.values()}.values():
            encoder.close()
        self._loaded.clear()
