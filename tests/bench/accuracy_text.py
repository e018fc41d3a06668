"""Vectors of text and graph as a source of the rankers: how near a new product is to what a user bought lately."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from text_model import SEED, lately, profiles, told

from shopgraph.dataset.purchases import Purchases, to_ms
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.embed.artefact import open_artefact
from shopgraph.embed.inductive import encode_unbought
from shopgraph.evaluation import Scorer
from shopgraph.registry import Vectors
from shopgraph.text.config import TextConfig
from shopgraph.text.shop import GraphVectors
from shopgraph.text.training import train_text_embedding


def text_and_graph(
    cut: Snapshot, chosen: dict[str, Any], folder: Path, encoder: Callable[[], tuple[Path, np.ndarray]]
) -> Scorer:
    """Scores of the products that nobody had bought when the snapshot was cut; minus infinity for all others.

    Args:
        chosen: `half_life_weeks` and `sharpness` of the profiles.
        folder: where vectors are kept by moment, and texts as the packaged model reads them.
        encoder: the folder of the graph's encoder trained on the same cut, and its vectors of users; asked where
            nothing is kept.
    """
    purchases, moment = Purchases.of(cut), to_ms(cut.before)
    kept = folder / "folds" / f"text-and-graph-{moment}.npy"
    if not kept.exists():
        artefact, users = encoder()
        graph = GraphVectors("bench", encode_unbought(open_artefact(artefact)), Vectors(cut.ids("User"), users))
        with TemporaryDirectory() as work:
            trained = train_text_embedding(
                cut, TextConfig(exported=False), graph, "cpu", SEED, Path(work), told, None, folder / "texts"
            )
        np.save(kept, trained.vectors["Product"].matrix)
    interest = lately(purchases, moment, chosen["half_life_weeks"])
    return profiles(np.load(kept), interest, purchases.buyers() == 0, chosen["sharpness"])
