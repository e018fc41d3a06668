"""Lists that were ranked ahead: one read answers, which checks anew what may be shown and the paths of reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shopgraph.graph.connection import Graph
from shopgraph.ranking.own_lines import OwnLines
from shopgraph.recommend.evidence import Facts, Path
from shopgraph.recommend.experiment import Experiment
from shopgraph.recommend.filters import Filters
from shopgraph.recommend.fusion import Fused
from shopgraph.recommend.page import MOST_ITEMS, Page
from shopgraph.recommend.rules import Rule
from shopgraph.recommend.standing import Standing

BETWEEN = "\x1f"
"""Parts a line: the unit separator is in no id."""
PURCHASED = "PURCHASED"
KINDS = {False: "ranked_all", True: "ranked_novel"}
"""Of a user's lists, by whether what was bought is left out, the property's name before the slot's."""
LIKE_PRODUCT = "ranked_similar"


def line(item: Fused, facts: Facts, path: Path | None) -> str:
    """A product as a list holds it: id, score, sources, and the relation, ends and bond of its reason's path."""
    reason = ["", "", "", ""]
    if facts.times and facts.last is not None:
        reason = [PURCHASED, str(facts.times), str(round(facts.last.timestamp() * 1000)), ""]
    elif path is not None:
        reason = [path.relation, path.product, path.shared or "", path.bond or ""]
    return BETWEEN.join([item.id, repr(item.score), ",".join(item.sources), *reason])


@dataclass(frozen=True)
class Listed:
    """The first products of a list that may be shown now."""

    standing: Standing
    pool: list[Fused]
    facts: Mapping[str, Facts]
    """By product."""
    ended: bool
    """Whether no other product could follow, had the list been made now."""


class RankedLists:
    """Reads them; see `rank_ahead`."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def of_user(self, user_id: str, exclude_owned: bool, scenario: str, filters: Filters, page: Page) -> Listed | None:
        """None where the serving release has no list of the user, or something happened since it was made."""
        asked = {"user": user_id, "kind": KINDS[exclude_owned], "scenario": scenario}
        return self._read("ranked_for_user", asked, filters, page, None)

    def like_product(self, product_id: str, scenario: str, filters: Filters, page: Page) -> Listed | None:
        """None where the serving release has no list of the product."""
        asked = {"product": product_id, "scenario": scenario}
        return self._read("ranked_like_product", asked, filters, page, product_id)

    def _read(
        self, name: str, asked: Mapping[str, str], filters: Filters, page: Page, via: str | None
    ) -> Listed | None:
        def first(count: int) -> dict[str, Any]:
            bounds = {name: bound for name, bound in filters.bounds.items() if name != "unbought_before"}
            return self._graph.wide(name, **asked, **bounds, without=list(filters.exclude), limit=count)

        if filters.unbought_before is not None:
            return None
        found = first(page.wanted)
        if found["length"] is None or (found["rules"] and page.pool_of(found["has_variants"]) > MOST_ITEMS):
            return None
        if found["rules"] or found["has_variants"]:  # chosen among as many as where nothing was ranked ahead
            found = first(MOST_ITEMS)
        ended = found["length"] < MOST_ITEMS and not filters.narrow
        rows = [_row(row, via) for row in found["items"]]
        pool, facts = [item for item, _ in rows], {item.id: fact for item, fact in rows}
        return Listed(_standing(found), pool, facts, ended) if found["length"] is not None else None


def _standing(found: Mapping[str, Any]) -> Standing:
    return Standing(
        as_of=found["as_of"].to_native(),
        release=found["release"],
        slots={},
        versions=dict(found["versions"]),
        newest=None,
        known=True,
        active=True,
        interest=[],
        hidden=[],
        has_variants=found["has_variants"],
        own=OwnLines(),
        rules=[Rule(**rule) for rule in found["rules"]],
        experiment=next((Experiment.read(node) for node in found["experiments"]), None),
    )


def _row(row: Sequence[Any], via: str | None) -> tuple[Fused, Facts]:
    parts, title, popularity, near_title, shared_name, shared_key, holds = row
    product, score, sources, relation, near, shared, bond = parts
    item = Fused(product, float(score), tuple(sources.split(",")), via)
    if relation == PURCHASED:
        return item, Facts(title, popularity, int(near), datetime.fromtimestamp(int(shared) / 1000, UTC), [])
    named = (shared or None, shared_name, shared_key)
    paths = [Path(relation, near, near_title, bond or None, *named)] if holds else []
    return item, Facts(title, popularity, 0, None, paths)
