"""Name -> encoder: ONE table, open to other packages. Importing this module imports no model and no torch.

Another package brings an encoder by an entry point of the group `tsir.encoders`, whose name is what MODEL takes and whose object is a
function `load(settings) -> Encoder`:

    [project.entry-points."tsir.encoders"]
    my-encoder = "my_package.encoder:load"
"""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from tsir.encoders.base import Encoder
from tsir.encoders.relevance import read_calibration
from tsir.encoders.weights import models_folder
from tsir.errors import EncoderUnavailable, InvalidInput
from tsir.settings import Settings

log = logging.getLogger(__name__)

GROUP = "tsir.encoders"

EXTRAS = {"torch": ("torch", "open_clip", "safetensors")}
"""Modules that an extra installs and encoders need."""


@dataclass(frozen=True)
class Entry:
    """One encoder, or a family of them."""

    name: str
    """What MODEL takes; of a family, whose name ends with a colon, what MODEL begins with."""
    load: str
    """"module:function" of a function from Settings to the encoder; imported when it is loaded."""
    members: str = ""
    """What follows the name of a family."""
    extra: str | None = None
    """Which of EXTRAS it needs."""
    settings: frozenset[str] = frozenset()
    """Which of OPTIONS it heeds."""

    def matches(self, model: str) -> bool:
        return model.startswith(self.name) if self.name.endswith(":") else model == self.name


OPTIONS = frozenset({"weights", "device", "runtime", "precision", "torch_compile", "sketch_fit", "missing_part"})
"""The settings that are about encoders."""

TABLE = (
    Entry("lite", "tsir.encoders.lite.encoder:from_settings", settings=frozenset({"weights", "device"})),
    Entry("task-former", "tsir.encoders.task_former.encoder:load", extra="torch", settings=OPTIONS),
    Entry("open_clip:", "tsir.encoders.open_clip:load", members="ARCH/TAG", extra="torch", settings=OPTIONS),
)


def entries() -> tuple[Entry, ...]:
    """The encoders of this package, then those of others."""
    return (*TABLE, *(Entry(point.name, point.value) for point in sorted(entry_points(group=GROUP))))


def encoder_names() -> tuple[str, ...]:
    """What MODEL may be; of a family with what its members are called by."""
    return tuple(entry.name + entry.members for entry in entries())


def load_encoder(settings: Settings) -> Encoder:
    """Load the encoder that `settings.model` names, on `settings.device`.

    Raises InvalidInput for an unknown name, EncoderUnavailable when weights, an extra or the device are missing.
    """
    name = settings.model.strip()
    entry = next((entry for entry in entries() if entry.matches(name)), None)
    if entry is None:
        raise InvalidInput(f"There is no encoder {name!r}. MODEL can be: {', '.join(encoder_names())}.")
    if entry.extra:
        need_extra(entry.extra, f"The encoder {name!r}")
    if entry in TABLE and (idle := sorted((OPTIONS & settings.model_fields_set) - entry.settings)):
        log.info("The encoder %r does not use %s.", name, ", ".join(map(str.upper, idle)))
    try:
        load = EntryPoint(entry.name, entry.load, GROUP).load()
    except Exception as error:  # whatever importing a stranger's module raises
        raise EncoderUnavailable(f"The encoder {name!r} ({entry.load}) cannot be imported: {error or type(error).__name__}.") from error
    encoder = load(settings)
    if not isinstance(encoder, Encoder):
        raise EncoderUnavailable(f"What {entry.load} loads is no encoder: it must be a subclass of tsir.encoders.base.Encoder.")
    path = own_calibration(encoder, settings)
    try:
        encoder.calibration = read_calibration(path, encoder.fingerprint) or encoder.calibration
    except (OSError, ValueError) as error:
        raise EncoderUnavailable(f"{path} cannot be read ({error}): delete it, or write it anew with `tsir calibrate`.") from error
    return encoder


def own_calibration(encoder: Encoder, settings: Settings) -> Path:
    """Where `tsir calibrate` keeps what it found for an encoder; it goes before what comes with the weights."""
    return models_folder(settings) / f"relevance-{encoder.fingerprint}.json"


def need_extra(extra: str, what: str) -> None:
    """Raise EncoderUnavailable with the command that installs the extra, unless it is installed. `what` starts the sentence."""
    missing = [module for module in EXTRAS[extra] if importlib.util.find_spec(module) is None]
    if missing:
        raise EncoderUnavailable(
            f"{what} needs {', '.join(missing)}, which is not installed. "
            f"Run `make setup EXTRAS={extra}`, or use MODEL=lite, which needs nothing more."
        )
