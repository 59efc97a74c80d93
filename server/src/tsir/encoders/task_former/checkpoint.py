"""Reading, checking, fingerprinting and converting checkpoints of TASK-former: the authors' `.pt`, or safetensors."""

from __future__ import annotations

import hashlib
import logging
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from tsir.encoders.task_former.model import TaskFormer, TaskFormerConfig
from tsir.errors import EncoderUnavailable, InvalidInput

log = logging.getLogger(__name__)

VERSION = "task-former/1"
"""Part of the fingerprint: a new number when architecture or preprocessing changes what the same weights give."""

OPTIONAL = frozenset({"logit_scale"})
"""Used in training only."""


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint under plain names, without executing anything in the file.

    Knows safetensors and torch's format, `{"state_dict": {...}}` or bare, with or without `module.` before the names.
    Raises EncoderUnavailable with the reason.
    """
    try:
        content: Any = _read(path)
    except OSError as error:
        raise EncoderUnavailable(f"The weights {path} cannot be read: {error.strerror or error}.") from error
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise EncoderUnavailable(
            f"The file {path} holds no weights that can be read safely ({first}). It must be a torch checkpoint of tensors, or safetensors."
        ) from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise EncoderUnavailable(f"The file {path} holds no table of weights under `state_dict`.")
    tensors = {name: tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}
    if tensors and all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return tensors


def _read(path: Path) -> Any:
    with path.open("rb") as file:
        head = file.read(9)
    if head[8:9] == b"{":
        import safetensors
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except safetensors.SafetensorError as error:
            raise ValueError(str(error)) from error
    return torch.load(path, map_location="cpu", weights_only=True, mmap=head[:4] == b"PK\x03\x04")


def used_state(state: Mapping[str, Tensor], path: Path | str) -> tuple[TaskFormerConfig, dict[str, Tensor]]:
    """The tensors that encoding uses, and the shapes they tell. `path` is for the messages.

    Raises EncoderUnavailable naming what is missing or has another shape; logs one line about what is not used.
    """
    try:
        config = TaskFormerConfig.from_state_dict(state)
    except (KeyError, IndexError):
        config = TaskFormerConfig()
    with torch.device("meta"):
        wanted = {name: tensor.shape for name, tensor in TaskFormer(config).state_dict().items() if name not in OPTIONAL}
    missing = [name for name in wanted if name not in state]
    if missing:
        hint = ""
        if all(name.startswith("visual2.") for name in missing):
            hint = " The whole sketch tower is missing: these look like the weights of CLIP. Use MODEL=open_clip:ARCH/TAG for those."
        raise EncoderUnavailable(f"The weights {path} lack {len(missing)} tensors of TASK-former: {_some(missing)}.{hint}")
    other = [f"{name} {tuple(state[name].shape)} instead of {tuple(shape)}" for name, shape in wanted.items() if state[name].shape != shape]
    if other:
        raise EncoderUnavailable(f"The weights {path} have {len(other)} tensors of another shape: {_some(other)}.")
    unused = sorted(set(state) - set(wanted) - OPTIONAL)
    if unused:
        log.info("%s: %d tensors are not used for encoding (%s)", path, len(unused), _some(unused))
    return config, {name: state[name] for name in wanted}


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def fingerprint(state: Mapping[str, Tensor], version: str = VERSION) -> str:
    """Hash of the weights that encoding uses, 16 hex digits: the same for the authors' file and its fp16 or fp32 conversion."""
    digest = hashlib.sha256(version.encode())
    for name in sorted(state):
        tensor = state[name].detach().to(torch.float16).contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:16]


def load_model(config: TaskFormerConfig, state: Mapping[str, Tensor]) -> TaskFormer:
    """The model with these weights, in fp32, for encoding."""
    with torch.device("meta"):
        model = TaskFormer(config)
    model.load_state_dict({**{name: tensor.float() for name, tensor in state.items()}, "logit_scale": torch.zeros(())}, assign=True)
    return model.eval().requires_grad_(False)


def convert(source: Path, target: Path, precision: Literal["fp16", "fp32"] = "fp16") -> int:
    """Write the tensors that encoding uses as safetensors. Returns the bytes written.

    Raises InvalidInput for an unknown precision or a target that is the source, EncoderUnavailable for a source that is not TASK-former's.
    """
    if precision not in ("fp16", "fp32"):
        raise InvalidInput(f"The precision {precision!r} is unknown: use fp16 or fp32.")
    if target.exists() and source.exists() and target.samefile(source):
        raise InvalidInput("The converted weights need a file of their own: choose another name.")
    from safetensors.torch import save_file

    _, state = used_state(read_state(source), source)
    dtype = torch.float16 if precision == "fp16" else torch.float32
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.to(dtype).contiguous().clone() for name, tensor in state.items()}, part, {"format": "pt"})
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise EncoderUnavailable(f"The weights cannot be written to {target}: {error.strerror or error}.") from error
    return target.stat().st_size
