"""The lite encoder: three small OpenVINO graphs, no torch."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL.Image import Image

from tsir.encoders.base import Encoder, Vectors, unit
from tsir.encoders.lite import preprocess
from tsir.errors import EncoderUnavailable, InvalidInput
from tsir.records import EncoderInfo
from tsir.settings import Settings

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WEIGHTS = Path(__file__).parent / "weights"
BATCH = 16  # pictures per run of a graph: larger is no faster on a CPU and takes more memory
MAX_TOKENS = 64  # of a text; the captions of the training data have 8 to 40
PHOTO_SIDE, SKETCH_SIDE = preprocess.PHOTO_SIDE, preprocess.SKETCH_SIDE

FILES = ("image.xml", "image.bin", "sketch.xml", "sketch.bin", "text.xml", "text.bin", "tokenizer.json")
DRAWING_FILES = ("drawing.xml", "drawing.bin")
"""Where the manifest says how two towers for drawings are joined."""
THINGS_FILE = "things.npy"
"""Where it says how sharply they are pulled towards things: float16 [2, things, words + shapes]."""

Graph = Callable[..., npt.NDArray[np.float32]]


def slices(lengths: Sequence[int]) -> list[slice]:
    """Where the parts of a vector lie, one after the other."""
    return [slice(start, stop) for start, stop in pairwise(np.cumsum([0, *lengths]).tolist())]


def joined(first: Vectors, second: Vectors, how: dict[str, Any], dim: int, things: Vectors | None = None) -> Vectors:
    """The vectors of two towers for drawings as one: rows ``[words | shapes]`` of each -> float32 [n, dim].

    ``how`` (of the manifest): ``parts``, the lengths of words and shapes; ``words`` and ``shapes``, the weight of the second beside 1 for
    the first; ``shares``, the lengths of words, shapes and rest in the result. The rest is the last dimension.
    ``things`` [2, t, dim]: the mean drawing of some things, words and shapes each of unit length, and how photos of them pull (zeros: not
    at all). A drawing follows those that it resembles, the more sharply (``sharpness``) the nearer.
    """
    both = slices(how["parts"])
    parts = [unit(unit(first[:, part]) + how[name] * unit(second[:, part])) for part, name in zip(both, ("words", "shapes"), strict=True)]
    if things is not None:
        likeness = how["sharpness"] * sum(part @ things[0][:, place].T for part, place in zip(parts, both, strict=True))
        chances = np.exp(likeness - likeness.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        parts = [unit(part + chances @ things[1][:, place]) for part, place in zip(parts, both, strict=True)]
    out = np.zeros((len(first), dim), dtype=np.float32)
    for part, place, share in zip(parts, both, how["shares"], strict=False):
        out[:, place] = share * part
    out[:, -1] = how["shares"][2]
    return out


class LiteEncoder(Encoder):
    """Photos, sketches and words as float32 unit vectors of 512 dimensions. Safe to call from several threads."""

    photo_size = PHOTO_SIDE
    scaled_decode = True

    def __init__(self, folder: Path, manifest: dict[str, Any], image: Graph, sketch: Graph, text: Graph, tokenizer: Tokenizer) -> None:
        self.folder = folder
        self.info = EncoderInfo("lite", manifest["fingerprint"], manifest["dim"])
        self.default_weights = {**Encoder.default_weights, "sketch": 0.4}
        self._image, self._sketch, self._text = image, sketch, text
        self._tokenizer = tokenizer

    def prepare_photo(self, image: Image) -> Image:
        """A photo as an RGB square of 260 px; nothing is cut off."""
        return preprocess.prepare_photo(image)

    def prepare_sketch(self, image: Image) -> Image:
        """A drawing, black on white, filling an RGB square of 224 px."""
        return preprocess.prepare_sketch(image)

    def images(self, batch: Sequence[Image]) -> Vectors:
        """Photos of any size and mode -> float32 [n, 512] unit rows."""
        return self._pictures(self._image, self.prepare_photo, batch)

    def sketches(self, batch: Sequence[Image]) -> Vectors:
        """Drawings of any size and mode -> float32 [n, 512] unit rows. An empty drawing has a vector, too."""
        return self._pictures(self._sketch, self.prepare_sketch, batch)

    def texts(self, batch: Sequence[str]) -> Vectors:
        """Words -> float32 [n, 512] unit rows. What is longer than 64 tokens is cut."""
        rows = np.zeros((len(batch), self.dim), dtype=np.float32)
        encodings = [self._tokenizer.encode(" ".join(text.split())) for text in batch]
        # texts of one length run together, without padding: a text's vector does not depend on its neighbours
        lengths: dict[int, list[int]] = {}
        for row, encoding in enumerate(encodings):
            lengths.setdefault(len(encoding.ids), []).append(row)
        for length, members in lengths.items():
            for start in range(0, len(members), BATCH):
                chosen = members[start : start + BATCH]
                ids = np.array([encodings[row].ids for row in chosen], dtype=np.int64)
                rows[chosen] = self._text(ids, np.ones((len(chosen), length), dtype=np.int64))
        return unit(rows)

    def _pictures(self, graph: Graph, prepare: Callable[[Image], Image], batch: Sequence[Image]) -> Vectors:
        rows = np.zeros((len(batch), self.dim), dtype=np.float32)
        for start in range(0, len(batch), BATCH):
            pixels = np.stack([np.asarray(prepare(image), dtype=np.uint8) for image in batch[start : start + BATCH]])
            rows[start : start + BATCH] = graph(pixels)
        return unit(rows)


class _Requests:
    """A compiled graph that several threads may call: each thread has its own inference request."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._local = threading.local()

    def __call__(self, *inputs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        request = getattr(self._local, "request", None)
        if request is None:
            request = self._local.request = self._compiled.create_infer_request()
        result = request.infer(list(inputs), share_inputs=True)
        return np.array(result[self._compiled.outputs[0]], dtype=np.float32)


def _both(first: Graph, second: Graph, how: dict[str, Any], dim: int, things: Vectors | None) -> Graph:
    """The second tower sees the drawing's mirror image: as steady as both images in both towers, in half the time."""
    return lambda pixels: joined(first(pixels), second(np.ascontiguousarray(pixels[:, :, ::-1])), how, dim, things)


def from_settings(settings: Settings) -> Encoder:
    """Load the weights that the settings name. Raises like `load`."""
    folder = WEIGHTS if settings.weights is None else Path(settings.weights).expanduser()
    return load(settings.device, folder=folder)


def load(device: str = "auto", threads: int | None = None, folder: Path = WEIGHTS) -> Encoder:
    """Load the graphs in ``folder`` (a second or so), each run by ``threads`` CPU threads (None: all cores).

    Raises InvalidInput for a device other than auto or cpu, EncoderUnavailable when OpenVINO or a file is missing or a file is damaged.
    """
    if device not in ("auto", "cpu"):
        raise InvalidInput(f"The encoder 'lite' runs on the CPU only, not on {device!r}: set DEVICE=auto or DEVICE=cpu.")
    try:
        import openvino
        from tokenizers import Tokenizer
    except ImportError as error:
        raise EncoderUnavailable(f"The encoder 'lite' needs {error.name}, which is not installed: run `make setup`.") from error
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TOKENS)
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        core = openvino.Core()

        def graph(name: str) -> Graph:
            return _Requests(core.compile_model(folder / f"{name}.xml", "CPU", settings))

        image, sketch, text = (graph(name) for name in ("image", "sketch", "text"))
        if how := manifest.get("drawing"):
            things = np.load(folder / THINGS_FILE).astype(np.float32) if "sharpness" in how else None
            sketch = _both(sketch, graph("drawing"), how, manifest["dim"], things)
    except (OSError, ValueError, RuntimeError) as error:
        raise EncoderUnavailable(
            f"The weights of 'lite' in {folder} cannot be read ({error}): restore them with `git checkout`."
        ) from error
    return LiteEncoder(folder, manifest, image, sketch, text, tokenizer)


def files_of(manifest: dict[str, Any]) -> list[str]:
    """The files that a model of that manifest consists of."""
    how = manifest.get("drawing", {})
    return [*FILES, *(DRAWING_FILES if how else ()), *([THINGS_FILE] if "sharpness" in how else ())]


def fingerprint(folder: Path = WEIGHTS) -> str:
    """Compute anew what the manifest says: sixteen hex digits of the graphs, the tokenizer, the preprocessing version, and of how two
    towers for drawings are joined, where there are two.
    """
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    digest = hashlib.sha256(f"preprocess {preprocess.VERSION}\n".encode())
    for name in files_of(manifest):
        digest.update(hashlib.sha256((folder / name).read_bytes()).digest())
    if drawing := manifest.get("drawing"):
        digest.update(json.dumps(drawing, sort_keys=True).encode())
    return digest.hexdigest()[:16]
