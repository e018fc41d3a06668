"""What learned vectors tell a curator: what the catalogue fails to state, and purchases that fit nobody's habits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import torch

from shopgraph.dataset.hetero import NODE_KINDS
from shopgraph.dataset.purchases import WEEK_MS, Purchases
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.embed.artefact import EncodingArtefact
from shopgraph.embed.edge import EdgeConfig, Ends, judge_edges, learn_edges
from shopgraph.embed.message_graph import MessageGraph, MessageGraphs
from shopgraph.embed.pooled import GROUPS
from shopgraph.embed.relation import RelationConfig, complete, hidden, learn_relation
from shopgraph.embed.training import encode
from shopgraph.errors import InputError
from shopgraph.evaluation import NO_ITEM
from shopgraph.schema import RELATIONS
from shopgraph.tracking import Progress, silent


@dataclass(frozen=True)
class Suggestion:
    """A statement that the catalogue may lack."""

    product: str
    title: str
    tail: str
    """The id of what the product seems to lead to."""
    probability: float
    """Among all that the product does not state."""


@dataclass(frozen=True)
class Suggestions:
    """The likeliest missing statements of one relation, surest product first."""

    relation: str
    found: list[Suggestion]
    metrics: dict[str, float] = field(default_factory=dict)
    """Filtered MRR and hits of held-out statements; `frequent.`: of answering with the most frequent. Empty where
    every product states the relation, so that there was nothing to learn for."""


@dataclass(frozen=True)
class OddPurchase:
    """A purchase that its user and product make hard to believe."""

    user: str
    product: str
    title: str
    at: datetime
    plausibility: float
    """The chance to be the real one, of this purchase and a drawn one."""


@dataclass(frozen=True)
class OddPurchases:
    """The least plausible purchases, oddest first."""

    judged: int
    """Purchases looked at: those of the last week."""
    flagged: int
    """Of them, at or below the plausibility that few held-out purchases fall below."""
    found: list[OddPurchase]
    metrics: dict[str, float] = field(default_factory=dict)
    """AUC of held-out purchases against drawn ones; `cosine.auc`: by the vectors' inner product alone."""


def missing_statements(
    artefact: EncodingArtefact,
    snapshot: Snapshot,
    relation: str,
    config: RelationConfig,
    folder: Path,
    seed: int,
    limit: int = 20,
    depth: int = 1,
    progress: Progress = silent,
) -> Suggestions:
    """Learn a relation of products, and point from those that state nothing of it at what they seem to lead to.

    Args:
        artefact: of a version that was trained on this snapshot.
        limit: products, at most; depth: suggestions for each.
        folder: keeps the checkpoint.

    Raises:
        InputError: no relation of products in the catalogue, too few statements to learn from, or another snapshot.
    """
    if relation not in GROUPS:
        raise InputError(f"{relation} is no relation of products in the catalogue: choose from {', '.join(GROUPS)}")
    _require_same_nodes(artefact, snapshot)
    if len(pc.unique(snapshot.relations[relation]["start"])) == snapshot.nodes["Product"].num_rows:
        return Suggestions(relation, [])
    vectors = encode(artefact.encoder, hidden(_wordless(artefact), relation))["product"]
    learned = learn_relation(relation, vectors, snapshot, config, seed, folder, progress=progress)
    completed = complete(learned, vectors, depth=depth)
    surest = np.argsort(-completed.scores[:, 0], kind="stable")[:limit]
    products, titles = snapshot.ids("Product"), _titles(snapshot)
    tails = snapshot.ids(RELATIONS[relation].target)
    found = [
        Suggestion(products[head := completed.heads[row]], titles[head], tails[tail], float(probability))
        for row in surest
        for tail, probability in zip(completed.tails[row], completed.scores[row], strict=True)
        if tail != NO_ITEM
    ]
    return Suggestions(relation, found, learned.metrics)


def odd_purchases(
    artefact: EncodingArtefact,
    snapshot: Snapshot,
    config: EdgeConfig,
    folder: Path,
    seed: int,
    weeks: int = 8,
    limit: int = 20,
    progress: Progress = silent,
) -> OddPurchases:
    """Learn from the last weeks which purchases happen, and name the least plausible ones of the last.

    Users and products are described by vectors of the graph as it was before these weeks, so that no purchase vouches
    for itself.

    Args:
        weeks: before the snapshot's end, the last of which is judged and all others are learned from.

    Raises:
        InputError: another snapshot, or too few purchases in either part.
    """
    _require_same_nodes(artefact, snapshot)
    moment_ms = artefact.graph.moment_ms - weeks * WEEK_MS
    later = Purchases.of(snapshot).since(moment_ms)
    last = later.times >= artefact.graph.moment_ms - WEEK_MS
    if not last.any():
        raise InputError(f"snapshot {snapshot.id} has no purchase in its last week: there is none to judge")
    ends = _ends(artefact, snapshot, moment_ms, folder / "relation", seed, progress)
    learned, judged = later.chosen(~last), later.chosen(last)
    edges = learned.users, learned.products, learned.times
    scorer = learn_edges(*edges, ends, config, seed, folder / "edges", progress)
    scored = judge_edges(scorer, judged.users, judged.products, judged.times, ends)
    users, products, titles = snapshot.ids("User"), snapshot.ids("Product"), _titles(snapshot)
    found = [
        OddPurchase(
            users[judged.users[row]],
            products[judged.products[row]],
            titles[judged.products[row]],
            datetime.fromtimestamp(judged.times[row] / 1000, UTC),
            float(scored.scores[row]),
        )
        for row in np.argsort(scored.scores, kind="stable")[:limit]
    ]
    return OddPurchases(len(judged), int(scored.odd.sum()), found, scorer.metrics)


def _ends(
    artefact: EncodingArtefact, snapshot: Snapshot, moment_ms: int, folder: Path, seed: int, progress: Progress
) -> Ends:
    """Vectors of the graph before a moment, and the vector that purchases since then give their relation."""
    shape, width = artefact.graph.shape, artefact.graph.position["product"].shape[1]
    graphs = MessageGraphs(
        snapshot, width, artefact.half_life_weeks, seed, artefact.text, affinity_width=shape.affinity
    )
    # the encoder knows the axes of its own graph alone
    found = encode(artefact.encoder, graphs.before(moment_ms, aligned_to=artefact.graph))
    config = RelationConfig(context=False)
    learned = learn_relation("PURCHASED", found["user"], snapshot, config, seed, folder, moment_ms, progress)
    return Ends(found["user"], found["product"], learned.vector, moment_ms)


def _wordless(artefact: EncodingArtefact) -> MessageGraph:
    """The graph with all texts alike, where it has any: a text says what its product states of every relation."""
    if artefact.text is None:
        return artefact.graph
    product = artefact.graph.features["product"]
    stated, text = product[:, : -artefact.text_width], product[:, -artefact.text_width :]
    joined = torch.cat([stated, text.mean(dim=0).expand_as(text)], dim=1)
    return replace(artefact.graph, features={**artefact.graph.features, "product": joined})


def _titles(snapshot: Snapshot) -> list[str]:
    return [title or "" for title in snapshot.nodes["Product"]["title"].to_pylist()]


def _require_same_nodes(artefact: EncodingArtefact, snapshot: Snapshot) -> None:
    for label, kind in NODE_KINDS.items():
        if len(artefact.vocabulary[kind]) != snapshot.nodes[label].num_rows:
            raise InputError(
                f"the encoder knows {len(artefact.vocabulary[kind])} nodes of {label}, snapshot {snapshot.id} has "
                f"{snapshot.nodes[label].num_rows}: name the snapshot that the version was trained on"
            )
