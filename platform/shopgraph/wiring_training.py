"""Composition root of everything that trains: the steps of a retraining, ids in and ids out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from shopgraph.dataset.snapshot import Snapshot, export_snapshot, open_snapshot, write_snapshot
from shopgraph.dataset.split import Holdout, split
from shopgraph.derivation.derive import derive
from shopgraph.errors import ConfigurationError, InputError
from shopgraph.gate import GateConfig, Verdict, judge
from shopgraph.graph.connection import Graph
from shopgraph.learning.overrides import configured
from shopgraph.newcomers import (
    Newcomers,
    NewVectors,
    brand_names,
    find_newcomers,
    nearest_to_newcomers,
    write_newcomers,
)
from shopgraph.publish import publish_release, serving
from shopgraph.registry import Registry, Vectors
from shopgraph.schema import FAMILIES
from shopgraph.settings import Settings, utc_now
from shopgraph.tracking import Progress, RunLog, silent
from shopgraph.wiring_readers import encoding_of, fused_of, graph_vectors_of, reading_of
from shopgraph.wiring_serving import open_graph

if TYPE_CHECKING:
    from shopgraph.embed.config import GraphEmbeddingConfig
    from shopgraph.learning.tracker import Tracker
    from shopgraph.learning.trained import TrainedEmbedding
    from shopgraph.text.config import TextConfig
    from shopgraph.text.shop import GraphVectors

HELD_OUT_VERSION = "held_out_version"
"""On the card of a refitted version: the version whose figures its card shows."""


@dataclass(frozen=True)
class Encoded:
    """How many newcomers got their vectors, and under which release; None where there was nothing to look for."""

    release: str | None = None
    products: int = 0
    users: int = 0


@dataclass(frozen=True)
class Training:
    """What training takes, built once a process; each step may run in a process of its own."""

    settings: Settings
    graph: Graph
    runs: RunLog
    registry: Registry

    def __enter__(self) -> Training:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.graph.close()

    def now(self) -> datetime:
        """This moment by the clock of the settings; on the data's clock, just after its newest event."""
        newest = self.graph.single("newest_event")["at"] if self.settings.clock == "data" else None
        return newest.to_native() + timedelta(seconds=1) if newest is not None else utc_now()

    def export(self, before: datetime | None = None, progress: Progress = silent) -> str:
        """Export the graph as it was before a moment, by default now; the snapshot's id."""
        return export_snapshot(self.graph, before or self.now(), self.settings.snapshots, progress).id

    def snapshot(self, snapshot_id: str) -> Snapshot:
        return open_snapshot(self.settings.snapshots, snapshot_id)

    def hold_out(self, snapshot_id: str, weeks: int, folder: Path) -> tuple[str, Path]:
        """Cut the last weeks off a snapshot; the id of what is left, and the file of the purchases cut off."""
        snapshot = self.snapshot(snapshot_id)
        learned, holdout = split(snapshot, snapshot.before - timedelta(weeks=weeks))
        path = folder / "holdout.parquet"
        holdout.write(path)
        return write_snapshot(learned, self.settings.snapshots).id, path

    def train_graph(
        self,
        snapshot_id: str,
        holdout: Path,
        folder: Path,
        overrides: Mapping[str, Any] | None = None,
        progress: Progress = silent,
    ) -> str:
        """Train the graph embedding, stopping by the held-out purchases; the version's id.

        A folder in which an earlier, interrupted training left checkpoints is gone on with.
        """
        from shopgraph.embed.config import GraphEmbeddingConfig

        config = configured(GraphEmbeddingConfig(), overrides or {})
        trained = self._graph_embedding(snapshot_id, config, Holdout.read(holdout), folder, progress)
        return trained.save(self.registry).id

    def refit_graph(self, version_id: str, snapshot_id: str, folder: Path, progress: Progress = silent) -> str:
        """Train anew on a whole snapshot for the epochs that the held-out weeks chose; the new version's id.

        Its card shows the held-out model's figures: nothing is left to judge a model that has seen everything.
        """
        trained = self._refitted(version_id, snapshot_id, folder, progress)
        shown = {**self.registry.get(version_id).metrics, HELD_OUT_VERSION: version_id}
        return trained.save(self.registry, shown).id

    def fit_graph(
        self, version_id: str, snapshot_id: str, folder: Path, progress: Progress = silent
    ) -> dict[str, Vectors]:
        """The vectors of a version's encoder trained anew on another snapshot, kept nowhere."""
        return self._refitted(version_id, snapshot_id, folder, progress).vectors

    def _refitted(self, version_id: str, snapshot_id: str, folder: Path, progress: Progress) -> TrainedEmbedding:
        from shopgraph.embed.config import GraphEmbeddingConfig

        judged = self.registry.get(version_id)
        config = configured(GraphEmbeddingConfig(), judged.config)
        return self._graph_embedding(snapshot_id, config, None, folder, progress, judged.metrics["best_epoch"])

    def _graph_embedding(
        self,
        snapshot_id: str,
        config: GraphEmbeddingConfig,
        holdout: Holdout | None,
        folder: Path,
        progress: Progress,
        epochs: int | None = None,
    ) -> TrainedEmbedding:
        """Train on a snapshot, with its texts where the config has them; what reads them goes into the version."""
        from shopgraph.embed.training import train_graph_embedding

        snapshot, device = self.snapshot(snapshot_id), self.device()
        text, files = None, {}
        if config.text_features:
            from shopgraph.text.features import FEATURES, TextFeaturesConfig, learn_text_features

            kept = self.settings.text_vectors
            text = learn_text_features(snapshot, TextFeaturesConfig(), kept, folder, device, progress)
            files = {FEATURES: folder / FEATURES}
        seed, tracker = self.settings.seed, self._tracker(folder)
        trained = train_graph_embedding(
            snapshot, config, holdout, device, seed, folder, progress, epochs, text, tracker
        )
        return replace(trained, files={**trained.files, **files})

    def train_text(
        self,
        snapshot_id: str,
        folder: Path,
        overrides: Mapping[str, Any] | None = None,
        progress: Progress = silent,
        graph_version: str | None = None,
    ) -> str:
        """Fine-tune the language model with the graph as its input and encode the catalogue; the version's id.

        Args:
            graph_version: whose vectors it is fused with; by default the version that serves, if one does.
        """
        from shopgraph.text.config import TextConfig

        version = graph_version or self.serving_version("graph")
        graph = None
        if version is not None:
            graph = graph_vectors_of(version, self.vectors(version), self.registry.path(version))
        config = configured(TextConfig(), overrides or {})
        return self._text_embedding(snapshot_id, config, graph, folder, progress).save(self.registry).id

    def fit_text(
        self, version_id: str, snapshot_id: str, folder: Path, graph: GraphVectors | None, progress: Progress = silent
    ) -> Vectors:
        """The products' vectors of a text version trained anew on another snapshot, kept nowhere."""
        from shopgraph.text.config import TextConfig

        config = replace(configured(TextConfig(), self.registry.get(version_id).config), exported=False)
        return self._text_embedding(snapshot_id, config, graph, folder, progress).vectors["Product"]

    def _text_embedding(
        self, snapshot_id: str, config: TextConfig, graph: GraphVectors | None, folder: Path, progress: Progress
    ) -> TrainedEmbedding:
        from shopgraph.text.training import train_text_embedding

        snapshot, seed, kept = self.snapshot(snapshot_id), self.settings.seed, self.settings.text_vectors
        return train_text_embedding(snapshot, config, graph, self.device(), seed, folder, progress, kept=kept)

    def serving_version(self, family: str) -> str | None:
        """The version of a family that serves, where its files are still there."""
        release = serving(self.graph)
        served = release.families.get(family) if release else None
        try:
            return self.registry.get(served.version).id if served else None
        except InputError:
            return None

    def evaluate(self, version_id: str, snapshot_id: str, holdout: Path, progress: Progress = silent) -> Verdict:
        """Judge a version on the held-out purchases, beside what serves and popularity.

        Args:
            snapshot_id: what the version was trained on.
        """
        progress("evaluate", 0, 1)
        learned = self.snapshot(snapshot_id)
        comparable = self._comparable(learned)
        verdict = judge(
            learned,
            Holdout.read(holdout),
            self.vectors(version_id),
            self.vectors(comparable) if comparable else None,
            config=GateConfig(),
            seed=self.settings.seed,
        )
        progress("evaluate", 1, 1, verdict.reason)
        return verdict

    def _comparable(self, learned: Snapshot) -> str | None:
        """The graph version to compare with: what serves, as it was before its refit showed it the held-out weeks.

        None where nothing serves, where its files are gone, or where it has seen what the candidate is judged by.
        """
        release = serving(self.graph)
        served = release.families.get("graph") if release else None
        if served is None:
            return None
        try:
            version = self.registry.get(served.version).metrics.get(HELD_OUT_VERSION, served.version)
            seen_until = self.snapshot(self.registry.get(version).snapshot_id).before
        except InputError:
            return None
        return version if seen_until <= learned.before else None

    def vectors(self, version_id: str) -> dict[str, Vectors]:
        """A graph version's vectors by label."""
        return {label: self.registry.vectors(version_id, label) for label in FAMILIES["graph"].labels}

    def derive(self, snapshot_id: str, progress: Progress = silent) -> None:
        """Write what is bought together, and what is popular, as of the snapshot's moment."""
        snapshot = self.snapshot(snapshot_id)
        derive(self.graph, snapshot, snapshot.before, progress)

    def publish(self, versions: Mapping[str, str], snapshot_id: str, progress: Progress = silent) -> str:
        """Make these versions serve, all in one switch; the release's id."""
        encode = {"text": self._newcomers(versions["text"])} if "text" in versions else None
        snapshot = self.snapshot(snapshot_id)
        return publish_release(self.graph, self.registry, versions, snapshot, progress, encode=encode).id

    def encode_new(self) -> Encoded:
        """Give the products and users that came after the release's snapshot their vectors, without training.

        Where another release took over meanwhile nothing is written: the next call encodes for that one.

        Raises:
            InputError: the version that serves keeps nothing to encode with, or its files are gone.
        """
        found = find_newcomers(self.graph, self.registry)
        if found is None:
            return Encoded()
        from shopgraph.embed.inductive import encode_newcomers

        self.device()
        # opened at a release's first look, when nothing may be new yet: who comes next waits for nothing
        artefact, stored = encoding_of(self.registry.folder, found.served.version)
        vectors = NewVectors()
        if found.products or found.users:
            text = self._newcomer_texts(found, artefact.text_width) if artefact.text_width else None
            vectors = self._with_texts(found, encode_newcomers(artefact, stored, found, text))
        if not write_newcomers(self.graph, found, vectors):
            return Encoded()
        return Encoded(found.release, len(vectors.products.ids), len(vectors.users.ids))

    def _with_texts(self, found: Newcomers, vectors: NewVectors) -> NewVectors:
        """The text family's vectors beside, made of the new products' graph vectors where text was fused with such."""
        if found.texts is None or not found.products:
            return vectors
        from shopgraph.text.training import GRAPH_VERSION

        reader, stored = fused_of(self.registry.folder, found.texts.version)
        fused_with = self.registry.get(found.texts.version).metrics.get(GRAPH_VERSION)
        graph = vectors.products.matrix if fused_with == found.served.version else None
        words = [product.words for product in found.products]
        matrix = reader.of(words, brand_names(self.graph), graph)
        ids = vectors.products.ids
        return replace(vectors, texts=Vectors(ids, matrix), texts_near=nearest_to_newcomers(ids, matrix, stored))

    def _newcomer_texts(self, found: Newcomers, columns: int) -> np.ndarray:
        """(new products, columns): their texts as the version that serves has read all others."""
        if not found.products:
            return np.empty((0, columns), np.float32)
        reader = reading_of(self.registry.folder, found.served.version, self.settings.text_vectors)
        return reader.of([product.words for product in found.products], brand_names(self.graph))

    def _newcomers(self, version_id: str) -> Callable[[list[str]], np.ndarray]:
        """Text vectors of products that came after the export; the graph is read again only where there are any."""

        def encode(ids: list[str]) -> np.ndarray:
            from shopgraph.text.reader import newcomer_encoder

            snapshot = self.snapshot(self.export())
            return newcomer_encoder(self.registry.path(version_id), snapshot, self.device())(ids)

        return encode

    def _tracker(self, folder: Path) -> Tracker:
        from shopgraph.learning.tracker import open_tracker

        return open_tracker(self.settings.tracker, folder, self.settings.tracker_address)

    def device(self) -> str:
        """The device models train on, its threads capped where the settings say so."""
        import torch

        if self.settings.torch_threads:
            torch.set_num_threads(self.settings.torch_threads)
        wanted = self.settings.device
        if wanted == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        if wanted.startswith("cuda") and not torch.cuda.is_available():
            raise ConfigurationError(f"SHOPGRAPH_DEVICE={wanted}: torch finds no CUDA device here; set auto or cpu")
        return wanted


def build_training(settings: Settings) -> Training:
    """Open what training takes; close it in the process that opened it."""
    graph = open_graph(settings)
    return Training(settings, graph, RunLog(graph), Registry(settings.models))
