"""What a recommender answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from shopgraph.recommend.explanation import Reason


@dataclass(frozen=True)
class Detail:
    """What a product's place rests on, in full."""

    sources: dict[str, float] = field(default_factory=dict)
    """What each source, or the ranker in their place, adds to the score."""
    features: dict[str, float] = field(default_factory=dict)
    """What each feature adds to the ranker's score, the greatest share first; empty where no ranker speaks."""


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
    """How far down the chain for newcomers the answer comes from: personal, session, segment or popular; for products
    like a product: similar; for a query: search, or words where no query encoder is there."""
    note: str = ""
    """What whoever runs the shop should know of this answer, such as rules that leave nothing."""
