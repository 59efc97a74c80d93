"""Any model of the open_clip library as an Encoder. Zero-shot for sketches: the sketch tower is the image tower."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import open_clip
from PIL.Image import Resampling
from torch import nn

from tsir.encoders import graph
from tsir.encoders.task_former.checkpoint import fingerprint
from tsir.encoders.towers import CLIP_MEAN, CLIP_STD, Method, PixelTower, Tokens, TokenTower, TowerEncoder
from tsir.encoders.weights import is_url, models_folder
from tsir.errors import EncoderUnavailable, InvalidInput
from tsir.geometry import Fit, Geometry
from tsir.records import EncoderInfo
from tsir.settings import Settings

PREFIX = "open_clip:"
VERSION = "open_clip/1"
_FITS: dict[str, Fit] = {"shortest": "crop", "squash": "squash", "longest": "pad"}
_FILTERS = {"bicubic": Resampling.BICUBIC, "bilinear": Resampling.BILINEAR}


def load(settings: Settings) -> TowerEncoder:
    """Load `open_clip:ARCH/TAG`; with WEIGHTS a local file nothing is downloaded, and TAG is only a name.

    Raises InvalidInput for an unknown architecture or tag, EncoderUnavailable when the weights cannot be had or do not fit.
    """
    plan = graph.choose(settings)
    name = settings.model.strip()
    arch, _, tag = name.removeprefix(PREFIX).partition("/")
    about = _tag(arch, tag, local=settings.weights is not None)
    path = _weights(about, settings, name)
    model = _model(arch, about, path)
    size = model.visual.image_size
    side = size if isinstance(size, int) else size[0]
    if size not in (side, (side, side)):
        raise EncoderUnavailable(f"{name} takes pictures of {size} pixels; only square ones are supported.")
    filter_ = _FILTERS.get(about.get("interpolation", "bicubic"), Resampling.BICUBIC)
    photo = Geometry(side, _FITS.get(about.get("resize_mode", "shortest"), "crop"), filter_)
    tokenize = _tokenizer(arch, name)
    mean, std = about.get("mean") or CLIP_MEAN, about.get("std") or CLIP_STD

    def modules() -> Mapping[str, tuple[Any, npt.NDArray[Any]]]:
        return {
            "images": (PixelTower(Method(model, "encode_image"), mean, std), np.zeros((2, side, side, 3), dtype=np.uint8)),
            "texts": (TokenTower(Method(model, "encode_text")), tokenize(["a", "b"])),
        }

    mark = fingerprint(model.state_dict(), f"{VERSION} {arch} {photo} {mean} {std}")
    folder = models_folder(settings) / f"{name.replace(':', '-').replace('/', '-')}-{mark}"
    graphs = graph.build(plan, modules, folder, compile_on_gpu=settings.torch_compile)
    dim = graphs["texts"](tokenize(["a"])).shape[1]
    return TowerEncoder(
        EncoderInfo(name, mark, dim),
        plan.device,
        images=graphs["images"],
        sketches=graphs["images"],
        texts=graphs["texts"],
        tokenize=tokenize,
        photo=photo,
        sketch=Geometry(side, "pad" if settings.sketch_fit == "pad" else photo.fit, filter_),
        blank=settings.missing_part == "blank",
    )


def _tag(arch: str, tag: str, local: bool) -> dict[str, Any]:
    """What open_clip knows of a tag: where its weights are, how pixels are scaled, which activation."""
    known = open_clip.list_models()
    if arch not in known:
        near = difflib.get_close_matches(arch, known, n=5, cutoff=0.4) or known[:5]
        raise InvalidInput(f"open_clip has no architecture {arch!r}. Near it: {', '.join(near)}.")
    about: dict[str, Any] = open_clip.get_pretrained_cfg(arch, tag) if tag else {}
    if not about and not local:
        tags = open_clip.list_pretrained_tags_by_model(arch)
        raise InvalidInput(
            f"open_clip has no weights {tag!r} for {arch}. Known: {', '.join(tags) or 'none'}. Or set WEIGHTS to a local file."
        )
    return about


def _weights(about: Mapping[str, Any], settings: Settings, name: str) -> Path:
    if settings.weights:
        if is_url(settings.weights):
            raise InvalidInput("For open_clip encoders WEIGHTS must be a local file: download it first.")
        path = Path(settings.weights).expanduser()
        if not path.is_file():
            raise EncoderUnavailable(f"WEIGHTS names the file {path}, which does not exist.")
        return path
    try:
        return Path(open_clip.download_pretrained(dict(about), cache_dir=str(models_folder(settings) / "open_clip")))
    except Exception as error:  # the hub's client raises its own errors and those of several libraries
        raise EncoderUnavailable(
            f"The weights of {name} cannot be downloaded ({_first_line(error)}). "
            "Without a connection to the model hub, set WEIGHTS to a local file of them."
        ) from error


def _model(arch: str, about: Mapping[str, Any], path: Path) -> nn.Module:
    model = open_clip.create_model(arch, pretrained_text=False, force_quick_gelu=bool(about.get("quick_gelu")))
    try:
        open_clip.load_checkpoint(model, str(path), strict=True, weights_only=True)
    except Exception as error:  # unpickling and load_state_dict raise many kinds
        raise EncoderUnavailable(f"The weights {path} do not fit {arch}: {_first_line(error)}.") from error
    return model.eval().requires_grad_(False)


def _tokenizer(arch: str, name: str) -> Any:
    try:
        inner = open_clip.get_tokenizer(arch)
    except Exception as error:  # some models use tokenizers of the hub
        raise EncoderUnavailable(
            f"The tokenizer of {name} cannot be loaded ({_first_line(error)}); it comes from the model hub."
        ) from error

    def tokenize(texts: Sequence[str]) -> Tokens:
        tokens: Tokens = inner(list(texts)).numpy().astype(np.int64)
        return tokens

    return tokenize


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300].rstrip(".:")
