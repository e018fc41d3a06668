"""Retrieval: the sources of a blend asked at the same time, and their lists fused into one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from shopgraph.graph.connection import Graph
from shopgraph.recommend.answer import Detail
from shopgraph.recommend.candidate import Candidate, Sources
from shopgraph.recommend.evidence import SPEAKING, speakers
from shopgraph.recommend.filters import ANYTHING, Filters
from shopgraph.recommend.fusion import Blend, Fused, FusionConfig, fuse
from shopgraph.recommend.page import Page
from shopgraph.recommend.query import any_word
from shopgraph.recommend.ranked import LearnedFusion, joined
from shopgraph.recommend.rerank import rerank
from shopgraph.recommend.scenario import IN_SEARCHES, IN_SESSION, Scenario
from shopgraph.recommend.standing import Standing
from shopgraph.schema import RANKER

EXPLORED_AMONG = 12
"""Times as many products as a page holds, among which those are that few are shown."""
NEW_TO_ALL, NEAR_IN_GRAPH = "text_new_arrivals", "graph_neighbours"
"""Sources that know a product as soon as it has a vector, a ranker only once it is trained again: of what nobody bought
yet, and of what the user did not buy."""
SPEAKING_IN_BRIEF = 15
"""Purchases of which an ordinary answer asks what rests on them; in full it asks of all that may speak."""
MOST_REACH = 10_000
"""A vector index answers with no more."""


@dataclass(frozen=True)
class RecommendConfig:
    """How deep the sources are asked, and how their answers are fused."""

    candidates: int = 120
    """Items asked of each source; at least twice the items wanted."""
    half_life_weeks: float = 12.0
    """Age at which a purchase counts half."""
    unlike_share: float = 0.5
    """What a product that is not liked counts against, where one that is liked counts 1."""
    exploration: float = 0.0
    """How much it counts that few users' lists name a product, where what is owned is left out; see `explored`. At 4 it
    takes 2.9 % of NDCG@20 and shows 2.3 times as many products (weeks 45 to 48)."""
    fusion: FusionConfig = field(default_factory=FusionConfig)
    scenarios: Mapping[str, Scenario] = field(default_factory=dict)
    """By name, places that have blends and a ranker of their own; see `read_scenarios`."""


class Retrieval:
    """Asks the sources of a catalogue of queries.

    Args:
        learned: ranks where a release names a ranker; rank fusion answers without one.
    """

    def __init__(self, graph: Graph, config: RecommendConfig, learned: LearnedFusion | None = None) -> None:
        self.sources = Sources(graph)
        self._config = config
        self._learned = learned
        self._asked = ThreadPoolExecutor(thread_name_prefix="source")

    def has_ranker(self, version: str) -> bool:
        """See `LearnedFusion.has`."""
        return self._learned is not None and self._learned.has(version)

    def fused(self, blend: Blend, context: Mapping[str, Any], standing: Standing) -> list[Fused]:
        """Each source is a read of its own, and waiting is most of it: they are asked at the same time."""
        offered = self._asked.map(
            lambda source: self.sources.candidates(source, context, standing.slots), blend.sources
        )
        return fuse(dict(zip(blend.sources, offered, strict=True)), blend)

    def ranked(
        self,
        step: str,
        way: Scenario,
        blend: Blend,
        context: Mapping[str, Any],
        standing: Standing,
        filters: Filters,
        enough: int | None = None,
    ) -> list[Fused]:
        """By the ranker that the release names, where the place has it and it knows the user; else by rank fusion.

        Args:
            step: see `Recommendations`; the ranker answers the personal one.
            enough: how many of the best decide what is shown, where nothing chooses among more.
        """
        if self._learned is not None and way.ranker and step == "personal":
            beside = [source for source in blend.sources if self._stands_beside(source, context, standing)]
            more = beside or self.explores(context["novel"])
            found = self._learned.products(standing, context, filters, None if more else enough)
            if found:
                return joined(found, self._offered(self._learned, beside, context, standing), blend)
        return self.fused(blend, context, standing)

    def _stands_beside(self, source: str, context: Mapping[str, Any], standing: Standing) -> bool:
        """Whether a source joins what the ranker ranks: what is of this visit, new today, or a shop's own."""
        if source == NEAR_IN_GRAPH:
            return context["novel"] and standing.has_newcomers
        if source == NEW_TO_ALL:
            return context["unbought_before"] is not None
        return source in (IN_SESSION, IN_SEARCHES) or self.sources.own(source)

    def _offered(
        self, learned: LearnedFusion, sources: Sequence[str], context: Mapping[str, Any], standing: Standing
    ) -> dict[str, Sequence[Candidate | None]]:
        """By source, what it offers; of what is new only what the ranker can't know."""
        found: dict[str, Sequence[Candidate | None]] = {}
        for source in sources:
            offered = self.sources.candidates(source, context, standing.slots)
            new = source in (NEW_TO_ALL, NEAR_IN_GRAPH)
            found[source] = learned.unknown(offered, standing) if new else offered
        return found

    def best(
        self, fused: list[Fused], n: int, barred: Collection[str], context: Mapping[str, Any], standing: Standing
    ) -> list[Fused]:
        """The best that are not barred, enough for rules to choose from; what few are shown has places among them."""
        pool = Page(n).pool_of(standing.may_lose)
        if self._learned is None or not self.explores(context["novel"]):
            return rerank(fused, pool, barred)
        best = rerank(fused, max(pool, EXPLORED_AMONG * n), barred)
        return self._learned.explored(best, n, self._config.exploration, standing, context)

    def explores(self, novel: bool) -> bool:
        """Whether some of a page's places are for what few are shown."""
        return novel and self._config.exploration > 0 and self._learned is not None

    def details(
        self,
        kept: Sequence[Fused],
        way_of: Callable[[str], Scenario],
        standing: Standing,
        context: Mapping[str, Any],
        in_full: bool,
    ) -> dict[str, Detail]:
        """What the place of each product rests on, or in brief: which of a few purchases, where none is shown again.

        Args:
            way_of: what offered a product.
        """
        found: dict[str, Detail] = {}
        if not (in_full or context["novel"]):
            return found
        for ranker in {way_of(item.id).ranker for item in kept}:
            by_it, by = [item for item in kept if way_of(item.id).ranker == ranker], standing.ranked_by(ranker)
            found |= self._details(by_it, by, context) if in_full else self.in_brief(by_it, by, context)
        return found

    def in_brief(self, kept: Sequence[Fused], standing: Standing, context: Mapping[str, Any]) -> dict[str, Detail]:
        """On which of the purchases made most each product rests, where the ranker speaks for it."""
        leanings = self._leanings(kept, standing, context, SPEAKING_IN_BRIEF)
        return {product: Detail(purchases=purchases) for product, purchases in leanings.items()}

    def _leanings(
        self, kept: Sequence[Fused], standing: Standing, context: Mapping[str, Any], most: int
    ) -> dict[str, dict[str, float]]:
        # what another source brought before the ranker did is there for that source's reason
        first = [item.id for item in kept if next(iter(item.shares), "") == RANKER]
        if self._learned is None or not first:
            return {}
        return self._learned.leanings(standing, context, first, speakers(context["user"], standing)[:most])

    def _details(self, kept: Sequence[Fused], standing: Standing, context: Mapping[str, Any]) -> dict[str, Detail]:
        by_ranker = [item.id for item in kept if RANKER in item.shares]
        features: dict[str, dict[str, float]] = {}
        purchases: dict[str, dict[str, float]] = {}
        if self._learned is not None and by_ranker:
            features = self._learned.contributions(standing, context, by_ranker)
            purchases = self._leanings(kept, standing, context, SPEAKING)
        return {
            item.id: Detail(dict(item.shares), features.get(item.id, {}), purchases.get(item.id, {})) for item in kept
        }

    def context(self, standing: Standing, n: int, **subject: Any) -> dict[str, Any]:
        """What sources are asked with, see `PARAMETERS`, so that `n` items are left of what they offer."""
        limit = max(self._config.candidates, (EXPLORED_AMONG if self._config.exploration else 2) * n)
        return {
            "release": standing.release,
            "as_of": standing.as_of,
            "limit": limit,
            "reach": min(MOST_REACH, 2 * limit + len(subject["without"])),
            "half_life_weeks": self._config.half_life_weeks,
            "novel": False,
            "like": subject.get("session", []),
            "unlike": [],
            "unlike_share": self._config.unlike_share,
            "searches": [any_word(typed) for typed in standing.searches],
            **ANYTHING.bounds,
            **subject,
        }
