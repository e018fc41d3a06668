"""What every part of `make bench-text` does: a graph, a text model on it, and who finds what by its vectors."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp
from safetensors import safe_open

from shopgraph.dataset.corpus import CorpusConfig, read_corpus
from shopgraph.dataset.purchases import Purchases
from shopgraph.dataset.searches import SearchPairs
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.embed.artefact import open_artefact
from shopgraph.embed.config import GraphEmbeddingConfig
from shopgraph.embed.inductive import encode_unbought
from shopgraph.embed.training import train_graph_embedding
from shopgraph.evaluation import Scorer, Setting, evaluate
from shopgraph.learning.overrides import configured
from shopgraph.learning.trained import TrainedEmbedding
from shopgraph.text.alignment import fit_alignment
from shopgraph.text.backbone import DEFAULT
from shopgraph.text.config import TextConfig
from shopgraph.text.features import FrozenEncoder, TextFeaturesConfig
from shopgraph.text.reader import MODEL
from shopgraph.text.shop import GraphVectors
from shopgraph.text.training import ADAPTERS, QUERY, train_text_embedding

SEED = 7
SHARPNESS = 2.0
"""Of the profiles where no earlier weeks can choose it: what the year's validation weeks choose most often."""
MOVING = {"steps": 25, "batch_pairs": 32}
LESS_READ = {"named_most": 1000, "judged_texts": 500, "judged_pairs": 100}
"""Of a backbone that learns, too: seconds a step, and all that it is asked is read anew."""
VARIANTS: dict[str, dict[str, Any]] = {
    "text_only": {"fusion": {"kind": "none"}},
    "early_fusion": {**LESS_READ, "fusion": {"kind": "early"}, "tuning": MOVING},
    "late_fusion": {"fusion": {"kind": "late"}},
    "pretrained": {"pretraining": {"steps": 60}},
    "full": {**LESS_READ, "tuning": {**MOVING, "frozen_layers": 0}},
    "adversarial": {
        **LESS_READ,
        "tuning": {**MOVING, "frozen_layers": 0, "adversarial": {"name": "fgsm"}},
    },
    "lora": {**LESS_READ, "tuning": {**MOVING, "lora": {"rank": 16}, "optimiser": {"learning_rate": 3e-4}}},
}
"""What each row of the tables changes in the configuration of its part."""


def told(step: str, done: int, total: int, message: str = "") -> None:
    if done == total:
        print(f"    {time.strftime('%H:%M:%S')} {step} {done}/{total} {message}", flush=True)


@dataclass
class Shop:
    """One data set: what models may see, and the folder that their files go to."""

    snapshot: Snapshot
    folder: Path
    encoder: Mapping[str, Any]
    """Configuration of the graph's encoder, and its `epochs`."""
    described: Snapshot | None = None
    """What the graph is trained on, where it is told more than texts say."""

    @cached_property
    def bought(self) -> sp.csr_array:
        return Purchases.of(self.snapshot).binary()

    @cached_property
    def graph(self) -> GraphVectors:
        """Vectors of a graph version: products as if nobody had bought them, users as they are."""
        options = dict(self.encoder)
        epochs, work = options.pop("epochs"), self.folder / "graph"
        shutil.rmtree(work, ignore_errors=True)
        config = configured(GraphEmbeddingConfig(), options)
        trained = train_graph_embedding(self.described or self.snapshot, config, None, "cpu", SEED, work, told, epochs)
        for name, path in trained.files.items():
            if path.parent != work:
                shutil.copy(path, work / name)
        return GraphVectors("bench", encode_unbought(open_artefact(work)), trained.vectors["User"])

    @cached_property
    def untouched(self) -> np.ndarray:
        """(products, width): the packaged model's vectors of the products' texts."""
        corpus, config = read_corpus(self.snapshot, CorpusConfig()), TextConfig()
        encoder = FrozenEncoder(TextFeaturesConfig(DEFAULT, config.max_tokens), self.kept, "cpu")
        return encoder(corpus.texts, progress=told)[corpus.text_of]

    @property
    def kept(self) -> Path:
        """Where vectors of texts are kept: those of the packaged model are read once for all variants."""
        return self.folder / "texts"

    def graph_only(self) -> np.ndarray:
        """(products, dimension): the graph's vectors, projected as those of text and graph are."""
        vectors, dimension = self.graph.products.matrix, TextConfig().dimension
        return fit_alignment(vectors, self.bought, min(dimension, vectors.shape[1]))(vectors)

    def model(
        self, name: str, searches: SearchPairs | None = None, graph: bool = True, **overrides: Any
    ) -> TrainedEmbedding:
        """The text model of a variant, or of the default configuration, trained anew."""
        config = configured(configured(TextConfig(exported=False), overrides), VARIANTS.get(name, {}))
        work = self.folder / name
        shutil.rmtree(work, ignore_errors=True)
        vectors = self.graph if graph else None
        return train_text_embedding(self.snapshot, config, vectors, "cpu", SEED, work, told, searches, self.kept)


def ndcg(score: Scorer, setting: Setting) -> float:
    return evaluate(score, setting).means()["ndcg@20"]


def query_folder(trained: TrainedEmbedding) -> Path:
    return trained.files[QUERY]


def share_of_adapters(trained: TrainedEmbedding) -> float:
    """Weights of the adapters, and of what is on top of the backbone, by all of the model's."""
    adapters = _weights(trained.files[ADAPTERS] / "adapter_model.safetensors")
    on_top = _weights(trained.files[MODEL] / "fusion.safetensors")
    backbone = sum(_weights(path) for path in (trained.files[MODEL] / "backbone").rglob("*.safetensors"))
    return (adapters + on_top) / (on_top + backbone)


def _weights(file: Path) -> int:
    with safe_open(file, "numpy") as tensors:
        return sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118


def without_newcomers(snapshot: Snapshot, share: float, judged_users: int) -> tuple[Snapshot, Setting]:
    """The snapshot without the purchases of a share of its products, drawn at random, and who bought which of those.

    Candidates are the products left out; users with no other purchase are not judged.
    """
    purchases, random = Purchases.of(snapshot), np.random.default_rng(SEED)
    sold = np.flatnonzero(purchases.buyers())
    is_new = np.zeros(purchases.product_count, bool)
    is_new[random.choice(sold, max(1, round(share * len(sold))), replace=False)] = True
    late = is_new[purchases.products]
    table = snapshot.relations["PURCHASED"].filter(pa.array(~late))
    known = replace(snapshot, relations={**snapshot.relations, "PURCHASED": table})
    seen, truth = purchases.chosen(~late).binary(), purchases.chosen(late).binary().astype(bool).tocsr()
    judged = np.flatnonzero((np.diff(seen.indptr) > 0) & (np.diff(truth.indptr) > 0))
    judged = random.permutation(judged)[:judged_users]
    is_judged = np.isin(np.arange(truth.shape[0]), judged).astype(np.float32)
    kept = sp.csr_array(sp.diags_array(is_judged) @ truth).astype(bool)
    kept.eliminate_zeros()
    return known, Setting("cold", kept, sp.csr_array(truth.shape, dtype=bool), is_new)


def rated_as_bought(relations: Mapping[str, pa.Table]) -> pa.Table:
    """Ratings as purchases of one unit each, every one an order of its own."""
    rated = relations["RATED"]
    rows = rated.num_rows
    return pa.table(
        {
            "start": rated["start"],
            "end": rated["end"],
            "at": rated["at"],
            "quantity": pa.array(np.ones(rows, np.int64)),
            "amount": pa.nulls(rows, pa.float64()),
            "discount": pa.array(np.zeros(rows)),
            "order_id": pc.cast(pa.array(np.arange(rows)), pa.string()),
        }
    )
