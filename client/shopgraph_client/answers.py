"""What the API answers, as its description says; fields that a newer server adds are passed over."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel


class Reason(BaseModel):
    """Why a product is shown: in words, and as nodes `{label, id, title}` and relations `{type, forward}` in turn."""

    text: str
    path: list[dict[str, Any]]


class Detail(BaseModel):
    """What a product's place rests on, in full."""

    sources: dict[str, float]
    """What each source, or the ranker in their place, adds to the score."""
    features: dict[str, float]
    """What each feature adds to the ranker's score, the greatest first; empty where no ranker speaks."""
    purchases: dict[str, float] = {}
    """Of the products that the user bought most, by how much less the ranker would score this one beside other
    candidates, had the user not bought it, the greatest first; below 0 it would rise. Empty where another source speaks
    louder."""


class Item(BaseModel):
    """One product of an answer."""

    id: str
    title: str
    score: float
    """Comparable within an answer."""
    sources: list[str]
    reason: Reason
    detail: Detail | None = None
    """Where `explain="full"` asked for it."""


class RecommendationList(BaseModel):
    """Products, best first, and what the answer stands on."""

    items: list[Item]
    release: str | None
    versions: dict[str, str]
    as_of: datetime
    step: str
    note: str = ""
    next_offset: int | None = None
    """Where the next page of as many begins; None after the last."""
    recommendation_id: str
    """Names this answer: send it with the events that come of it."""
    experiment: str = ""
    variant: str = ""


class Fault(BaseModel):
    """What went wrong: a code for programs, a line for people."""

    code: str
    message: str


class BatchAnswer(BaseModel):
    """Of one user of many: the answer or the error."""

    user: str
    answer: RecommendationList | None
    error: Fault | None


class BatchList(BaseModel):
    """One answer a user, in the order asked."""

    answers: list[BatchAnswer]


class SharedProduct(BaseModel):
    """A product that two users bought."""

    id: str
    title: str


class UserAlike(BaseModel):
    """A user, by pseudonym, who buys like another."""

    id: str
    score: float
    shared: list[SharedProduct]
    shared_count: int


class UserList(BaseModel):
    """Most alike first; `by` says what tells: purchases or graph."""

    users: list[UserAlike]
    by: str


class ProductCard(BaseModel):
    """A product's catalogue facts."""

    id: str
    title: str
    description: str | None
    price: float | None
    currency: str | None
    image: str | None
    package_size: str | None
    stock: int | None
    hidden: bool
    retired: bool
    brand: str | None
    authors: list[str]
    category: str | None
    popularity: int | None


class RefusedLine(BaseModel):
    """An event that can't be used, by its place among those sent, counted from 1."""

    line: int
    field: str
    reason: str


class Receipt(BaseModel):
    """What became of the events sent."""

    accepted: int
    lines: int
    refused: list[RefusedLine]
    unlisted: int = 0
    """Lines that were refused beyond those that are listed."""


class Health(BaseModel):
    """Whether the server can serve, and the release that it serves."""

    status: str
    release: str | None


class ExperimentCard(BaseModel):
    """An experiment, running or stopped; the first variant is the control."""

    id: str
    name: str
    scenario: str
    kind: str
    variants: list[str]
    running: bool
    begun_at: datetime
    ended_at: datetime | None


class ExperimentList(BaseModel):
    """Those that run first, then the latest first."""

    experiments: list[ExperimentCard]


class Estimate(BaseModel):
    """A share or a difference, with its 95 % interval."""

    value: float
    low: float
    high: float


class Conversion(BaseModel):
    """Users who did something with a product that they were shown."""

    products: int
    users: int
    share: Estimate
    difference: Estimate | None
    """To the control's share; None of the control itself."""


class VariantReport(BaseModel):
    """One variant; `outcomes` by viewed, basket and bought."""

    name: str
    share: float
    users: int
    answers: int
    outcomes: dict[str, Conversion]


class Wins(BaseModel):
    """Users who chose more from the first, or the second, of two interleaved lists."""

    first: int
    second: int
    ties: int
    share: Estimate
    p_value: float


class ExperimentReport(BaseModel):
    """What an experiment found until a moment."""

    id: str
    name: str
    scenario: str
    kind: str
    begun_at: datetime
    ended_at: datetime | None
    until: datetime
    variants: list[VariantReport]
    sample_ratio_p: float | None
    wins: dict[str, Wins]
    warnings: list[str]
    """What speaks against trusting the figures."""


class Filed(BaseModel):
    """A relation that people will judge, and how often it was doubted."""

    id: str
    times: int
