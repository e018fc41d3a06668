"""What every part of `make bench-text` does: a graph, a text model on it, and who finds what by its vectors."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

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
from shopgraph.text.backbone import DEFAULT, backbone_path, open_encoder
from shopgraph.text.config import TextConfig
from shopgraph.text.encoding import encode_texts
from shopgraph.text.training import QUERY, GraphVectors, train_text_embedding

SEED = 7
VARIANTS: dict[str, dict[str, Any]] = {
    "text_only": {"fusion": {"kind": "none"}},
    "early_fusion": {"fusion": {"kind": "early"}},
    "late_fusion": {"fusion": {"kind": "late"}},
    "pretrained": {"pretraining": {"steps": 60}},
    "adversarial": {"tuning": {"adversarial": {"name": "fgsm"}}},
    "lora": {"tuning": {"lora": {"rank": 16}}},
}
"""What each row of the tables changes in the default configuration."""


def told(step: str, done: int, total: int, message: str = "") -> None:
    if done == total:
        print(f"    {step} {done}/{total} {message}", flush=True)


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
        corpus = read_corpus(self.snapshot, CorpusConfig())
        model = open_encoder(backbone_path(DEFAULT), "cpu", TextConfig().max_tokens)
        return encode_texts(model, corpus.texts, progress=told).matrix[corpus.text_of]

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
        return train_text_embedding(self.snapshot, config, vectors, "cpu", SEED, work, told, searches)


def profiles(vectors: np.ndarray, bought: sp.csr_array, by_rarity: bool = True) -> Scorer:
    """A user is the sum of the vectors of what they bought, each by the root of its buyers' number, or as it is."""
    buyers = np.maximum(np.asarray(bought.sum(axis=0)).ravel(), 1)
    weights = 1 / np.sqrt(buyers) if by_rarity else np.ones_like(buyers)
    users = (sp.csr_array(bought @ sp.diags_array(weights)) @ vectors).astype(np.float32)
    return lambda rows: users[rows] @ vectors.T


def ndcg(score: Scorer, setting: Setting) -> float:
    return evaluate(score, setting).means()["ndcg@20"]


def query_folder(trained: TrainedEmbedding) -> Path:
    return trained.files[QUERY]


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
