"""A vector for a relation type: with it a head's vector points at its tail, even where the triple is not stated."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn
from torch.nn.functional import embedding_bag, normalize

from shopgraph.dataset.hetero import NODE_KINDS
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.embed.loss import sampled_softmax
from shopgraph.embed.message_graph import MessageGraph
from shopgraph.embed.pooled import GROUPS, memberships, require_vectors
from shopgraph.embed.triples import ROWS_AT_ONCE, Triples, completion_figures
from shopgraph.errors import ConfigurationError
from shopgraph.evaluation import NO_ITEM, top
from shopgraph.learning.checkpoint import fingerprint
from shopgraph.learning.loop import LoopConfig, fit
from shopgraph.learning.optimiser import OptimiserConfig
from shopgraph.learning.trained import EpochRecord
from shopgraph.learning.updater import Updater
from shopgraph.schema import CATALOGUE, RELATIONS
from shopgraph.tracking import Progress, silent

FORMS = ("translation", "diagonal")
FIRST_SCALE = 20.0


@dataclass(frozen=True)
class RelationConfig:
    """How a relation's vector is learned."""

    form: str = "translation"
    """translation (the head's vector plus the relation's lies near the tail's) or diagonal (times the relation's)."""
    context: bool = True
    """Whether what else the catalogue states of a head adds learned vectors to its own, which stays as it is."""
    pool: int = 2_000
    """Relations of no more tails are learned against all of them, others against this many draws a batch."""
    triples_per_batch: int = 1_024
    triples_per_epoch: int = 100_000
    """At most; drawn anew each epoch."""
    held_share: float = 0.05
    """Of the triples, for judging alone."""
    held_most: int = 5_000
    optimiser: OptimiserConfig = field(default_factory=lambda: OptimiserConfig(learning_rate=0.02))
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(epochs=15, patience=3, metric="mrr"))

    def __post_init__(self) -> None:
        for name, kind in {"optimiser": OptimiserConfig, "loop": LoopConfig}.items():
            if isinstance(getattr(self, name), Mapping):
                object.__setattr__(self, name, kind(**getattr(self, name)))
        if self.form not in FORMS:
            raise ConfigurationError(f"form {self.form!r}: choose from {', '.join(FORMS)}")
        if not 0 < self.held_share < 1:
            raise ConfigurationError(f"held_share={self.held_share}: must lie between 0 and 1")


class RelationModel(nn.Module):
    """Scores the tails of one relation for heads x = h + mean of the learned vectors of what is stated of them.

    translation: s(x, t) = scale (<Mx + r, t> - |t|^2 / 2) + b_t, which orders tails as -scale |Mx + r - t|^2 / 2 + b_t
    does. diagonal: s(x, t) = scale <Mx * r, t> + b_t.

    Shapes:
        vector: (dimension,), r
        map: (dimension, dimension), M
        described: (nodes, dimension), what a head's other statements add
        tails: (tails, dimension), t
        bias: (tails,), b

    Source: Bordes et al., Translating embeddings for modeling multi-relational data (2013); with a map for each
    relation, Lin et al., Learning entity and relation embeddings for knowledge graph completion (2015); Yang et al.,
    Embedding entities and relations for learning and inference in knowledge bases (2015), the diagonal form.
    """

    def __init__(self, form: str, tails: torch.Tensor, bias: torch.Tensor, nodes: int) -> None:
        super().__init__()
        self.form, width = form, tails.shape[1]
        self.vector = nn.Parameter(torch.zeros(width) if form == "translation" else torch.ones(width))
        self.map = nn.Parameter(torch.eye(width))
        self.described = nn.Parameter(torch.zeros(nodes, width))
        self.tails, self.bias = nn.Parameter(tails), nn.Parameter(bias)
        self.log_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))

    def pointed(self, heads: torch.Tensor, context: sp.csr_array) -> torch.Tensor:
        """Where (head, relation) points: (n, dimension) and (n, nodes) -> (n, dimension)."""
        if context.nnz:
            nodes, starts = (torch.from_numpy(x.astype(np.int64)) for x in (context.indices, context.indptr[:-1]))
            device = heads.device
            heads = heads + embedding_bag(nodes.to(device), self.described, starts.to(device), mode="mean")
        turned = heads @ self.map
        return turned + self.vector if self.form == "translation" else turned * self.vector

    def forward(self, pointed: torch.Tensor, chosen: torch.Tensor | None = None) -> torch.Tensor:
        """(n, dimension) and the numbers of some tails, all by default -> (n, tails)."""
        tails, bias = (self.tails, self.bias) if chosen is None else (self.tails[chosen], self.bias[chosen])
        nearness = pointed @ tails.T
        if self.form == "translation":
            nearness = nearness - tails.square().sum(dim=1) / 2
        return self.log_scale.exp() * nearness + bias


@dataclass(frozen=True)
class RelationEmbedding:
    """A learned relation.

    Shapes:
        vector: (dimension,), float32; tails: (tails, dimension), float32, of the rows `triples.tail_rows`
    """

    vector: np.ndarray
    tails: np.ndarray
    triples: Triples
    model: RelationModel
    context: sp.csr_array
    metrics: dict[str, float]
    """Filtered mrr, hits@1 and hits@10 of the held-out triples; `frequent.` those of ranking by frequency."""
    best_epoch: int
    curve: list[EpochRecord]

    @torch.no_grad()
    def scores(self, vectors: np.ndarray, heads: np.ndarray) -> np.ndarray:
        """How well each tail fits: (heads of the kind, dimension) and (n,) rows -> (n, tails)."""
        return self.model(self.model.pointed(torch.from_numpy(vectors[heads]), self.context[heads])).numpy()


@dataclass(frozen=True)
class Completion:
    """The best tails that are not stated.

    Shapes:
        heads: (n,), rows; tails: (n, depth), rows, best first, `NO_ITEM` where none is left
        scores: (n, depth), float32, 0 to 1: the tail's probability among all that the head does not state
    """

    heads: np.ndarray
    tails: np.ndarray
    scores: np.ndarray


def hidden(graph: MessageGraph, relation: str) -> MessageGraph:
    """A message graph without one relation either way: what it states can then be told from it only by learning."""
    names = (relation.lower(), f"rev_{relation.lower()}")
    return replace(graph, relations={edge: kept for edge, kept in graph.relations.items() if edge[1] not in names})


def learn_relations(
    encode_without: Callable[[str], Mapping[str, np.ndarray]],
    snapshot: Snapshot,
    config: RelationConfig,
    seed: int,
    folder: Path,
    progress: Progress = silent,
) -> dict[str, RelationEmbedding]:
    """Learn every relation of products in the catalogue that states anything.

    Not CHILD_OF: a message graph puts products in ancestors too, so that it can't be hidden of who is above whom.

    Args:
        encode_without: given a relation, the vectors of each kind, made of a graph that is `hidden` of it.
    """
    return {
        name: learn_relation(
            name,
            encode_without(name)[NODE_KINDS[RELATIONS[name].source]],
            snapshot,
            config,
            seed,
            folder / name.lower(),
            progress=progress,
        )
        for name in GROUPS
        if snapshot.relations[name].num_rows
    }


def learn_relation(
    relation: str,
    vectors: np.ndarray,
    snapshot: Snapshot,
    config: RelationConfig,
    seed: int,
    folder: Path,
    since_ms: int | None = None,
    progress: Progress = silent,
) -> RelationEmbedding:
    """Learn to point from heads at the tails that a snapshot states; held-out triples stop it and are never learned.

    Args:
        vectors: (heads, dimension), float32, of the relation's source, made of a graph without what is learned: one
            `hidden` of the relation, of behaviour one before `since_ms`. Others know the answers.
        folder: keeps the checkpoint.

    Raises:
        InputError: too few triples, vectors of another number of heads or not finite, or another run's checkpoint.
    """
    triples = Triples.of(snapshot, relation, since_ms)
    require_vectors(RELATIONS[relation].source, vectors, triples.stated.shape[0])
    learned, held = triples.parted(config.held_share, config.held_most, seed)
    context = stated_besides(snapshot, relation) if config.context else sp.csr_array((len(vectors), 0), dtype=bool)
    heads = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32))
    model = RelationModel(config.form, _centres(learned, heads), _log_frequency(learned), context.shape[1])
    drawn = min(len(learned), config.triples_per_epoch)
    batches = math.ceil(drawn / config.triples_per_batch)
    updater = Updater(model, config.optimiser, config.loop.epochs * math.ceil(batches / config.optimiser.accumulate))
    frequencies = np.bincount(learned.tail, minlength=len(triples.tail_rows)).astype(np.float32)
    baseline = completion_figures(lambda rows: np.tile(frequencies, (len(rows), 1)), held)

    def judge() -> dict[str, float]:
        found = RelationEmbedding(*_arrays(model), triples, model, context, {}, 0, [])
        return completion_figures(partial(found.scores, heads.numpy()), held)

    outcome = fit(
        model,
        updater,
        partial(_epoch, model, updater, learned, heads, context, config, seed),
        judge,
        config.loop,
        folder,
        {
            "snapshot": snapshot.id,
            "relation": relation,
            "vectors": fingerprint(vectors),
            "since_ms": since_ms,
            "config": asdict(config),
            "seed": seed,
        },
        progress,
        title=f"relation {relation}",
    )
    metrics = outcome.curve[outcome.best_epoch - 1].metrics | {f"frequent.{name}": x for name, x in baseline.items()}
    return RelationEmbedding(*_arrays(model), triples, model, context, metrics, outcome.best_epoch, outcome.curve)


def complete(
    relation: RelationEmbedding, vectors: np.ndarray, heads: np.ndarray | None = None, depth: int = 5
) -> Completion:
    """The best tails for heads that lack the relation, or for those named; what is stated is never among them.

    Shapes:
        vectors: (heads of the kind, dimension), as those it was learned with
        heads: (n,), row numbers

    Raises:
        InputError: vectors of another number of heads, or not finite.
    """
    stated = relation.triples.stated
    require_vectors(RELATIONS[relation.triples.relation].source, vectors, stated.shape[0])
    if heads is None:
        heads = np.flatnonzero(np.diff(stated.indptr) == 0)
    tails = np.full((len(heads), depth), NO_ITEM, dtype=np.int64)
    probability = np.zeros((len(heads), depth), dtype=np.float32)
    for first in range(0, len(heads), ROWS_AT_ONCE):
        rows = heads[first : first + ROWS_AT_ONCE]
        logits = relation.scores(vectors, rows)
        logits[stated[rows].nonzero()] = -np.inf
        best = top(logits, depth)
        shifted = np.exp(logits - np.maximum(logits.max(axis=1, keepdims=True), np.finfo(np.float32).min))
        chance = shifted / np.maximum(shifted.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
        found = best != NO_ITEM
        tails[first : first + len(rows)][found] = relation.triples.tail_rows[best[found]]
        probability[first : first + len(rows)] = np.where(found, np.take_along_axis(chance, best * found, axis=1), 0.0)
    return Completion(heads, tails, probability)


def stated_besides(snapshot: Snapshot, relation: str) -> sp.csr_array:
    """(heads, nodes), bool: what the catalogue's other relations state of a relation's heads, ancestors included."""
    source = RELATIONS[relation].source
    others = [
        memberships(snapshot, name)
        for name in CATALOGUE
        if name != relation and RELATIONS[name].source == source and snapshot.relations[name].num_rows
    ]
    nothing = sp.csr_array((snapshot.nodes[source].num_rows, 0), dtype=bool)
    return sp.csr_array(sp.hstack([nothing, *others], format="csr", dtype=bool))


def _epoch(
    model: RelationModel,
    updater: Updater,
    learned: Triples,
    heads: torch.Tensor,
    context: sp.csr_array,
    config: RelationConfig,
    seed: int,
    epoch: int,
) -> float:
    """One pass over drawn triples; the mean loss."""
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(learned))[: config.triples_per_epoch]
    share = np.bincount(learned.tail, minlength=len(learned.tail_rows)) / len(learned)
    losses, sizes = [], []
    model.train()
    for first in range(0, len(order), config.triples_per_batch):
        chosen = order[first : first + config.triples_per_batch]
        rows, tails = learned.head[chosen], learned.tail[chosen]
        pool, log_inclusion = _pool(tails, share, config.pool, random)
        barred = np.stack(learned.stated[rows][:, pool].nonzero()).astype(np.int64)
        with updater.autocast():
            logits = model(model.pointed(heads[rows], context[rows]), torch.from_numpy(pool)).float()
        positive = torch.arange(len(rows))
        loss = sampled_softmax(
            logits,
            logits[positive, torch.from_numpy(np.searchsorted(pool, tails))],
            positive,
            torch.full((len(rows),), 1.0 / len(rows)),
            torch.from_numpy(log_inclusion),
            torch.from_numpy(barred),
        )
        losses.append(updater.backward(loss, len(rows)))
        sizes.append(len(rows))
    updater.flush()
    return float(np.average(losses, weights=sizes))


def _pool(
    tails: np.ndarray, share: np.ndarray, size: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Ascending tails to choose among, and the log of the chance that each had to be there."""
    if len(share) <= size:
        return np.arange(len(share)), np.zeros(len(share), np.float32)
    pool = np.unique(np.concatenate([tails, random.integers(0, len(share), size)]))
    expected = share[pool] * len(tails) + size / len(share)
    return pool, np.log(-np.expm1(-expected)).astype(np.float32)


def _centres(learned: Triples, heads: torch.Tensor) -> torch.Tensor:
    """(tails, dimension): mean of the heads that state each tail, at unit length; 0 where every one is held out."""
    total = torch.zeros(len(learned.tail_rows), heads.shape[1])
    return normalize(total.index_add(0, torch.from_numpy(learned.tail), heads[learned.head]), dim=1)


def _log_frequency(learned: Triples) -> torch.Tensor:
    counts = np.bincount(learned.tail, minlength=len(learned.tail_rows))
    return torch.from_numpy(np.log(counts + 0.5).astype(np.float32))


def _arrays(model: RelationModel) -> tuple[np.ndarray, np.ndarray]:
    return model.vector.detach().numpy(), model.tails.detach().numpy()
