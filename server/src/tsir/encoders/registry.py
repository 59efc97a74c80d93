"""Name -> encoder. Importing this module imports no model and no torch."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from tsir.encoders.base import Encoder
from tsir.errors import EncoderUnavailable, InvalidInput
from tsir.settings import Settings

OPEN_CLIP = "open_clip:"


def encoder_names() -> tuple[str, ...]:
    """What MODEL may be; the last stands for every architecture and tag of open_clip."""
    return ("lite", "task-former", f"{OPEN_CLIP}ARCH/TAG")


def load_encoder(settings: Settings) -> Encoder:
    """Load the encoder that `settings.model` names, on `settings.device`.

    Raises InvalidInput for an unknown name, EncoderUnavailable when weights, an extra or the device are missing.
    """
    name = settings.model.strip()
    if name == "lite":
        from tsir.encoders import lite

        if settings.weights is None:
            return lite.load(device=settings.device)
        return lite.load(device=settings.device, folder=Path(settings.weights).expanduser())
    if name == "task-former":
        need_torch(f"The encoder {name!r}")
        from tsir.encoders.task_former import encoder as task_former

        return task_former.load(settings)
    if name.startswith(OPEN_CLIP):
        need_torch(f"The encoder {name!r}")
        from tsir.encoders import open_clip

        return open_clip.load(settings)
    raise InvalidInput(f"There is no encoder {name!r}. MODEL can be: {', '.join(encoder_names())}.")


def need_torch(what: str) -> None:
    """Raise EncoderUnavailable with the command that installs the extra, unless it is installed. `what` starts the sentence."""
    missing = [module for module in ("torch", "open_clip", "safetensors") if importlib.util.find_spec(module) is None]
    if missing:
        raise EncoderUnavailable(
            f"{what} needs {', '.join(missing)}, which is not installed. "
            "Run `make setup EXTRAS=torch`, or use MODEL=lite, which needs nothing more."
        )
