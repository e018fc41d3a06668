"""What an answer may hold and in which order, after all scores: filters, rules, and how unlike the products are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shopgraph.errors import InputError
from shopgraph.graph.connection import Graph
from shopgraph.recommend.candidate import Sources
from shopgraph.recommend.filters import ANYTHING, Filters, allowed, filled
from shopgraph.recommend.fusion import Fused
from shopgraph.recommend.interleaving import NO_TEAM
from shopgraph.recommend.page import Page
from shopgraph.recommend.place import Place
from shopgraph.recommend.rerank import diversified, one_of_each
from shopgraph.recommend.rules import PIN, nothing_left, ruled
from shopgraph.recommend.scenario import Scenario
from shopgraph.recommend.standing import Standing


@dataclass(frozen=True)
class Chosen:
    """What is shown up to the end of a page, and one more."""

    place: Place
    kept: list[Fused] = field(default_factory=list)
    note: str = ""
    """What is to be said of it."""
    teams: Mapping[str, int] = field(default_factory=dict)
    """See `team_draft`."""

    def way_of(self, item: str) -> Scenario:
        """What offered a product: of two that are interleaved, that which picked it, else the first."""
        return self.place.ways[max(self.teams.get(item, 0), 0)]

    def tried(self, items: Sequence[str]) -> dict[str, Any]:
        """What an answer says of the place and of the experiment there."""
        place = self.place
        teams = [self.teams.get(item, NO_TEAM) for item in items] if place.interleaves else []
        return {
            "scenario": place.scenario, "experiment": place.experiment, "variant": place.variant, "teams": teams
        }  # fmt: skip


@dataclass(frozen=True)
class Governance:
    """Every way to an answer ends here, so all of them obey the same."""

    graph: Graph
    sources: Sources

    def enough(
        self, place: Place, page: Page, standing: Standing, session: Sequence[str], filters: Filters, diversity: float
    ) -> int | None:
        """How many of the best decide what is shown; None where what follows chooses among all there are.

        Args:
            session: products that are ranked and not shown.

        Raises:
            InputError: `diversity` out of range.
        """
        if not 0 <= diversity <= 1:
            raise InputError(f"diversity = {diversity}: it is from 0 to 1")
        chooses = standing.rules or standing.has_variants or filters.restrict or place.interleaves
        unlike = diversity or any(way.diversity for way in place.ways)
        return None if chooses or unlike else page.wanted + len(session)

    def filtered(
        self, fused: list[Fused], filters: Filters, context: Mapping[str, Any], standing: Standing
    ) -> tuple[list[Fused], str]:
        """What passes, with what is to be said of it; after it what their filler offers within the caller's."""
        passing, note = self.passing(fused, filters, standing)
        if not filters.narrow:
            return passing, note
        filler = self.sources.candidates(filters.filler, context, standing.slots)
        return filled(passing, filler, filters.filler), ""

    def passing(self, fused: list[Fused], filters: Filters, standing: Standing) -> tuple[list[Fused], str]:
        """What passes, alone: what is popular is no answer to a question about other products."""
        if not filters.restrict:
            return fused, ""
        found = allowed(self.graph, [item.id for item in fused], filters)
        passing = [item for item in fused if item.id in found]
        return passing, "" if filters.narrow else nothing_left(fused, passing, standing.rules)

    def ruled(
        self,
        pool: list[Fused],
        standing: Standing,
        barred: Collection[str],
        filters: Filters = ANYTHING,
        asked_about: Sequence[str] = (),
    ) -> tuple[list[Fused], str]:
        """The pool as the rules in force have it, and what is to be said where they leave nothing of it.

        Of products that are variants of one another the best is kept, and none of those whose variant was asked about.
        """
        rules = standing.rules
        groups = self._groups(pool, asked_about, standing) if standing.has_variants else {}
        taken = {groups[product] for product in asked_about if product in groups}
        if not (pool and rules):  # a pin is a place in an answer, it makes none
            return one_of_each(pool, groups, taken), ""
        pinned: Sequence[str] = [rule.target for rule in rules if rule.kind == PIN and rule.target not in barred]
        if filters.narrow and pinned:
            pinned = list(allowed(self.graph, pinned, filters))
        facts = self.graph.wide("rule_facts", items=[*(item.id for item in pool), *pinned])["facts"]
        kept = ruled(pool, rules, {fact["id"]: fact for fact in facts}, barred, groups, taken)
        return kept, nothing_left(pool, kept, rules)

    def _groups(self, pool: list[Fused], asked_about: Sequence[str], standing: Standing) -> dict[str, str]:
        pins = (rule.target for rule in standing.rules if rule.kind == PIN)
        found = self.graph.wide("variants", items=[*(item.id for item in pool), *asked_about, *pins])
        return dict(zip(found["items"], found["groups"], strict=True))

    def _unlike(self, pool: list[Fused], n: int, diversity: float, standing: Standing) -> list[Fused]:
        """The pool, or `n` of it that are unlike each other; see `diversified`."""
        if not diversity:
            return pool
        found = self.graph.wide("product_vectors", release=standing.release, items=[item.id for item in pool])
        return diversified(pool, dict(zip(found["ids"], found["vectors"], strict=True)), n, diversity)

    def chosen(
        self,
        pools: Sequence[list[Fused]],
        place: Place,
        page: Page,
        standing: Standing,
        barred: Collection[str],
        filters: Filters,
        diversity: float = 0.0,
        asked_about: Sequence[str] = (),
    ) -> Chosen:
        """What is shown of what each way of a place offers.

        Rules come last: what one says of a list, such as a cap or a pin's place, holds for what is shown.
        """
        most = page.pool_of(standing.may_lose)
        sides = [
            self._unlike(pool, most, max(diversity, way.diversity), standing)
            for pool, way in zip(pools, place.ways, strict=True)
        ]
        merged, teams = place.merged(sides)
        pool, note = self.ruled(merged, standing, barred, filters, asked_about)
        return Chosen(place, pool[: page.wanted], note, teams)
