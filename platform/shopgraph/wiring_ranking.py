"""Composition of a ranker's training: collaborative filters and the graph embedding, each fitted at any moment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shopgraph.collaborative.peers import fit_peer
from shopgraph.dataset.purchases import Purchases, to_ms
from shopgraph.dataset.snapshot import Snapshot, write_snapshot
from shopgraph.evaluation import Scorer
from shopgraph.gate import inner_products
from shopgraph.learning.overrides import configured
from shopgraph.ranking.served import FOLDER
from shopgraph.ranking.training import RankerConfig, train_ranker
from shopgraph.registry import Vectors
from shopgraph.schema import RANKER
from shopgraph.tracking import Progress, silent
from shopgraph.wiring_training import HELD_OUT_VERSION, Training

GRAPH_VERSION = "graph_version"
"""On a ranker's card: whose vectors are one of its sources."""


def train_ranker_version(
    training: Training,
    snapshot_id: str,
    folder: Path,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress = silent,
    graph_version: str | None = None,
) -> str:
    """Train what ranks on a snapshot and keep it; the version's id.

    Args:
        graph_version: whose vectors are one of the sources, by default the version that serves, if one does; at moments
            that neither it nor the version that chose its epochs was trained for, its encoder is trained anew.

    Raises:
        InputError: a fold has nothing to learn from.
    """
    snapshot, config = training.snapshot(snapshot_id), configured(RankerConfig(), overrides or {})
    version = (graph_version or training.serving_graph()) if config.graph else None
    sources = _Sources(training, snapshot, config, version, folder, progress)
    threads = training.settings.torch_threads or os.cpu_count() or 1
    trained = train_ranker(snapshot, sources, config, training.settings.seed, threads, progress, training.device())
    kept = folder / FOLDER
    trained.served.save(kept)
    metrics = {**trained.metrics, GRAPH_VERSION: version}
    return training.registry.save(RANKER, snapshot_id, {}, asdict(config), metrics, {FOLDER: kept}).id


class _Sources:
    """Fits a ranker's sources on what happened before a moment."""

    def __init__(
        self,
        training: Training,
        snapshot: Snapshot,
        config: RankerConfig,
        graph_version: str | None,
        folder: Path,
        progress: Progress,
    ) -> None:
        from shopgraph.dataset.hetero import to_hetero
        from shopgraph.embed.message_graph import catalogue_matrix

        self._training, self._snapshot, self._config = training, snapshot, config
        self._graph_version, self._folder, self._progress = graph_version, folder, progress
        self._purchases = Purchases.of(snapshot)
        self._catalogue = catalogue_matrix(to_hetero(snapshot))

    def __call__(self, moment_ms: int) -> dict[str, Scorer]:
        seed, purchases = self._training.settings.seed, self._purchases
        found = {
            name: fit_peer(name, purchases, moment_ms, self._catalogue, seed=seed) for name in self._config.sources
        }
        if self._graph_version is not None:
            vectors = self._vectors(moment_ms, self._graph_version)
            found["graph"] = inner_products(self._snapshot.ids("User"), self._snapshot.ids("Product"), vectors)
        return found

    def _vectors(self, moment_ms: int, version: str) -> dict[str, Vectors]:
        """Of the version trained on what came before the moment, or trained now."""
        judged = self._training.registry.get(version)
        for trained in (version, judged.metrics.get(HELD_OUT_VERSION)):
            if trained and to_ms(self._before(trained)) == moment_ms:
                return self._training.vectors(trained)
        moment = datetime.fromtimestamp(moment_ms / 1000, UTC)
        cut = write_snapshot(self._snapshot.until(moment), self._training.settings.snapshots)
        return self._training.fit_graph(version, cut.id, self._folder / f"graph-{moment_ms}", self._progress)

    def _before(self, version: str) -> datetime:
        return self._training.snapshot(self._training.registry.get(version).snapshot_id).before
