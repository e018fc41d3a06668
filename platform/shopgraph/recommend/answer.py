"""What a recommender answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from shopgraph.graph.connection import Graph
from shopgraph.recommend.explanation import Reason, explain
from shopgraph.recommend.fusion import Fused


@dataclass(frozen=True)
class Item:
    """One recommended product."""

    id: str
    title: str
    score: float
    sources: list[str]
    """The sources that offered it, the loudest first."""
    reason: Reason


@dataclass(frozen=True)
class Recommendations:
    """An answer, and what it stands on."""

    items: list[Item]
    release: str | None
    versions: dict[str, str]
    """Model version by family."""
    as_of: datetime
    step: str
    """How far down the chain for newcomers the answer comes from: personal, session, segment or popular; for products
    like a product: similar; like several: like; for a query: search, or words where no query encoder is there."""
    note: str = ""
    """What whoever runs the shop should know of this answer, such as rules that leave nothing."""
    next_offset: int | None = None
    """Where a next page of as many begins; None after the last."""


def explained_items(graph: Graph, kept: Sequence[Fused], user_id: str, moment: datetime) -> list[Item]:
    """What was chosen, each with its title and the reason why a user (none: "") is shown it."""
    if not kept:
        return []
    items, via = [item.id for item in kept], [item.via for item in kept]
    facts = {
        fact["id"]: fact for fact in graph.wide("reasons", user=user_id, as_of=moment, items=items, via=via)["facts"]
    }
    return [
        Item(item.id, facts[item.id]["title"], item.score, list(item.sources), explain(user_id, item, facts[item.id]))
        for item in kept
        if item.id in facts
    ]
