"""The lite encoder: three small OpenVINO graphs, no torch."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from PIL.Image import Image

from tsir.encoders import relevance
from tsir.encoders.base import Encoder, Vectors, unit
from tsir.encoders.graph import openvino_runtime
from tsir.encoders.language import english
from tsir.encoders.lite import preprocess
from tsir.encoders.weights import models_folder
from tsir.errors import EncoderUnavailable, InvalidInput
from tsir.records import EncoderInfo
from tsir.room import data_room
from tsir.settings import Settings

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WEIGHTS = Path(__file__).parent / "weights"
BATCH = 16  # pictures per run of a graph: larger is no faster on a CPU and takes more memory
MAX_TOKENS = 64  # of a text; the captions of the training data have 8 to 40
PHOTO_SIDE, SKETCH_SIDE = preprocess.PHOTO_SIDE, preprocess.SKETCH_SIDE

THINGS_FILE = "things.npy"
"""Where it says how sharply they are pulled towards things: float16 [2, things, words + shapes]."""

DEPICTED_FILE = "depicted.npz"
"""Where it says how what is said looks in photos, and where it stands: two layers, see `Depiction`. Photos know nothing of it, so it is no
part of the fingerprint."""

Graph = Callable[..., npt.NDArray[np.float32]]


def slices(lengths: Sequence[int]) -> list[slice]:
    """Where the parts of a vector lie, one after the other."""
    return [slice(start, stop) for start, stop in pairwise(np.cumsum([0, *lengths]).tolist())]


def joined(
    first: Vectors, second: Vectors, how: dict[str, Any], dim: int, things: Vectors | None = None
) -> tuple[Vectors, npt.NDArray[np.float32]]:
    """The vectors of two towers for drawings as one: rows ``[words | shapes]`` of each -> float32 [n, dim], and how much each drawing
    resembles the thing nearest to it: float32 [n], 2 at most, and 2 where there are no things.

    ``how`` (of the manifest): ``parts``, the lengths of words and shapes; ``words`` and ``shapes``, the weight of the second beside 1 for
    the first; ``shares``, the lengths of words, shapes and rest in the result. The rest is the last dimension.
    ``things`` [2, t, dim]: the mean drawing of some things, words and shapes each of unit length, and how photos of them pull (zeros: not
    at all). A drawing follows those that it resembles, the more sharply (``sharpness``) the nearer.
    """
    both = slices(how["parts"])
    parts = [unit(unit(first[:, part]) + how[name] * unit(second[:, part])) for part, name in zip(both, ("words", "shapes"), strict=True)]
    nearest = np.full(len(first), 2.0, dtype=np.float32)
    if things is not None:
        likeness = np.sum([part @ things[0][:, place].T for part, place in zip(parts, both, strict=True)], axis=0)
        nearest = likeness.max(axis=1)
        chances = np.exp(how["sharpness"] * (likeness - nearest[:, None]))
        chances /= chances.sum(axis=1, keepdims=True)
        parts = [unit(part + chances @ things[1][:, place]) for part, place in zip(parts, both, strict=True)]
    out = np.zeros((len(first), dim), dtype=np.float32)
    for part, place, share in zip(parts, both, how["shares"], strict=False):
        out[:, place] = share * part
    out[:, -1] = how["shares"][2]
    return out, nearest


FILLED = 0.9
"""Longer side of a drawing that fills its canvas, as programs and people leave a margin."""
UNMOVED, MOVED = 0.02, 0.08
"""How far a side lies from where it would if the drawing filled its canvas, in its middle: up to the first no place is claimed, from the
second on it is. In canvases."""
SCENE, THING = 1.0, 1.4
"""Likeness to the nearest known thing below which a drawing shows several things, and above which one."""


def claims(canvases: npt.NDArray[np.uint8], likeness: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """How far each drawing says where things are, 0 to 1: canvases uint8 [n, side, side], dark on white; likeness [n] as of `joined`.

    A single thing that fills its canvas, in its middle, says nothing of places: it was cropped, or somebody drew it as large as it went.
    Whatever lies elsewhere or is small claims its place, and so do several things, wherever their whole lies.
    """
    moved = np.zeros(len(canvases), dtype=np.float32)
    for row, ink in enumerate(canvases < 128):
        if not ink.any():
            continue
        drawn = [np.flatnonzero(ink.any(axis)) for axis in (0, 1)]
        starts, ends = (np.array([line[end] + end * end for line in drawn]) / ink.shape[0] for end in (0, -1))
        half = (ends - starts) * FILLED / (ends - starts).max() / 2
        moved[row] = max(np.abs(starts - (0.5 - half)).max(), np.abs(ends - (0.5 + half)).max())
    elsewhere = np.clip((moved - UNMOVED) / (MOVED - UNMOVED), 0, 1)
    several = np.clip((THING - likeness) / (THING - SCENE), 0, 1)
    return np.asarray(1 - (1 - elsewhere) * (1 - several), dtype=np.float32)


CELLS = 4
"""Of a side of the grid that says where things are."""
EVERYWHERE = 0.6
"""How much of what all cells of a drawing say alike is left: it says what is drawn, which the rest of the vector knows better, and nine
tenths of the grid's length were of it."""


def contrasted(grids: Vectors) -> Vectors:
    """What drawings say of places, [n, cells * width], with more of what tells the cells apart: unit rows."""
    cells = grids.reshape(len(grids), CELLS**2, -1)
    return unit((cells - (1 - EVERYWHERE) * cells.mean(axis=1, keepdims=True)).reshape(grids.shape))


class Depiction:
    """What words say of the parts of a photo's vector that are made for drawings: `shapes` and `places`, guessed from `words`.

    `how` (of the manifest): the lengths of ``shapes`` and ``places`` beside 1 for the words, and what the coordinates of crowding are
    multiplied by, as more of a photo's vector is compared.
    """

    def __init__(self, layers: Mapping[str, npt.NDArray[Any]], how: dict[str, float], parts: Sequence[int], drawn: int) -> None:
        self._layers = {name: layers[name].astype(np.float32) for name in ("skip", "up", "up_bias", "down", "bias")}
        self._how = how
        self._words, self._shapes = slices(parts)
        self._crowding, self._places = slice(self._shapes.stop, drawn), slice(drawn, None)

    def __call__(self, rows: Vectors) -> Vectors:
        """Texts [n, dim] with `words` and crowding alone -> unit rows with all parts."""
        layers, out = self._layers, rows.copy()
        length = np.linalg.norm(rows[:, self._words], axis=1, keepdims=True)
        words = unit(rows[:, self._words])
        hidden = np.maximum(words @ layers["up"] + layers["up_bias"], 0)
        found = words @ layers["skip"] + hidden @ layers["down"] + layers["bias"]
        shapes, places = np.split(found, [self._shapes.stop - self._shapes.start], axis=1)
        out[:, self._shapes] = self._how["shapes"] * length * unit(shapes)
        out[:, self._places] = self._how["places"] * length * unit(places)
        out[:, self._crowding] *= self._how["crowding"]
        return unit(out)


BESIDE_A_NAME, LESS_BESIDE_MORE = 2.5, 1.25
"""By what the scores of what is drawn are multiplied beside two words such as "a pig", and the power with which that falls with the number
of words: a name says little more than its drawing, a sentence mostly says what is drawn, too."""
PLACES_BESIDE_WORDS = 4.0
"""The same for where it is drawn, beside any words: they hardly ever say so. All three were picked
among settings that folds over queries and photos tell apart only within noise."""


class LiteEncoder(Encoder):
    """Photos, sketches and words as float32 unit vectors: 512 dimensions for what there is, 512 for where it is. Safe to call from several
    threads.
    """

    photo_size = PHOTO_SIDE
    scaled_decode = True
    photo_geometry = preprocess.PHOTO

    def __init__(
        self,
        folder: Path,
        manifest: dict[str, Any],
        image: Graph,
        sketch: Graph | None,
        text: Graph,
        tokenizer: Tokenizer,
        depict: Depiction | None = None,
    ) -> None:
        self.folder = folder
        self.info = EncoderInfo("lite", manifest["fingerprint"], manifest["dim"])
        places = manifest.get("places", {"width": 0, "strength": 1.0, "share": 1.0})
        self._drawn = manifest["dim"] - places["width"]
        self._places = PLACES_BESIDE_WORDS * places["share"] / places["strength"]
        self.calibration = relevance.read_calibration(folder / relevance.FILE, self.fingerprint)
        self._image, self._sketch, self._text = image, sketch, text
        self._depict = depict
        self._tokenizer = tokenizer

    def prepare_photo(self, image: Image) -> Image:
        """A photo as an RGB square of 260 px; nothing is cut off."""
        return preprocess.prepare_photo(image)

    def prepare_sketch(self, image: Image) -> Image:
        """A drawing, black on white, twice in an RGB square of 224 px: cropped to its ink, and as it lies on its canvas."""
        return preprocess.prepare_sketch(image)

    def images(self, batch: Sequence[Image]) -> Vectors:
        """Photos of any size and mode -> float32 [n, dim] unit rows."""
        return self._pictures(self._image, self.prepare_photo, batch)

    def sketches(self, batch: Sequence[Image]) -> Vectors:
        """Drawings of any size and mode -> float32 [n, dim] unit rows. An empty drawing has a vector, too."""
        if self._sketch is None:
            raise EncoderUnavailable(f"The weights of 'lite' in {self.folder} know no drawings yet: train the stage `drawing`.")
        return self._pictures(self._sketch, self.prepare_sketch, batch)

    def texts(self, batch: Sequence[str]) -> Vectors:
        """Words -> float32 [n, dim] unit rows. What is longer than 64 tokens is cut."""
        rows = np.zeros((len(batch), self.dim), dtype=np.float32)
        encoded = [self._tokenizer.encode(" ".join(text.split())).ids for text in batch]
        # Texts of about one length run together: what pads the shorter ones is not looked at, but takes its time.
        by_length = sorted(range(len(batch)), key=lambda row: len(encoded[row]))
        for start in range(0, len(batch), BATCH):
            chosen = by_length[start : start + BATCH]
            ids = np.zeros((len(chosen), len(encoded[chosen[-1]])), dtype=np.int64)
            there = np.zeros_like(ids)
            for place, row in enumerate(chosen):
                ids[place, : len(encoded[row])], there[place, : len(encoded[row])] = encoded[row], 1
            said = self._text(ids, there)
            rows[chosen, : said.shape[1]] = said
        return self._depict(rows) if self._depict and len(batch) else unit(rows)

    def knows(self, text: str) -> bool:
        return english(text)

    def beside(self, sketches: Vectors, texts: Sequence[str], words: float = 1.0) -> Vectors:
        """Drawings as they count beside words: what is drawn the less, the more the words say, and where it is drawn the more."""
        what, where = np.split(sketches, [self._drawn], axis=1)
        length = np.maximum(np.linalg.norm(what, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        said = np.array([[2 / max(2, len(text.split()))] for text in texts], dtype=np.float32)
        drawn = (BESIDE_A_NAME * said**LESS_BESIDE_MORE) ** words
        return np.concatenate([drawn * what / length, self._places**words * where / length], axis=1, dtype=np.float32)

    def _pictures(self, graph: Graph, prepare: Callable[[Image], Image], batch: Sequence[Image]) -> Vectors:
        rows = np.zeros((len(batch), self.dim), dtype=np.float32)
        for start in range(0, len(batch), BATCH):
            pixels = np.stack([np.asarray(prepare(image), dtype=np.uint8) for image in batch[start : start + BATCH]])
            rows[start : start + BATCH] = graph(pixels)
        return unit(rows)


class _Requests:
    """A graph that several threads may call, at once or when it is compiled: each thread has its own inference request."""

    def __init__(self, compiled: Future[Any]) -> None:
        self._compiled = compiled
        self._local = threading.local()

    def __call__(self, *inputs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        compiled = self._compiled.result()
        request = getattr(self._local, "request", None)
        if request is None:
            request = self._local.request = compiled.create_infer_request()
        result = request.infer(list(inputs), share_inputs=True)
        return np.array(result[compiled.outputs[0]], dtype=np.float32)


def _drawings(sketch: Graph, second: Graph, manifest: dict[str, Any], things: Vectors | None) -> Graph:
    """Prepared drawings uint8 [n, 224, 224, 3] -> their vectors.

    The second tower sees the drawing's mirror image: as steady as both images in both towers, in half the time. Where the manifest speaks
    of places, the first tower sees the whole canvas, too, and what it says of them is added, so far as the drawing claims places: its
    direction with a length of ``strength`` beside 1 for what is drawn, so far as scores go, which is why it is divided by the ``share``
    that places have in photos.
    """
    how, places = manifest["drawing"], manifest.get("places")
    pool = ThreadPoolExecutor(1, thread_name_prefix="lite-drawing")

    def run(pixels: npt.NDArray[np.uint8]) -> Vectors:
        crop = np.repeat(pixels[:, :, :, :1], 3, axis=3)
        mirrored = pool.submit(second, np.ascontiguousarray(crop[:, :, ::-1]))
        seen = sketch(pixels if places else crop)
        if places is None:
            return joined(seen, mirrored.result(), how, manifest["dim"], things)[0]
        width = places["width"]
        drawn, likeness = joined(seen, mirrored.result(), how, manifest["dim"] - width, things)
        canvases = pixels[:, : preprocess.CANVAS_SIDE, : preprocess.CANVAS_SIDE, 1]
        length = places["strength"] / places["share"] * claims(canvases, likeness)
        return np.concatenate([drawn, length[:, None] * contrasted(seen[:, -width:])], axis=1)

    return run


def from_settings(settings: Settings) -> Encoder:
    """Load the weights that the settings name. Raises like `load`."""
    folder = WEIGHTS if settings.weights is None else Path(settings.weights).expanduser()
    return load(settings.device, folder=folder, keep=models_folder(settings) / "compiled" if data_room(settings).spare() else None)


def load(device: str = "auto", threads: int | None = None, folder: Path = WEIGHTS, keep: Path | None = None) -> Encoder:
    """Load the graphs in ``folder`` (a second or so), each run by ``threads`` CPU threads (None: all cores). The one for photos, which
    takes longest to compile and which few wait for, is read and checked, and ready a moment later. In the folder ``keep`` they lie
    compiled, 64 MB, for the next time, which takes a third.

    Raises InvalidInput for a device other than auto or cpu, EncoderUnavailable when OpenVINO or a file is missing or a file is damaged.
    """
    if device not in ("auto", "cpu"):
        raise InvalidInput(f"The encoder 'lite' runs on the CPU only, not on {device!r}: set DEVICE=auto or DEVICE=cpu.")
    try:
        openvino = openvino_runtime()
        from tokenizers import Tokenizer
    except ModuleNotFoundError as error:
        raise EncoderUnavailable(f"The encoder 'lite' needs {error.name}, which is not installed: run `make setup`.") from error
    except ImportError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # what pybind11 makes of Ctrl-C
            raise error.__cause__ from None
        raise EncoderUnavailable(f"OpenVINO, which the encoder 'lite' needs, cannot be loaded: {error}. Run `make setup` again.") from error
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TOKENS)
        threads = threads or os.cpu_count() or 1
        alone = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        # Two towers side by side; pinned, both would wait for the same cores. With more than one stream OpenVINO 2026.4 gives all drawings
        # one vector.
        beside = {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": max(1, threads // 2), "ENABLE_CPU_PINNING": False}
        core = openvino.Core()
        if keep is not None and (place := _only(keep / openvino.__version__.partition("-")[0])):
            # Found there by their content and the processor; what is damaged is compiled again.
            core.set_property({"CACHE_DIR": str(place)})
        how = manifest.get("drawing", {})
        names = ["text", *(["sketch", "drawing"] if how else []), "image"]
        models = {name: core.read_model(folder / f"{name}.xml") for name in names}
        compiler = ThreadPoolExecutor(1, thread_name_prefix="lite-compile")
        compiled = {
            name: compiler.submit(core.compile_model, model, "CPU", beside if name in ("sketch", "drawing") else alone)
            for name, model in models.items()
        }
        compiler.shutdown(wait=False)
        things = np.load(folder / THINGS_FILE).astype(np.float32) if "sharpness" in how else None
        for name in names[:-1]:
            compiled[name].result()
        graphs = {name: _Requests(future) for name, future in compiled.items()}
        sketch = _drawings(graphs["sketch"], graphs["drawing"], manifest, things) if how else None
        depict = None
        if "depicted" in manifest:
            with (folder / DEPICTED_FILE).open("rb") as file, np.load(file) as layers:
                depict = Depiction(layers, manifest["depicted"], how["parts"], manifest["dim"] - manifest["places"]["width"])
        return LiteEncoder(folder, manifest, graphs["image"], sketch, graphs["text"], tokenizer, depict)
    except (OSError, ValueError, RuntimeError, KeyError, EOFError, BadZipFile) as error:
        raise EncoderUnavailable(
            f"The weights of 'lite' in {folder} cannot be read ({error}): restore them with `git checkout`."
        ) from error


def _only(folder: Path) -> Path | None:
    """The folder, made if need be, without others beside it; None when it cannot be had."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for other in folder.parent.iterdir():
            if other != folder:
                shutil.rmtree(other)
    except OSError:
        return None
    return folder


def files_of(manifest: dict[str, Any]) -> list[str]:
    """The files that a model of that manifest consists of; in training it begins without towers for drawings."""
    how = manifest.get("drawing", {})
    names = ["image.xml", "image.bin"]
    if how:
        names += ["sketch.xml", "sketch.bin"]
    names += ["text.xml", "text.bin", "tokenizer.json"]
    if how:
        names += ["drawing.xml", "drawing.bin"]
    return [*names, *([THINGS_FILE] if "sharpness" in how else ())]


def fingerprint(folder: Path = WEIGHTS) -> str:
    """Compute anew what the manifest says: sixteen hex digits of the graphs, the tokenizer, the preprocessing version, and of how two
    towers for drawings are joined, where there are two, and places are added, where there are some.
    """
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    digest = hashlib.sha256(f"preprocess {preprocess.VERSION}\n".encode())
    for name in files_of(manifest):
        digest.update(hashlib.sha256((folder / name).read_bytes()).digest())
    for part in ("drawing", "places"):
        if part in manifest:
            digest.update(json.dumps(manifest[part], sort_keys=True).encode())
    return digest.hexdigest()[:16]
