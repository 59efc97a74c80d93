# mypy: disable-error-code="misc, no-any-return, no-untyped-call"
"""The training loop, and what ``tsir train CONFIG [key=value ...]`` runs.

tsir train server/configs/lite.yaml
tsir train server/configs/lite.yaml captions.steps=100 work=/tmp/try
torchrun --nproc-per-node 4 -m tsir.training.loop server/configs/task-former.yaml
"""

from __future__ import annotations

import copy
import importlib
import logging
import math
import os
import sys
import time
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather

from tsir.errors import InvalidInput
from tsir.media.durable import whole

log = logging.getLogger(__name__)

Config = dict[str, Any]


class Stage(nn.Module):
    """A model with its data and its loss. ``forward(step)`` is the loss of that step's batch.

    A batch must follow from (seed, step) alone: then a resumed run sees what an unbroken one would have seen.
    """

    @abstractmethod
    def forward(self, step: int, rank: int = 0) -> Tensor:
        """The loss of a micro-step, on the share of process ``rank``."""

    @abstractmethod
    def groups(self) -> list[dict[str, Any]]:
        """Parameter groups for AdamW, each with its peak ``lr``."""


def learning_rate(step: int, steps: int, warmup: int, floor: float) -> float:
    """Factor on the peak rate: linear warm-up, then a cosine down to ``floor``."""
    if step < warmup:
        return (step + 1) / warmup
    along = (step - warmup) / max(1, steps - warmup)
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, along)))


def processes() -> tuple[int, int]:
    """How many processes train together, and which of them this is: torchrun tells them."""
    return int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))


def own_device() -> torch.device:
    """Where this process computes: each on a GPU of its own, as far as there are GPUs."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


def of_all(rows: Tensor) -> Tensor:
    """The rows [n, width] of all processes, in their order, with gradients: what a contrast is drawn from. All must have as many."""
    if processes()[0] == 1:
        return rows
    return torch.cat(all_gather(rows))


def save_whole(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint so that it exists whole or not at all; the first process does it for all."""
    if processes()[1] != 0:
        return
    with whole(path) as file:
        torch.save(state, file)


def train(stage: Stage, options: Config, checkpoint: Path, seed: int, config: Config | None = None) -> Stage:
    """Train ``stage`` to its last step and return the moving average of its weights, in eval mode.

    options: ``steps``; ``warmup`` steps; ``floor`` of the cosine as a share of the peak rate; ``decay`` of the weights; ``clip``,
    the largest gradient norm; ``average``, the decay of the moving average (0: none); ``accumulate`` micro-steps; ``precision`` (fp32
    or bf16); ``save_minutes`` between checkpoints; ``log_steps`` between lines.

    Goes on from ``checkpoint`` when it exists, so that a killed run, started again with the same command, ends where an unbroken one ends.
    Under torchrun the stage is wrapped in DistributedDataParallel.
    """
    ranks, rank = processes()
    device = next(stage.parameters()).device
    if ranks > 1 and not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    steps, accumulate = int(options["steps"]), int(options.get("accumulate", 1))
    # plain attributes (data, options) are shared with the copy; parameters, buffers and modules are not
    averaged = copy.deepcopy(stage, {id(value): value for name, value in vars(stage).items() if not name.startswith("_")}).eval()
    decay, clip, average = options.get("decay", 0.05), options.get("clip", 1.0), options.get("average", 0.0)
    optimizer = torch.optim.AdamW(stage.groups(), weight_decay=decay, betas=(0.9, 0.98))
    peaks = [group["lr"] for group in optimizer.param_groups]
    begin = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        stage.load_state_dict(saved["stage"])
        averaged.load_state_dict(saved["averaged"])
        optimizer.load_state_dict(saved["optimizer"])
        begin = saved["step"]
        log.info("%s: going on from step %d", checkpoint.name, begin)
    run: nn.Module = stage
    if ranks > 1:
        run = nn.parallel.DistributedDataParallel(stage, find_unused_parameters=True)
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=options.get("precision", "fp32") == "bf16")

    def save(step: int) -> None:
        state = {"stage": stage.state_dict(), "averaged": averaged.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
        save_whole(checkpoint, {**state, "config": config or {}})

    stage.train()
    saved_at, since, began = time.monotonic(), begin, time.monotonic()
    for step in range(begin, steps):
        factor = learning_rate(step, steps, int(options.get("warmup", 1)), float(options.get("floor", 0.01)))
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        total = 0.0
        for micro in range(accumulate):
            torch.manual_seed(seed * 1_000_003 + (step * accumulate + micro) * ranks + rank)  # dropout follows from the step, too
            with autocast:
                loss = run(step * accumulate + micro, rank) / accumulate
            loss.backward()
            total += float(loss.detach())
        nn.utils.clip_grad_norm_(stage.parameters(), clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            keep = min(average, (step + 1) / (step + 10))  # a young average forgets faster
            for slow, fast in zip(averaged.parameters(), stage.parameters(), strict=True):
                slow.lerp_(fast, 1.0 - keep)
            for slow, fast in zip(averaged.buffers(), stage.buffers(), strict=True):
                slow.copy_(fast)
        if not math.isfinite(total):
            raise FloatingPointError(f"The loss is {total} at step {step}: lower the learning rate, or use precision=fp32.")
        if (step + 1) % int(options.get("log_steps", 20)) == 0:
            speed = (time.monotonic() - began) / (step + 1 - since)
            log.info("step %d/%d loss %.3f, %.2f s a step, %.0f min to go", step + 1, steps, total, speed, speed * (steps - step - 1) / 60)
        if time.monotonic() - saved_at > 60 * float(options.get("save_minutes", 3)):
            save(step + 1)
            saved_at = time.monotonic()
    if begin < steps:
        save(steps)
    return averaged.eval()


def _expanded(value: Any) -> Any:
    """Replace ``${NAME}`` by the environment's, in every string."""
    if isinstance(value, dict):
        return {key: _expanded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_expanded(inner) for inner in value]
    if isinstance(value, str) and "${" in value:
        text = os.path.expandvars(value)
        if "${" in text:
            raise InvalidInput(f"The config names {value!r}, but that variable is not set in the environment.")
        return text
    return value


def read_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a YAML config, apply ``a.b=value`` overrides (values are YAML), expand ``${VARIABLES}``.

    Raises InvalidInput for a missing or broken file, an override without ``=`` and a key that the config does not have.
    """
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InvalidInput(f"The config {path} cannot be read: {error}") from error
    if not isinstance(config, dict) or "recipe" not in config:
        raise InvalidInput(f"The config {path} must be a mapping with a `recipe`, such as configs/lite.yaml.")
    for override in overrides:
        name, equals, value = override.partition("=")
        keys = name.split(".")
        place: Any = config
        for key in keys[:-1]:
            place = place.get(key) if isinstance(place, dict) else None
        if not equals or not isinstance(place, dict) or keys[-1] not in place:
            raise InvalidInput(f"{override!r}: an override is KEY=VALUE with a key of the config, such as seed=1.")
        place[keys[-1]] = yaml.safe_load(value)
    return dict(_expanded(config))


def main(config_path: Path, overrides: list[str]) -> None:
    """Run the recipe that the config names: ``tsir.training.<recipe>.run(config)``."""
    config = read_config(config_path, overrides)
    level = logging.WARNING if processes()[1] else logging.INFO  # progress, whoever logs it, once
    logging.basicConfig(level=level, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", force=True)
    recipes = ("lite", "task_former")
    if config["recipe"] not in recipes:
        raise InvalidInput(f"There is no recipe {config['recipe']!r}; there are {', '.join(recipes)}.")
    importlib.import_module(f"tsir.training.{config['recipe']}").run(config)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
