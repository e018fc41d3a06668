"""Lists that were ranked ahead: one read answers, which checks anew what may be shown and the paths of reasons."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shopgraph.graph.connection import Graph, Record
from shopgraph.ranking.own_lines import OwnLines
from shopgraph.recommend.evidence import PURCHASED, Facts, Path, bought_wrongly, path_is_wrong
from shopgraph.recommend.experiment import Experiment
from shopgraph.recommend.filters import Filters
from shopgraph.recommend.fusion import Fused
from shopgraph.recommend.page import MOST_ITEMS, Page
from shopgraph.recommend.rules import Rule
from shopgraph.recommend.standing import Standing, moment, read_state, standing_of

BETWEEN = "\x1f"
"""Parts a line: the unit separator is in no id."""
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

    def of_user(
        self, user_id: str, exclude_owned: bool, as_of: datetime | None, scenario: str, filters: Filters, page: Page
    ) -> tuple[Standing | None, Listed | None]:
        """What live retrieval stands on or, in its place, the user's list of the serving release.

        No list where it has none, or something happened since it was made; neither where a list is too short to choose
        from by the rules in force.

        Args:
            as_of: of an answer without a list, see `read_standing`.
        """

        def first(count: int) -> Record:
            of_list = {"kind": KINDS[exclude_owned], **_asked(filters, count)}
            return read_state(self._graph, as_of, user_id, scenario=scenario, of_list=of_list)

        found = _enough(first, page)
        standing = standing_of(found)
        return standing if found["length"] is None else None, _listed(found, standing, filters, page, user_id=user_id)

    def like_product(
        self, product_id: str, scenario: str, filters: Filters, page: Page, user_id: str = "", session_id: str = ""
    ) -> Listed | None:
        """None where the serving release has no list of the product; nothing in it that who sees it has hidden."""

        def first(count: int) -> Record:
            seen_by = {"user": user_id, "session": session_id, "scenario": scenario}
            asked = {"product": product_id, **seen_by, **_asked(filters, count)}
            return self._graph.wide("ranked_like_product", **asked)

        if filters.unbought_before is not None:
            return None
        found = _enough(first, page)
        return None if found["length"] is None else _listed(found, _standing(found), filters, page, via=product_id)


def _asked(filters: Filters, count: int) -> dict[str, Any]:
    bounds = {name: bound for name, bound in filters.bounds.items() if name != "unbought_before"}
    return {**bounds, "without": list(filters.exclude), "limit": count}


def _enough(first: Callable[[int], Record], page: Page) -> Record:
    """The first products of a list, of as many as live retrieval would choose among."""
    found = first(page.wanted)
    listed = found["length"] is not None
    return first(MOST_ITEMS) if listed and (found["rules"] or found["has_variants"]) else found


def _listed(
    found: Record, standing: Standing, filters: Filters, page: Page, *, via: str | None = None, user_id: str = ""
) -> Listed | None:
    if found["length"] is None:
        return None
    short = filters.narrow and len(found["items"]) < page.pool_of(found["has_variants"])
    if found["rules"] and (short or page.pool_of(found["has_variants"]) > MOST_ITEMS):
        return None  # live, rules choose among more
    denied = bought_wrongly(standing.wrong, user_id)
    rows = [_row(row, via, standing.wrong, denied) for row in found["items"]]
    pool, facts = [item for item, _ in rows], {item.id: fact for item, fact in rows}
    return Listed(standing, pool, facts, found["length"] < MOST_ITEMS and not filters.narrow)


def _standing(found: Record) -> Standing:
    return Standing(
        as_of=moment(found["as_of"]),
        release=found["release"],
        slots={},
        versions=dict(found["versions"]),
        newest=None,
        known=True,
        active=True,
        interest=[],
        seen=[],
        searches=[],
        disliked=[],
        hidden=found["hidden"],
        has_variants=found["has_variants"],
        has_newcomers=False,
        own=OwnLines(),
        wrong=frozenset(found["wrong"]),
        rules=[Rule(**rule) for rule in found["rules"]],
        experiment=next((Experiment.read(node) for node in found["experiments"]), None),
    )


def _row(row: Sequence[Any], via: str | None, wrong: Collection[str], denied: Collection[str]) -> tuple[Fused, Facts]:
    parts, title, popularity, near_title, shared_name, shared_key, holds = row
    product, score, sources, relation, near, shared, bond = parts
    item = Fused(product, float(score), tuple(sources.split(",")), via)
    if relation == PURCHASED and product not in denied:
        return item, Facts(title, popularity, int(near), datetime.fromtimestamp(int(shared) / 1000, UTC), [])
    named = (shared or None, shared_name, shared_key)
    holds = (
        holds and near not in denied and not (wrong and path_is_wrong(wrong, relation, near, product, shared or None))
    )
    paths = [Path(relation, near, near_title, bond or None, *named)] if holds else []
    return item, Facts(title, popularity, 0, None, paths)
