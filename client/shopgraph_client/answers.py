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


class Health(BaseModel):
    """Whether the server can serve, and the release that it serves."""

    status: str
    release: str | None


class Filed(BaseModel):
    """A relation that people will judge, and how often it was doubted."""

    id: str
    times: int
