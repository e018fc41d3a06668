"""What `make bench-kg` tries of each model: few configurations, among which each split's validation part chooses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from shopgraph.collaborative.peers import PEERS, fit_peer
from shopgraph.dataset.hetero import to_hetero
from shopgraph.dataset.purchases import Purchases, to_ms
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.embed.config import GraphEmbeddingConfig
from shopgraph.embed.message_graph import catalogue_matrix
from shopgraph.embed.training import train_graph_embedding
from shopgraph.evaluation import Scorer
from shopgraph.learning.overrides import configured

SEED = 7
BINARY = {"power": 0.0}
PEER_TRIALS: dict[str, dict[str, dict[str, Any]]] = {
    "popularity": {"": {}},
    "item_knn": {
        "400 neighbours": {**BINARY, "neighbours": 400},
        "4,000 neighbours": {**BINARY, "neighbours": 4_000},
    },
    "ease": {
        "regularisation 50": {**BINARY, "regularisation": 50.0},
        "regularisation 500": {**BINARY, "regularisation": 500.0},
    },
    "page_rank": {
        "near": {**BINARY, "catalogue_share": 0.1, "restart": 0.2},
        "far": {**BINARY, "catalogue_share": 0.2, "restart": 0.1, "rounds": 5},
    },
    "attribute_affinity": {"": BINARY},
}
"""By model and by the name of the trial."""

FOLDS = {"dimension": 64, "affinity_width": 0, "cuts": {"by": "folds", "count": 4}}
ENCODER_TRIALS: dict[str, dict[str, dict[str, Any]]] = {
    "graphsage": {
        "sampled_softmax": {**FOLDS, "encoder": "graphsage", "loss": "sampled_softmax"},
        "approx_ndcg": {**FOLDS, "encoder": "graphsage", "loss": "approx_ndcg"},
    },
    "lightgcn": {
        loss: {**FOLDS, "encoder": "lightgcn", "loss": loss, "optimiser": {"learning_rate": 0.03}}
        for loss in ("sampled_softmax", "bpr")
    },
}
"""Without times a graph is cut by folds: the whole of train less a quarter of its positives, which it is to predict."""
EPOCHS = {"lastfm": {"graphsage": 8, "lightgcn": 20}, "book-crossing": {"graphsage": 3, "lightgcn": 8}}
"""An epoch of Book-Crossing has three times the steps."""
MODELS = (*PEER_TRIALS, *ENCODER_TRIALS)
LEFT_OUT = {
    "book-crossing": {
        # each would invert a dense matrix of 14,967 products
        ("ease", "regularisation 50"),
        ("ease", "regularisation 500"),
        # takes two to three times as long as the other loss
        ("graphsage", "approx_ndcg"),
        # bpr did better on Last.FM's validation part
        ("lightgcn", "sampled_softmax"),
    }
}
"""Trials without which the bench stays below ten minutes."""


def fits(name: str, folder: str, snapshot: Snapshot) -> dict[str, Callable[[], Scorer]]:
    """What fits each trial of a model to a snapshot of a data set, by the trial's name; none where all are left out.

    Where a model says nothing of a user, popularity ranks: in Book-Crossing 27 % have no positive in train.
    """
    if name in PEER_TRIALS:
        found = {trial: partial(_peer, name, snapshot, options) for trial, options in PEER_TRIALS[name].items()}
    else:
        epochs = EPOCHS[folder][name]
        found = {trial: partial(_encoder, snapshot, one, epochs) for trial, one in ENCODER_TRIALS[name].items()}
    buyers = Purchases.of(snapshot).buyers().astype(np.float32)
    kept = [trial for trial in found if (name, trial) not in LEFT_OUT.get(folder, ())]
    return {trial: partial(_fallen_back, found[trial], buyers) for trial in kept}


def _fallen_back(fit: Callable[[], Scorer], buyers: np.ndarray) -> Scorer:
    scorer = fit()

    def score(rows: np.ndarray) -> np.ndarray:
        scores = np.array(scorer(rows), dtype=np.float32)
        scores[scores.max(axis=1) == scores.min(axis=1)] = buyers
        return scores

    return score


def _peer(name: str, snapshot: Snapshot, options: Mapping[str, Any]) -> Scorer:
    config, catalogue = configured(PEERS[name].config(), options), catalogue_matrix(to_hetero(snapshot))
    return fit_peer(name, Purchases.of(snapshot), to_ms(snapshot.before), catalogue, config, SEED)


def _encoder(snapshot: Snapshot, options: Mapping[str, Any], epochs: int) -> Scorer:
    config = configured(GraphEmbeddingConfig(), options)
    with TemporaryDirectory() as scratch:
        trained = train_graph_embedding(snapshot, config, None, "cpu", SEED, Path(scratch), epochs=epochs)
    users, products = (trained.vectors[label].matrix for label in ("User", "Product"))
    return lambda rows: users[rows] @ products.T
