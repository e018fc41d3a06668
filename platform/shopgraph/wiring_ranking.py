"""Composition of a ranker's training: collaborative filters and the graph embedding, each fitted at any moment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shopgraph.collaborative.peers import PEERS, fit_peer
from shopgraph.dataset.purchases import Purchases, to_ms
from shopgraph.dataset.snapshot import Snapshot, write_snapshot
from shopgraph.evaluation import Scorer
from shopgraph.gate import aligned, inner_products
from shopgraph.learning.overrides import configured
from shopgraph.ranking.folds import make_folds
from shopgraph.ranking.profiles import lately, profiles
from shopgraph.ranking.served import FOLDER
from shopgraph.ranking.training import GRAPH, TEXT, RankerConfig, train_ranker
from shopgraph.registry import Vectors
from shopgraph.schema import RANKER
from shopgraph.tracking import Progress, silent
from shopgraph.wiring_readers import graph_vectors_of
from shopgraph.wiring_training import HELD_OUT_VERSION, Training

GRAPH_VERSION, TEXT_VERSION = "graph_version", "text_version"
"""On a ranker's card: whose vectors are among its sources."""


def train_ranker_version(
    training: Training,
    snapshot_id: str,
    folder: Path,
    overrides: Mapping[str, Any] | None = None,
    progress: Progress = silent,
    graph_version: str | None = None,
    text_version: str | None = None,
) -> str:
    """Train what ranks on a snapshot and keep it; the version's id.

    Args:
        graph_version: whose vectors are one of the sources, by default the version that serves, if one does; at moments
            that neither it nor the version that chose its epochs was trained for, its encoder is trained anew.
        text_version: the same for the vectors that tell products nobody has bought yet; its model is trained anew at
            moments that it was not trained for, since it learned from purchases.

    Raises:
        InputError: a fold has nothing to learn from.
    """
    snapshot, config = training.snapshot(snapshot_id), configured(RankerConfig(), overrides or {})
    version = (graph_version or training.serving_version("graph")) if config.graph else None
    text = (text_version or training.serving_version("text")) if TEXT in config.cold.sources else None
    sources = _Sources(training, snapshot, config, version, text, folder, progress)
    threads = training.settings.torch_threads or os.cpu_count() or 1
    trained = train_ranker(snapshot, sources, config, training.settings.seed, threads, progress, training.device())
    kept = folder / FOLDER
    trained.served.save(kept)
    metrics = {**trained.metrics, GRAPH_VERSION: version, TEXT_VERSION: text}
    return training.registry.save(RANKER, snapshot_id, {}, asdict(config), metrics, {FOLDER: kept}).id


@dataclass(frozen=True)
class _Graph:
    """A graph embedding: the version that it is or goes by, its vectors by label, and the folder of what made them."""

    version: str
    vectors: dict[str, Vectors]
    folder: Path


class _Sources:
    """Fits a ranker's sources on what happened before a moment."""

    def __init__(
        self,
        training: Training,
        snapshot: Snapshot,
        config: RankerConfig,
        graph_version: str | None,
        text_version: str | None,
        folder: Path,
        progress: Progress,
    ) -> None:
        from shopgraph.dataset.hetero import to_hetero
        from shopgraph.embed.message_graph import catalogue_matrix

        self._training, self._snapshot, self._config = training, snapshot, config
        self._graph_version, self._text_version = graph_version, text_version
        self._folder, self._progress = folder, progress
        self._purchases = Purchases.of(snapshot)
        self._catalogue = catalogue_matrix(to_hetero(snapshot))
        folds = make_folds(to_ms(snapshot.before), config.folds)[-config.cold.folds :]
        self._texts_from_ms = folds[0].moment_ms

    def __call__(self, moment_ms: int) -> dict[str, Scorer]:
        seed, purchases, config = self._training.settings.seed, self._purchases, self._config
        names = dict.fromkeys([*config.sources, *(name for name in config.cold.sources if name in PEERS)])
        found = {name: fit_peer(name, purchases, moment_ms, self._catalogue, seed=seed) for name in names}
        graph = None
        if self._graph_version is not None:
            graph = self._graph(moment_ms, self._graph_version)
            found[GRAPH] = inner_products(self._snapshot.ids("User"), self._snapshot.ids("Product"), graph.vectors)
        if self._text_version is not None and moment_ms >= self._texts_from_ms:
            found[TEXT] = self._profiles(moment_ms, self._text(moment_ms, self._text_version, graph))
        return found

    def _profiles(self, moment_ms: int, texts: Vectors) -> Scorer:
        past, config = self._purchases.before(moment_ms), self._config.cold.profile
        matrix, _ = aligned(self._snapshot.ids("Product"), texts)
        interest = lately(past, moment_ms, config.half_life_weeks)
        return profiles(matrix, interest, past.buyers() == 0, config.sharpness)

    def _graph(self, moment_ms: int, version: str) -> _Graph:
        """By the version trained on what came before the moment, or trained now."""
        trained = self._trained_until(moment_ms, version)
        if trained is not None:
            return _Graph(trained, self._training.vectors(trained), self._training.registry.path(trained))
        folder = self._folder / f"graph-{moment_ms}"
        vectors = self._training.fit_graph(version, self._cut(moment_ms), folder, self._progress)
        return _Graph(version, vectors, folder)

    def _text(self, moment_ms: int, version: str, graph: _Graph | None) -> Vectors:
        trained = self._trained_until(moment_ms, version)
        if trained is not None:
            return self._training.registry.vectors(trained, "Product")
        fused = graph_vectors_of(graph.version, graph.vectors, graph.folder) if graph is not None else None
        folder = self._folder / f"text-{moment_ms}"
        return self._training.fit_text(version, self._cut(moment_ms), folder, fused, self._progress)

    def _trained_until(self, moment_ms: int, version: str) -> str | None:
        judged = self._training.registry.get(version).metrics.get(HELD_OUT_VERSION)
        known = (trained for trained in (version, judged) if trained)
        return next((trained for trained in known if to_ms(self._before(trained)) == moment_ms), None)

    def _cut(self, moment_ms: int) -> str:
        moment = datetime.fromtimestamp(moment_ms / 1000, UTC)
        return write_snapshot(self._snapshot.until(moment), self._training.settings.snapshots).id

    def _before(self, trained: str) -> datetime:
        return self._training.snapshot(self._training.registry.get(trained).snapshot_id).before
