"""The loop: schedule, configs, and a killed run that ends where an unbroken one ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tsir.errors import InvalidInput

if TYPE_CHECKING:
    from torch import Tensor

torch = pytest.importorskip("torch", reason="needs the extra train: make setup EXTRAS=train")
pytest.importorskip("yaml", reason="needs the extra train: make setup EXTRAS=train")

from tsir.training import loop  # noqa: E402
from tsir.training.losses import contrastive  # noqa: E402

OPTIONS = {"steps": 12, "warmup": 2, "average": 0.9, "accumulate": 2, "save_minutes": 0, "log_steps": 5}
PAIRS_OPTIONS = OPTIONS | {"accumulate": 1, "save_minutes": 60}
SERVER = Path(__file__).parents[2]
CONFIGS = SERVER / "configs"


class Line(loop.Stage):
    """Fits y = 3x with dropout, so that random state counts, too."""

    def __init__(self, dies_at: int | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(4, 1)
        self.dies_at = dies_at

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "lr": 0.05}]

    def forward(self, step: int, rank: int = 0) -> Tensor:
        if step == self.dies_at:
            raise KeyboardInterrupt
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(step * loop.processes()[0] + rank))
        return (self.layer(torch.nn.functional.dropout(x, 0.2, self.training)) - 3 * x.sum(1, keepdim=True)).square().mean()


def test_a_killed_run_ends_where_an_unbroken_one_ends(tmp_path: Path) -> None:
    whole = loop.train(Line(), OPTIONS, tmp_path / "whole.pt", seed=1)
    with pytest.raises(KeyboardInterrupt):
        loop.train(Line(dies_at=15), OPTIONS, tmp_path / "broken.pt", seed=1)
    resumed = loop.train(Line(), OPTIONS, tmp_path / "broken.pt", seed=1)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


class Pairs(loop.Stage):
    """Tells the 16 pairs of a step apart, of which each process holds its share."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(4, 4)

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "lr": 0.05}]

    def forward(self, step: int, rank: int = 0) -> Tensor:
        pairs = torch.randn(16, 4, generator=torch.Generator().manual_seed(step)).chunk(loop.processes()[0])[rank]
        left, right = torch.nn.functional.normalize(self.layer(pairs), dim=1), torch.nn.functional.normalize(pairs.flip(1), dim=1)
        return contrastive(loop.of_all(left), loop.of_all(right), torch.tensor(5.0))


def test_processes_that_train_together_learn_as_one(tmp_path: Path) -> None:
    """Two processes, killed and started again, end where one ends that sees both shares of each step one after the other."""

    def together(dies_at: int) -> subprocess.CompletedProcess[str]:
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        arguments = ["-m", "tests.training.together", str(dies_at), str(tmp_path)]
        return subprocess.run([*torchrun, *arguments], cwd=SERVER, capture_output=True, text=True, timeout=300, check=False)

    alone = loop.train(Line(), OPTIONS, tmp_path / "alone.pt", seed=1).state_dict()
    assert "KeyboardInterrupt" in together(7).stderr
    assert 0 < torch.load(tmp_path / "together.pt", weights_only=True)["step"] <= 7
    ended = together(-1)
    assert ended.returncode == 0, ended.stderr
    pairs = loop.train(Pairs(), PAIRS_OPTIONS, tmp_path / "alone-pairs.pt", seed=1).state_dict()
    for process in range(2):
        trained = torch.load(tmp_path / f"process-{process}.pt", weights_only=True)
        torch.testing.assert_close(trained, {"line": dict(alone), "pairs": dict(pairs)})


def test_a_finished_run_is_only_loaded(tmp_path: Path) -> None:
    first = loop.train(Line(), OPTIONS, tmp_path / "run.pt", seed=1)
    again = loop.train(Line(dies_at=0), OPTIONS, tmp_path / "run.pt", seed=1)
    assert torch.equal(first.state_dict()["layer.weight"], again.state_dict()["layer.weight"])


def test_a_loss_that_is_not_a_number_stops_the_run(tmp_path: Path) -> None:
    class Broken(Line):
        def forward(self, step: int, rank: int = 0) -> Tensor:
            return super().forward(step) * float("nan")

    with pytest.raises(FloatingPointError, match="step 0"):
        loop.train(Broken(), OPTIONS, tmp_path / "run.pt", seed=1)


def test_learning_rate_warms_up_and_falls_to_its_floor() -> None:
    rates = [loop.learning_rate(step, 100, 10, 0.1) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.55)
    assert rates[100] == pytest.approx(0.1)


def test_config_overrides_and_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("recipe: lite\nseed: 1\ndata: ${SOME_DATA}/x\ncaptions: {steps: 3}\n")
    monkeypatch.setenv("SOME_DATA", "there")
    config = loop.read_config(path, ["captions.steps=5", "seed=2"])
    assert config == {"recipe": "lite", "seed": 2, "data": "there/x", "captions": {"steps": 5}}


@pytest.mark.parametrize("override", ["captions", "captions.stepz=5", "nothing.steps=5", "seed.x=1"])
def test_config_refuses_overrides_of_what_is_not_there(override: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("recipe: lite\nseed: 1\ncaptions: {steps: 3}\n")
    with pytest.raises(InvalidInput, match="override"):
        loop.read_config(path, [override])


def test_config_names_an_unset_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("recipe: lite\ndata: ${NOT_SET_ANYWHERE}\n")
    monkeypatch.delenv("NOT_SET_ANYWHERE", raising=False)
    with pytest.raises(InvalidInput, match="NOT_SET_ANYWHERE"):
        loop.read_config(path)


@pytest.mark.parametrize("name", ["lite.yaml", "task-former.yaml"])
def test_configs_that_ship_can_be_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSIR_SHARED_DATA", "data")
    assert loop.read_config(CONFIGS / name)["recipe"] in ("lite", "task_former")


def test_lite_is_not_trained_by_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSIR_SHARED_DATA", "data")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InvalidInput, match="one process"):
        loop.main(CONFIGS / "lite.yaml", [])


def test_an_unknown_recipe_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("recipe: nothing\n")
    with pytest.raises(InvalidInput, match="nothing"):
        loop.main(path, [])
