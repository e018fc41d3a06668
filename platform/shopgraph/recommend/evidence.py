"""What could speak for the products of an answer: the paths by which a user's own products lead to them now."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shopgraph.graph.connection import Graph
from shopgraph.recommend.fusion import Fused
from shopgraph.recommend.standing import Standing
from shopgraph.schema import relation_id

BOUGHT_WITH, PURCHASED = "BOUGHT_WITH", "PURCHASED"
SPEAKING = 50
"""Of the products that a user bought, those bought most, that may speak."""


@dataclass(frozen=True)
class Path:
    """From a product that the user bought or viewed, or that a source named, to one that is shown."""

    relation: str
    product: str
    product_title: str
    bond: str | None
    """PURCHASED, VIEWED, or None where the user did neither."""
    shared: str | None = None
    """The node between, of a relation that is shared; with how people call it and, of an attribute, its key."""
    shared_name: str | None = None
    shared_key: str | None = None
    leaning: float = 0.0
    """How far the item would fall without the user's purchase of the product, where that is known; 0 at least."""


@dataclass(frozen=True)
class Facts:
    """What the graph says now of one product that is shown."""

    title: str
    popularity: int
    times: int
    """How often this user bought it."""
    last: datetime | None
    paths: Sequence[Path]
    """One a relation."""


def path_is_wrong(wrong: Collection[str], relation: str, near: str, product: str, shared: str | None) -> bool:
    """Whether a path rests on a relation that was judged wrong.

    Args:
        wrong: as `relation_id` names them; what is bought together is so either way round.
        shared: the node between, where there is one.
    """
    ends = ((near, product), (product, near)) if shared is None else ((near, shared), (product, shared))
    return any(relation_id(start, relation, end) in wrong for start, end in ends)


def bought_wrongly(wrong: Collection[str], user_id: str) -> set[str]:
    """Products of which it was judged wrong to say that the user bought them."""
    begins = relation_id(user_id, PURCHASED, "")
    return {judged.removeprefix(begins) for judged in wrong if judged.startswith(begins)}


def speakers(user_id: str, standing: Standing) -> list[str]:
    """The user's own products that may speak for others, those bought most first."""
    denied = bought_wrongly(standing.wrong, user_id)
    return [product for product in standing.own.bought_most(SPEAKING) if product not in denied]


class Evidence:
    """Read once an answer, see `reasons.cypher`."""

    def __init__(self, graph: Graph, user_id: str, standing: Standing, kept: Sequence[Fused]) -> None:
        denied, own = bought_wrongly(standing.wrong, user_id), speakers(user_id, standing)
        via = list(dict.fromkeys(item.via for item in kept if item.via is not None))
        items = list(dict.fromkeys(item.id for item in kept))
        found = graph.wide("reasons", user=user_id, as_of=standing.as_of, items=items, own=own, via=via)
        self._shown = {fact["id"]: fact for fact in found["facts"]}
        self._titles = {near["id"]: near["title"] for near in found["near"]}
        self._leads = {near["id"]: {tuple(lead) for lead in near["leads"]} for near in found["near"]}
        self._loudest = _loudest(own, self._leads)
        self._place = {product: place for place, product in enumerate(own)}
        self._bought = standing.own.moments({*items, *via} - denied)
        self._viewed = frozenset(found["viewed"])
        self._wrong = standing.wrong

    def of(self, item: Fused, leanings: Mapping[str, float] = {}) -> Facts | None:
        """None for a product that is no longer in the graph.

        Args:
            leanings: how far it would fall without each purchase, where that is known: what it leans on most speaks.
        """
        fact = self._shown.get(item.id)
        if fact is None:
            return None
        times = self._bought.get(item.id, set())
        last = datetime.fromtimestamp(max(times) / 1000, UTC) if times else None
        return Facts(fact["title"], fact["popularity"], len(times), last, list(self._paths(item, fact, leanings)))

    def _paths(self, item: Fused, fact: Mapping[str, Any], leanings: Mapping[str, float]) -> Iterator[Path]:
        by_relation: dict[str, list[Sequence[Any]]] = {BOUGHT_WITH: [(BOUGHT_WITH, item.id, None, None)]}
        for shared in fact["shared"]:
            by_relation.setdefault(shared[0], []).append(shared)
        for relation, ways in by_relation.items():
            spoken = [(self._speaker(item, relation, way[1], leanings), way) for way in ways]
            said = [
                (-_leaning(leanings, product), self._place.get(product, -1), product, way)
                for product, way in spoken
                if product is not None
            ]
            if said:
                _, _, product, (_, shared, name, key) = min(said, key=lambda one: one[:3])
                between = None if relation == BOUGHT_WITH else shared
                title, bond = self._titles[product], self._bond(product)
                yield Path(relation, product, title, bond, between, name, key, _leaning(leanings, product))

    def _speaker(self, item: Fused, relation: str, end: str, leanings: Mapping[str, float]) -> str | None:
        """What the item leans on most; else what its source named, where it leads there, or what was bought most."""
        lead, shared = (relation, end), None if relation == BOUGHT_WITH else end
        named = [item.via] if item.via and lead in self._leads.get(item.via, ()) else []
        leading = (product for product in (*named, *self._loudest.get(lead, ())) if product != item.id)
        right = (
            product
            for product in leading
            if not (self._wrong and path_is_wrong(self._wrong, relation, product, item.id, shared))
        )
        if not leanings:
            return next(right, None)
        return max(right, key=lambda product: _leaning(leanings, product), default=None)

    def _bond(self, product: str) -> str | None:
        if product in self._place or product in self._bought:
            return PURCHASED
        return "VIEWED" if product in self._viewed else None


def _leaning(leanings: Mapping[str, float], product: str) -> float:
    return max(0.0, leanings.get(product, 0.0))


def _loudest(own: Sequence[str], leads: Mapping[str, set[tuple[str, ...]]]) -> dict[tuple[str, ...], list[str]]:
    """By what they lead to, the products that do, those bought most first."""
    found: dict[tuple[str, ...], list[str]] = {}
    for product in own:
        for lead in leads.get(product, ()):
            found.setdefault(lead, []).append(product)
    return found
