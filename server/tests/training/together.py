"""What each process of `test_processes_that_train_together_learn_as_one` runs, under torchrun: STEP to die at (or -1), FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from tests.training.test_loop import OPTIONS, PAIRS_OPTIONS, Line, Pairs
from tsir.training import loop

if __name__ == "__main__":
    dies_at, folder = int(sys.argv[1]), Path(sys.argv[2])
    line = loop.train(Line(dies_at), OPTIONS | {"accumulate": 1}, folder / "together.pt", seed=1)
    pairs = loop.train(Pairs(), PAIRS_OPTIONS, folder / "pairs.pt", seed=1)
    trained = {"line": dict(line.state_dict()), "pairs": dict(pairs.state_dict())}
    torch.save(trained, folder / f"process-{loop.processes()[1]}.pt")
    torch.distributed.destroy_process_group()
