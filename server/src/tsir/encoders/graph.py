"""Where a model's graph runs: torch on CUDA or CPU, or OpenVINO on CPU. Importing this module imports neither.

A graph is a function from one array (pixels or tokens, any batch size) to float32 unit vectors, safe to call from several threads.
"""

from __future__ import annotations

import functools
import importlib
import json
import logging
import shutil
import sys
import threading
import warnings
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from tsir.encoders.base import Vectors
from tsir.errors import EncoderUnavailable, InvalidInput
from tsir.settings import Settings

log = logging.getLogger(__name__)

Array = npt.NDArray[Any]
Graph = Callable[[Array], Vectors]
Modules = Callable[[], Mapping[str, tuple[Any, Array]]]
"""Builds the torch modules by name, each with an example input. Called only when there is no converted copy."""

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Plan:
    """The decision of `choose`."""

    device: str
    """"cpu", "cuda" or "cuda:N"."""
    runtime: Literal["torch", "openvino"]
    precision: Literal["fp32", "fp16", "bf16", "int8"]


def choose(settings: Settings) -> Plan:
    """Decide device, runtime and precision, filling in each "auto".

    A GPU is taken when torch sees one; then bf16 (fp16 on older GPUs). On a CPU OpenVINO runs the graph, in bf16 where the processor
    has instructions for it. Raises EncoderUnavailable for a GPU that is not there, InvalidInput for a combination that cannot work.
    """
    device = settings.device.strip().lower()
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (number and (kind != "cuda" or not number.isdigit())):
        raise InvalidInput(f"DEVICE={settings.device!r} is unknown. It can be auto, cpu, cuda or cuda:N.")
    if kind in ("auto", "cuda"):
        import torch

        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if kind == "cuda" and gpus <= int(number or 0):
            seen = f"torch sees {gpus} GPU{'s' * (gpus != 1)}" if gpus else "torch sees no GPU (no driver, or a build of torch for CPUs)"
            raise EncoderUnavailable(f"DEVICE={settings.device} asks for a GPU that is not there: {seen}. Use DEVICE=auto or DEVICE=cpu.")
        device = device if kind == "cuda" else "cuda" if gpus else "cpu"
    if device != "cpu":
        return _on_gpu(settings, device)
    return _on_cpu(settings)


def _on_gpu(settings: Settings, device: str) -> Plan:
    import torch

    if settings.runtime == "openvino":
        raise InvalidInput(f"RUNTIME=openvino runs on CPUs, but DEVICE is {device}. Use RUNTIME=torch, or DEVICE=cpu.")
    if settings.precision == "int8":
        raise InvalidInput("PRECISION=int8 is for CPUs. On a GPU use bf16, fp16 or fp32.")
    if settings.precision != "auto":
        return Plan(device, "torch", settings.precision)
    return Plan(device, "torch", "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16")


def _on_cpu(settings: Settings) -> Plan:
    runtime = "openvino" if settings.runtime == "auto" else settings.runtime
    if settings.precision == "fp16":
        raise InvalidInput("PRECISION=fp16 is for GPUs. On a CPU use bf16, int8 or fp32.")
    if settings.precision == "int8" and runtime == "torch":
        raise InvalidInput("PRECISION=int8 needs RUNTIME=openvino.")
    if settings.precision != "auto":
        return Plan("cpu", runtime, settings.precision)
    return Plan("cpu", runtime, "bf16" if _cpu_has_bf16() else "fp32")


def openvino_runtime() -> Any:
    """OpenVINO without its converter, which takes longer to import than all else of it; who converts imports `openvino.tools.ovc`.

    Raises ImportError.
    """
    if "openvino" in sys.modules:
        return importlib.import_module("openvino")
    sys.modules["openvino.tools.ovc"] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("openvino")
    finally:
        del sys.modules["openvino.tools.ovc"]


@functools.cache
def _cpu_has_bf16() -> bool:
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def build(plan: Plan, modules: Modules, cache: Path, *, compile_on_gpu: bool = False) -> dict[str, Graph]:
    """The graphs by name. OpenVINO converts once into the folder `cache`, which must be named after the weights' fingerprint."""
    if plan.runtime == "openvino":
        return {name: OpenVinoGraph(file, plan.precision) for name, file in _converted(plan, modules, cache).items()}
    return {name: TorchGraph(module, plan, compile_on_gpu) for name, (module, _) in modules().items()}


class TorchGraph:
    """A module in one precision on one device. Arrays go to a GPU through pinned memory."""

    def __init__(self, module: Any, plan: Plan, compile_on_gpu: bool = False) -> None:
        import torch

        self._torch = torch
        self._device = torch.device(plan.device)
        dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[plan.precision]
        self._module = module.eval().requires_grad_(False).to(self._device)
        self._module.encode.to(dtype)
        if self._device.type == "cuda":
            self._module.to(memory_format=torch.channels_last)
            if compile_on_gpu:
                self._module = torch.compile(self._module, dynamic=True)

    def __call__(self, batch: Array) -> Vectors:
        torch = self._torch
        with torch.inference_mode():
            tensor = torch.from_numpy(batch)
            if self._device.type == "cuda":
                tensor = tensor.pin_memory().to(self._device, non_blocking=True)
            vectors: Vectors = self._module(tensor).float().cpu().numpy()
            return vectors


class OpenVinoGraph:
    """A converted graph on the CPU, all cores on one call at a time."""

    def __init__(self, file: Path, precision: str) -> None:
        import openvino

        low = precision == "bf16" or (precision == "int8" and _cpu_has_bf16())
        config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "bf16" if low else "f32"}
        self._request = openvino.Core().compile_model(file, "CPU", config).create_infer_request()
        self._turn = threading.Lock()

    def __call__(self, batch: Array) -> Vectors:
        with self._turn:
            return np.array(self._request.infer([batch])[0], dtype=np.float32)


def _converted(plan: Plan, modules: Modules, cache: Path) -> dict[str, Path]:
    """The converted files by name. A folder that is broken is removed and made again, once."""
    kind = {"bf16": "fp16"}.get(plan.precision, plan.precision)  # bf16 reads weights that are stored in half precision
    folder = cache / f"openvino-{kind}"
    if found := _intact(folder):
        return found
    if folder.exists():
        log.warning("The converted model in %s is broken: converting again", folder)
        shutil.rmtree(folder)
    log.info("Converting the model for OpenVINO (%s), once: about a minute", kind)
    _convert(modules(), kind, folder)
    if found := _intact(folder):
        return found
    raise EncoderUnavailable(f"The converted model in {folder} cannot be read back: is the disk broken?")


def _intact(folder: Path) -> dict[str, Path] | None:
    """The files of a complete conversion, whose checksums are as written; None otherwise."""
    try:
        manifest: dict[str, int] = json.loads((folder / MANIFEST).read_text())
        if any(_checksum(folder / name) != checksum for name, checksum in manifest.items()):
            return None
        return {Path(name).stem: folder / name for name in manifest if name.endswith(".xml")}
    except (OSError, ValueError, AttributeError):
        return None


def _checksum(file: Path) -> int:
    checksum = 0
    with file.open("rb") as stream:
        while block := stream.read(2**20):
            checksum = zlib.crc32(block, checksum)
    return checksum


def _convert(modules: Mapping[str, tuple[Any, Array]], kind: str, folder: Path) -> None:
    """Write all graphs and their checksums to a scratch folder, then give it its name: a crash leaves no half-written model."""
    import openvino
    import torch
    from openvino.tools.ovc import convert_model

    scratch = folder.with_name(f".{folder.name}-{uuid4().hex[:8]}")
    scratch.mkdir(parents=True)
    fast_attention = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # its fused operator has no counterpart in OpenVINO
    try:
        for name, (module, example) in modules.items():
            dynamic = [-1, -1] if name == "texts" else [-1, *example.shape[1:]]
            with torch.inference_mode(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of tracing: that it is deprecated, and which shapes it takes for constant
                model = convert_model(module.eval().float(), example_input=torch.from_numpy(example), input=dynamic)
            if kind == "int8":
                _weights_to_int8(model)
            openvino.save_model(model, scratch / f"{name}.xml", compress_to_fp16=kind != "fp32")
        manifest = {file.name: _checksum(file) for file in sorted(scratch.iterdir())}
        (scratch / MANIFEST).write_text(json.dumps(manifest))
        try:
            scratch.rename(folder)
        except OSError:
            if not _intact(folder):  # otherwise another process was faster, which is as good
                raise
    except OSError as error:
        raise EncoderUnavailable(f"The converted model cannot be written to {folder.parent}: {error.strerror or error}.") from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_attention)
        shutil.rmtree(scratch, ignore_errors=True)


def _weights_to_int8(model: Any) -> None:
    """Replace the constant of every matrix product by int8 values and a scale per output channel (symmetric, round to nearest)."""
    import openvino
    from openvino import opset13

    for node in model.get_ordered_ops():
        if node.get_type_name() != "MatMul" or node.input_value(1).get_node().get_type_name() != "Constant":
            continue
        weights = node.input_value(1).get_node().data.astype(np.float32)
        across = -1 if node.get_attributes()["transpose_b"] else -2
        scale = np.maximum(np.abs(weights).max(axis=across, keepdims=True), 1e-12) / 127
        values = opset13.constant(np.rint(weights / scale).astype(np.int8))
        wide = opset13.convert(values, openvino.Type.f32)
        node.input(1).replace_source_output(opset13.multiply(wide, opset13.constant(scale.astype(np.float32))).output(0))
    model.validate_nodes_and_infer_types()
