"""The recommender: from a user or a product to a short list with reasons, in a handful of reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shopgraph.errors import InputError
from shopgraph.graph.connection import Graph
from shopgraph.ranking.served import RankedProduct
from shopgraph.recommend.answer import Item, Recommendations
from shopgraph.recommend.candidate import Sources
from shopgraph.recommend.clock import Clock
from shopgraph.recommend.explanation import explain
from shopgraph.recommend.filters import ANYTHING, Filters
from shopgraph.recommend.fusion import Blend, Fused, FusionConfig, fuse
from shopgraph.recommend.governance import Governance
from shopgraph.recommend.query import QueryVectors, any_word
from shopgraph.recommend.ranked import LearnedFusion, joined
from shopgraph.recommend.rerank import rerank
from shopgraph.recommend.standing import Standing, read_standing, without

MOST_ITEMS = 100
IN_SESSION = "session_neighbours"
BY_VECTOR = "text_search"
OF_A_QUERY = {"query", "vector"}
"""Parameters of sources that answer a query, not a user."""
TOLD = {"session": "products bought last", "product": "the product bought last", "user": "history"}
"""By parameter, in words, what `offered` tells a source of a user."""
UNLIKE_AMONG = 5
"""Times as many products as wanted, among which unlike ones are looked for."""
DEEPER = 5
"""Times as much is asked of sources where filters may refuse what they offer."""
MOST_REACH = 10_000
"""A vector index answers with no more."""


@dataclass(frozen=True)
class RecommendConfig:
    """How deep the sources are asked, and how their answers are fused."""

    candidates: int = 120
    """Items asked of each source; at least twice the items wanted."""
    half_life_weeks: float = 12.0
    """Age at which a purchase counts half."""
    fusion: FusionConfig = field(default_factory=FusionConfig)


class Recommender:
    """Recommends from what is in the graph.

    Args:
        graph: an open connection.
        clock: tells the moment before which events count.
        vectors: encodes queries.
        learned: ranks where a release names a ranker; rank fusion answers without one.

    Raises:
        ConfigurationError: the fusion names a source that has no query file.
    """

    def __init__(
        self,
        graph: Graph,
        clock: Clock,
        vectors: QueryVectors,
        config: RecommendConfig | None = None,
        learned: LearnedFusion | None = None,
    ) -> None:
        self._graph = graph
        self._clock = clock
        self._vectors = vectors
        self._config = config or RecommendConfig()
        self._learned = learned
        self._sources = Sources(graph)
        self._sources.require(sorted(self._config.fusion.sources))
        self._governance = Governance(graph, self._sources)
        self._asked = ThreadPoolExecutor(thread_name_prefix="source")

    def recommend(
        self,
        user_id: str,
        n: int = 20,
        exclude_owned: bool = False,
        as_of: datetime | None = None,
        *,
        session: Sequence[str] = (),
        session_id: str = "",
        filters: Filters = ANYTHING,
        scenario: str = "",
        diversity: float = 0.0,
    ) -> Recommendations:
        """The `n` products to show a user.

        Someone without a history gets the first of these that answers: what goes with the products of the session, what
        people of the same segment bought lately, what is popular. The step taken is in the answer.

        Args:
            user_id: pseudonym of the user; an unknown one is a newcomer.
            exclude_owned: leave out what the user has bought.
            as_of: take only events before it into account; the clock's now by default.
            session: product ids of this visit, latest first; what its events tell is known without them.
            session_id: pseudonym of the visit, see `session_pseudonym`; enough where nobody has signed in.
            filters: what the answer may hold; where too little of what was chosen passes, what is popular within them
                fills it up.
            scenario: the place that the answer is for; rules of that place apply beside those of all places.
            diversity: how much it counts that products are unlike each other, 0 to 1; see `diversified`.

        Raises:
            InputError: `n` or `diversity` out of range, or `as_of` not after an event that derived values carry.
        """
        _check_count(n)
        if not 0 <= diversity <= 1:
            raise InputError(f"diversity = {diversity}: it is from 0 to 1")
        moment = as_of or self._clock.now()
        standing = read_standing(self._graph, moment, user_id, session_id, scenario)
        session = list(dict.fromkeys([*session, *standing.interest]))
        left_out = [*without(self._graph, standing, user_id, moment, exclude_owned), *filters.exclude]
        asked = {"user": user_id, "session": session, "without": left_out, "novel": exclude_owned, **filters.bounds}
        context = self._context(standing, moment, DEEPER * n if filters.narrow else n, **asked)
        barred = {*left_out, *session}
        step, kept, note = "popular", list[Fused](), ""
        for name, blend in self._steps(standing, exclude_owned, session):
            if as_of is not None:
                standing.require_honest(as_of, blend)
            ranked = self._learned_products(context, standing, filters) if name == "personal" else []
            fused = self._joined(ranked, blend, context, standing) if ranked else self._fused(blend, context, standing)
            fused = self._governance.filtered(fused, filters, context, standing)
            pool, said = self._governance.ruled(rerank(fused, UNLIKE_AMONG * n, barred), standing, barred, filters)
            note = note or said
            step, kept = name, self._governance.unlike(pool, n, diversity, standing)
            if kept:
                break
        return self._answer(kept, standing, moment, step, user_id, note)

    def similar(self, product_id: str, n: int = 20, scenario: str = "") -> Recommendations:
        """The `n` products most like one product, by baskets and by both embeddings.

        Args:
            scenario: see `recommend`.

        Raises:
            InputError: `n` out of range.
        """
        _check_count(n)
        moment = self._clock.now()
        standing = read_standing(self._graph, moment, scenario=scenario)
        context = self._context(standing, moment, n, product=product_id, without=[])
        pool = rerank(self._fused(self._config.fusion.similar, context, standing), UNLIKE_AMONG * n, {product_id})
        pool, note = self._governance.ruled(pool, standing, {product_id})
        kept = [Fused(item.id, item.score, item.sources, product_id) for item in pool[:n]]
        return self._answer(kept, standing, moment, "similar", "", note)

    def search(self, query: str, n: int = 20, scenario: str = "") -> Recommendations:
        """The `n` products that best answer a query, by their words and by the text embedding.

        Args:
            scenario: see `recommend`.

        Raises:
            InputError: `n` out of range, or the serving version's query encoder is damaged.
        """
        _check_count(n)
        moment = self._clock.now()
        standing = read_standing(self._graph, moment, scenario=scenario)
        vector = self._vectors(standing.versions.get("text"), query)
        blend, step = self._config.fusion.search, "search"
        if vector is None:
            blend, step = blend.with_source(BY_VECTOR, 0.0), "words"
        context = self._context(standing, moment, n, query=any_word(query), vector=vector, without=[])
        pool, note = self._governance.ruled(self._fused(blend, context, standing)[: UNLIKE_AMONG * n], standing, set())
        return self._answer(pool[:n], standing, moment, step, "", note)

    @property
    def sources(self) -> list[str]:
        """All that can be asked about a user: those in use, others of the house, and the shop's own files."""
        return [name for name in self._sources.names if not self._sources.parameters(name) & OF_A_QUERY]

    def asked_with(self, source: str) -> str:
        """What a source is told of a user."""
        asked = self._sources.parameters(source)
        return next((told for parameter, told in TOLD.items() if parameter in asked), "nothing")

    def offered(
        self,
        source: str,
        user_id: str,
        n: int = 20,
        exclude_owned: bool = False,
        as_of: datetime | None = None,
        *,
        session: Sequence[str] = (),
    ) -> list[str]:
        """The first `n` products of one source alone, asked as `recommend` asks it.

        A source that starts from one product starts from the first of the session.

        Raises:
            InputError: see `recommend`.
        """
        _check_count(n)
        moment = as_of or self._clock.now()
        standing = read_standing(self._graph, moment, user_id)
        if as_of is not None:
            standing.require_honest(as_of, Blend({source: 1.0}))
        left_out = without(self._graph, standing, user_id, moment, exclude_owned)
        subject = {"user": user_id, "session": list(session), "product": next(iter(session), "")}
        context = self._context(standing, moment, n, **subject, without=left_out, novel=exclude_owned)
        found = self._sources.candidates(source, context, standing.slots)
        barred = set(left_out)  # a source of products like one product is not told what to leave out
        return [candidate.id for candidate in found if candidate.id not in barred][:n]

    def known_until(self) -> datetime | None:
        """The newest event that derived values and the vectors of the serving release carry."""
        return read_standing(self._graph, self._clock.now()).newest

    def _steps(self, standing: Standing, exclude_owned: bool, session: Sequence[str]) -> list[tuple[str, Blend]]:
        fusion = self._config.fusion
        steps: list[tuple[str, Blend]] = []
        if standing.active:
            personal = fusion.novel if exclude_owned else fusion.repeat
            weight = fusion.session.weights.get(IN_SESSION, 0.0)
            steps.append(("personal", personal.with_source(IN_SESSION, weight) if session else personal))
        if session:
            steps.append(("session", fusion.session))
        if standing.known:
            steps.append(("segment", fusion.segment))
        return [*steps, ("popular", fusion.popular)]

    def _learned_products(
        self, context: Mapping[str, Any], standing: Standing, filters: Filters
    ) -> list[RankedProduct]:
        """By the ranker that the release names, where it knows the user."""
        if self._learned is None:
            return []
        return self._learned.products(standing.versions, context, filters)

    def _joined(
        self, ranked: list[RankedProduct], blend: Blend, context: Mapping[str, Any], standing: Standing
    ) -> list[Fused]:
        weight = blend.weights.get(IN_SESSION, 0.0)
        near = self._sources.candidates(IN_SESSION, context, standing.slots) if weight else []
        return joined(ranked, near, IN_SESSION, weight)

    def _fused(self, blend: Blend, context: Mapping[str, Any], standing: Standing) -> list[Fused]:
        """Ask the sources at the same time: each is a read of its own, and waiting is most of it."""
        offered = self._asked.map(
            lambda source: self._sources.candidates(source, context, standing.slots), blend.sources
        )
        return fuse(dict(zip(blend.sources, offered, strict=True)), blend)

    def _context(self, standing: Standing, moment: datetime, n: int, **subject: Any) -> dict[str, Any]:
        limit = max(self._config.candidates, 2 * n)
        return {
            "release": standing.release,
            "as_of": moment,
            "limit": limit,
            "reach": min(MOST_REACH, 2 * limit + len(subject["without"])),
            "half_life_weeks": self._config.half_life_weeks,
            "novel": False,
            **ANYTHING.bounds,
            **subject,
        }

    def _answer(
        self, kept: list[Fused], standing: Standing, moment: datetime, step: str, user_id: str, note: str = ""
    ) -> Recommendations:
        items, via = [item.id for item in kept], [item.via for item in kept]
        facts = self._graph.wide("reasons", user=user_id, as_of=moment, items=items, via=via)["facts"] if kept else []
        by_id = {fact["id"]: fact for fact in facts}
        shown = [
            Item(
                item.id, by_id[item.id]["title"], item.score, list(item.sources), explain(user_id, item, by_id[item.id])
            )
            for item in kept
            if item.id in by_id
        ]
        return Recommendations(shown, standing.release, standing.versions, moment, step, note)


def _check_count(n: int) -> None:
    if not 1 <= n <= MOST_ITEMS:
        raise InputError(f"n = {n}: ask for 1 to {MOST_ITEMS} items")
