"""Vectors of text and graph as a source of the rankers: how near a new product is to what a user bought lately."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from text_model import SEED, told

from shopgraph.dataset.purchases import Purchases, to_ms
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.embed.artefact import open_artefact
from shopgraph.embed.inductive import encode_unbought
from shopgraph.evaluation import Scorer
from shopgraph.ranking.profiles import lately, profiles
from shopgraph.registry import Vectors
from shopgraph.text.config import TextConfig
from shopgraph.text.shop import GraphVectors
from shopgraph.text.training import train_text_embedding


def text_and_graph(cut: Snapshot, chosen: dict[str, Any], folder: Path, graph: Path) -> Scorer:
    """Scores of the products that nobody had bought when the snapshot was cut; minus infinity for all others.

    Args:
        chosen: `half_life_weeks` and `sharpness` of the profiles.
        folder: where vectors are kept by what they were learned with, and texts as the packaged model reads them.
        graph: vectors of an encoder trained on the same cut; a folder of the same name holds its artefact.
    """
    purchases, config = Purchases.of(cut), TextConfig(exported=False)
    learned_with = hashlib.sha256(json.dumps(asdict(config), sort_keys=True).encode()).hexdigest()[:12]
    kept = folder / "folds" / f"text-{learned_with}-{graph.stem}.npy"
    if not kept.exists():
        users = Vectors(cut.ids("User"), np.load(graph)["users"])
        vectors = GraphVectors("bench", encode_unbought(open_artefact(graph.with_suffix(""))), users)
        with TemporaryDirectory() as work:
            trained = train_text_embedding(cut, config, vectors, "cpu", SEED, Path(work), told, None, folder / "texts")
        np.save(kept, trained.vectors["Product"].matrix)
    interest = lately(purchases, to_ms(cut.before), chosen["half_life_weeks"])
    return profiles(np.load(kept), interest, purchases.buyers() == 0, chosen["sharpness"])
