"""A tiny training for torchrun: a network that learns the product of two numbers, its batches shared by the replicas.

Run as `replicas.py <folder>`: each process trains, writes `<folder>/rank<n>.json`, and trains once more; in the second
epoch of that the second replica fails. One start of the processes for both, since that is what takes the time.
`replicas.py <folder> failing` does the second alone.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from shopgraph.learning.distributed import Replica, mean_of, process_group, share
from shopgraph.learning.loop import LoopConfig, fit
from shopgraph.learning.optimiser import OptimiserConfig
from shopgraph.learning.tracker import open_tracker
from shopgraph.learning.updater import Updater

ROWS, BATCH, EPOCHS, STEPS_AN_EPOCH = 48, 7, 6, 4
FIGURES = [0.1, 0.4, 0.3, 0.2, 0.1, 0.1]
OPTIMISER = OptimiserConfig(
    learning_rate=0.02, weight_decay=0.01, clip_norm=0.5, accumulate=2, schedule="cosine", warmup_share=0.2
)


class Network(nn.Module):
    """It has a layer that no loss reaches, and a parameter that only rows of low numbers reach."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out, self.unreached = nn.Linear(2, 8), nn.Linear(8, 1), nn.Linear(2, 2)
        self.low = nn.Parameter(torch.tensor([[0.5]]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found, low = self.out(torch.tanh(self.hidden(x))), x[:, :1] < -0.5
        return found + self.low * low if low.any() else found


def train(folder: Path, replica: Replica, failing_epoch: int | None = None) -> dict[str, Any]:
    """Replicas start from parameters of their own, which the first's replace; low rows are the first one's share."""
    torch.manual_seed(3 + replica.rank)
    model = Network().double()
    updater = Updater(model, OPTIMISER, EPOCHS * STEPS_AN_EPOCH, replica)
    x = torch.tensor(np.sort(np.random.default_rng(5).uniform(-1, 1, (ROWS, 2)), axis=0))
    y = x.prod(dim=1, keepdim=True)
    judged = []

    def train_epoch(epoch: int) -> float:
        order = np.random.default_rng([5, epoch]).permutation(ROWS)
        losses, weights = [], []
        for start in range(0, ROWS, BATCH):
            if epoch == failing_epoch and replica.rank == 1 and start:
                raise ValueError("the second replica has had enough")
            rows = share(np.sort(order[start : start + BATCH]), replica.rank, replica.world)
            losses.append(updater.backward((model(x[rows]) - y[rows]).pow(2).mean(), weight=len(rows)))
            weights.append(len(rows))
        updater.flush()
        return mean_of(float(np.average(losses, weights=weights)), replica, sum(weights))

    def judge() -> dict[str, float]:
        judged.append(replica.rank)
        return {"fit": FIGURES[len(judged) - 1]}

    loop, tracker = LoopConfig(EPOCHS, 2, "fit"), open_tracker("tensorboard", folder)
    outcome = fit(model, updater, train_epoch, judge, loop, folder, {"seed": 3}, tracker=tracker, replica=replica)
    return {
        "losses": [record.loss for record in outcome.curve],
        "figures": [record.metrics for record in outcome.curve],
        "best_epoch": outcome.best_epoch,
        "judged": judged,
        "parameters": {name: tensor.tolist() for name, tensor in model.state_dict().items()},
    }


def main() -> None:
    folder = Path(sys.argv[1])
    with process_group(timeout_seconds=60) as replica:
        if sys.argv[2:] != ["failing"]:
            here = {"process": os.getpid(), "port": int(os.environ["MASTER_PORT"])}
            found = {**here, **train(folder / "whole", replica)}
            (folder / f"rank{replica.rank}.json").write_text(json.dumps(found))
        train(folder / "failing", replica, failing_epoch=2)


if __name__ == "__main__":
    main()
