"""What a recommender answers."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shopgraph.recommend.evidence import Facts
from shopgraph.recommend.explanation import Reason, explain
from shopgraph.recommend.fusion import Fused
from shopgraph.recommend.governance import Chosen
from shopgraph.recommend.page import Page
from shopgraph.recommend.standing import Standing


@dataclass(frozen=True)
class Detail:
    """What a product's place rests on, in full."""

    sources: dict[str, float] = field(default_factory=dict)
    """What each source, or the ranker in their place, adds to the score."""
    features: dict[str, float] = field(default_factory=dict)
    """What each feature adds to the ranker's score, the greatest share first; empty where no ranker speaks."""
    purchases: dict[str, float] = field(default_factory=dict)
    """Of the products that the user bought most, by how much less the ranker would score this one beside other
    candidates, had the user not bought it, the greatest first; below 0 it would rise. Empty where another source speaks
    louder."""


@dataclass(frozen=True)
class Item:
    """One recommended product."""

    id: str
    title: str
    score: float
    sources: list[str]
    """The sources that offered it, the loudest first."""
    reason: Reason
    detail: Detail | None = None
    """Where it was asked for."""


@dataclass(frozen=True)
class Recommendations:
    """An answer, and what it stands on."""

    items: list[Item]
    release: str | None
    versions: dict[str, str]
    """Model version by family."""
    as_of: datetime
    step: str
    """How far down the chain for newcomers the answer comes from: personal, session, segment, category or popular; of
    products that nobody has bought yet: personal or arrivals; for products like a product: similar; like several: like;
    for a query: search, or words where no query encoder is there."""
    note: str = ""
    """What whoever runs the shop should know of this answer, such as rules that leave nothing."""
    next_offset: int | None = None
    """Where a next page of as many begins; None after the last."""
    recommendation_id: str = field(default_factory=lambda: f"r_{secrets.token_hex(12)}")
    """Names this answer: an event that carries it tells what the answer led to."""
    scenario: str = ""
    experiment: str = ""
    variant: str = ""
    """The experiment that had a part in it, and the variant; "" where none had, or where two are interleaved."""
    teams: list[int] = field(default_factory=list)
    """By item, which of two interleaved lists picked it; see `team_draft`. Empty where nothing is interleaved."""


def explained_items(
    kept: Sequence[Fused],
    facts_of: Callable[[Fused, Mapping[str, float]], Facts | None],
    user_id: str,
    details: Mapping[str, Detail],
    in_full: bool = False,
) -> list[Item]:
    """What was chosen, each with its title and the reason why a user (none: "") is shown it.

    Args:
        facts_of: what the graph says now of a product, by how far it would fall without each purchase; None of one that
            left it.
        details: by product, of those that have any; they choose the path of its reason.
        in_full: whether they are told, too.
    """
    explained = []
    for item in kept:
        detail = details.get(item.id, Detail())
        facts = facts_of(item, detail.purchases)
        if facts is not None:
            reason, told = explain(user_id, item, facts, detail.features), detail if in_full else None
            explained.append(Item(item.id, facts.title, item.score, list(item.sources), reason, told))
    return explained


def answered(items: list[Item], page: Page, chosen: Chosen, standing: Standing, step: str) -> Recommendations:
    """What was chosen and explained, with what it stands on."""
    stands_on = (standing.release, standing.ranked_by(chosen.place.ways[0].ranker).versions, standing.as_of)
    tried = chosen.tried([item.id for item in items])
    return Recommendations(items, *stands_on, step, chosen.note, page.next_offset(chosen.kept), **tried)
