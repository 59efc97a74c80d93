"""The encoders of a running process: the one that MODEL names, and others while a collection moves from one to another."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tsir.encoders.base import Encoder
from tsir.errors import EncoderMismatch
from tsir.records import Collection, EncoderInfo
from tsir.settings import Settings

Load = Callable[[Settings], Encoder]


def info(encoder: Encoder) -> EncoderInfo:
    """What a collection remembers of its encoder."""
    return EncoderInfo(encoder.name, encoder.fingerprint, encoder.dim)


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

    def of(self, collection: Collection) -> Encoder:
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
        raise mismatch(collection, self.main)

    def close(self) -> None:
        """Release what the encoders hold."""
        for encoder in {id(encoder): encoder for encoder in self._loaded.values()}.values():
            close = getattr(encoder, "close", None)
            if callable(close):
                close()
        self._loaded.clear()


def mismatch(collection: Collection, running: Encoder) -> EncoderMismatch:
    """The error for a collection of another encoder: names both, and the command that re-encodes."""
    built, name = collection.encoder, collection.name
    described = f"{built.name!r}" if built.name != running.name else f"{built.name!r} with other weights ({built.fingerprint})"
    before = " and the WEIGHTS that it was built with" if built.name == running.name else ""
    other = f"{running.name!r}" if built.name != running.name else f"{running.name!r} ({running.fingerprint})"
    return EncoderMismatch(
        f"The collection {name!r} was built with the encoder {described}, but the one that runs is {other}. "
        f"Re-encode it with `tsir reencode {name} --encoder {running.name}`, or start with MODEL={built.name}{before}."
    )
