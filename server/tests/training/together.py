"""What each process of `test_processes_that_train_together_learn_as_one` runs, under torchrun: STEP to die at (or -1), FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from tests.training.test_loop import OPTIONS, Line
from tsir.training import loop

if __name__ == "__main__":
    dies_at, folder = int(sys.argv[1]), Path(sys.argv[2])
    trained = loop.train(Line(dies_at), OPTIONS | {"accumulate": 1}, folder / "together.pt", seed=1)
    torch.save(trained.state_dict(), folder / f"process-{loop.processes()[1]}.pt")
    torch.distributed.destroy_process_group()
