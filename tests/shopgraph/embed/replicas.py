"""Trains an encoder on the planted shop in each of the processes that torchrun starts: `replicas.py FOLDER`."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import torch

from shopgraph.embed.config import GraphEmbeddingConfig
from shopgraph.embed.cuts import CutsConfig
from shopgraph.embed.negatives import NegativesConfig
from shopgraph.embed.training import train_graph_embedding
from shopgraph.learning.distributed import Replica, process_group
from shopgraph.learning.loop import LoopConfig
from shopgraph.learning.optimiser import OptimiserConfig

CONFIG = GraphEmbeddingConfig(
    dimension=16,
    affinity_width=0,
    cuts=CutsConfig(count=3, spacing_weeks=3, supervision_weeks=3),
    negatives=NegativesConfig(count=20),
    positives_per_user=2,
    users_per_batch=7,
    optimiser=OptimiserConfig(learning_rate=0.01, accumulate=2, schedule="cosine"),
    loop=LoopConfig(epochs=3),
)


def train(folder: Path, replica: Replica) -> dict[str, object]:
    torch.set_num_threads(1)
    snapshot, holdout = _planted().make_planted()
    trained = train_graph_embedding(snapshot, CONFIG, holdout, "cpu", 7, folder, replica=replica)
    return {
        "losses": [record.loss for record in trained.curves],
        "ndcg": [record.metrics["novel.ndcg@20"] for record in trained.curves],
        "products": trained.vectors["Product"].matrix.tolist(),
    }


def _planted() -> ModuleType:
    """The fixtures' module; pytest imports it by path, and so does this."""
    spec = importlib.util.spec_from_file_location("planted_shop", Path(__file__).with_name("conftest.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    with process_group(timeout_seconds=120) as mine:
        found = train(Path(sys.argv[1]) / "run", mine)
        (Path(sys.argv[1]) / f"rank{mine.rank}.json").write_text(json.dumps(found))
