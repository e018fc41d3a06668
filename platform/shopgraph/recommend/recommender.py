"""The recommender: from a user or a product to a short list with reasons, in a handful of reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from shopgraph.errors import InputError
from shopgraph.graph.connection import Graph
from shopgraph.ranking.served import RankedProduct
from shopgraph.recommend.answer import Detail, Recommendations, explained_items
from shopgraph.recommend.clock import Clock
from shopgraph.recommend.filters import ANYTHING, Filters
from shopgraph.recommend.fusion import Blend, Fused
from shopgraph.recommend.governance import Governance
from shopgraph.recommend.liking import Liking
from shopgraph.recommend.page import Page
from shopgraph.recommend.query import QueryVectors, any_word
from shopgraph.recommend.ranked import LearnedFusion, joined
from shopgraph.recommend.rerank import rerank
from shopgraph.recommend.retrieval import RecommendConfig, Retrieval
from shopgraph.recommend.standing import Standing, read_standing, without
from shopgraph.schema import RANKER

IN_SESSION = "session_neighbours"
BY_VECTOR = "text_search"
OF_A_QUERY = {"query", "vector"}
"""Parameters of sources that answer a query, not a user."""
TOLD = {
    "session": "products bought last",
    "like": "products bought last",
    "product": "the product bought last",
    "user": "history",
}
"""By parameter, in words, what `offered` tells a source of a user."""
DEEPER = 5
"""Times as much is asked of sources where filters, or variants of one product, may take away what they offer."""


@dataclass(frozen=True)
class Question:
    """A question about products."""

    step: str
    """What the answer rests on, see `Recommendations`."""
    blend: Blend
    subject: Mapping[str, Any]
    """What only its sources are asked with."""
    without: Sequence[str] = ()
    """Products that are no answer to it."""
    via: str | None = None
    """The product that speaks for every answer; by default each source names one."""


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
        self._retrieval = Retrieval(graph, self._config)
        self._sources = self._retrieval.sources
        self._governance = Governance(graph, self._sources)

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
        offset: int = 0,
        in_full: bool = False,
        new_only: bool = False,
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
            offset: the place of the first product, from 0; pages of as many products do not overlap.
            new_only: only products that nobody has bought yet: by the ranker's own setting for them, or else what reads
                like the user's purchases and states what they do; for anyone else, of the categories that sell best.
            in_full: say of each product what its place rests on, and let that choose the path of its reason.

        Raises:
            InputError: `n`, `offset` or `diversity` out of range, or `as_of` not after an event that derived values
                carry.
        """
        page = Page(n, offset)
        if not 0 <= diversity <= 1:
            raise InputError(f"diversity = {diversity}: it is from 0 to 1")
        moment = as_of or self._clock.now()
        if new_only:
            filters = replace(filters, unbought_before=moment)
        standing = read_standing(self._graph, moment, user_id, session_id, scenario)
        session = list(dict.fromkeys([*session, *standing.interest]))
        left_out = [*without(self._graph, standing, user_id, moment, exclude_owned), *filters.exclude]
        asked = {"user": user_id, "session": session, "without": left_out, "novel": exclude_owned, **filters.bounds}
        deeper = filters.narrow or standing.has_variants
        context = self._retrieval.context(standing, moment, DEEPER * n if deeper else n, **asked)
        barred = {*left_out, *session}
        step, kept, note = "popular", list[Fused](), ""
        for name, blend in self._steps(standing, exclude_owned, session, filters):
            if as_of is not None:
                standing.require_honest(as_of, blend)
            ranked = self._learned_products(context, standing, filters) if name == "personal" else []
            if ranked:
                fused = self._joined(ranked, blend, context, standing)
            else:
                fused = self._retrieval.fused(blend, context, standing)
            fused = self._governance.filtered(fused, filters, context, standing)
            best = rerank(fused, page.pool_of(standing.has_variants), barred)
            pool, said = self._governance.ruled(best, standing, barred, filters)
            note = note or said
            step, kept = name, self._governance.unlike(pool, page.wanted, diversity, standing)
            if kept:
                break
        details = self._details(page.cut(kept), standing, context) if in_full else {}
        return self._answer(kept, page, standing, moment, step, user_id, note, details)

    def similar(
        self, product_id: str, n: int = 20, scenario: str = "", *, offset: int = 0, filters: Filters = ANYTHING
    ) -> Recommendations:
        """The `n` products most like one product, by baskets and by both embeddings.

        Args:
            offset, filters, scenario: see `recommend`; nothing fills up what is filtered out.

        Raises:
            InputError: `n` or `offset` out of range.
        """
        question = Question("similar", self._config.fusion.similar, {"product": product_id}, [product_id], product_id)
        moment = self._clock.now()
        standing = read_standing(self._graph, moment, scenario=scenario)
        return self._about_products(question, Page(n, offset), standing, moment, filters)

    def like_these(
        self, liking: Liking, n: int = 20, scenario: str = "", *, offset: int = 0, filters: Filters = ANYTHING
    ) -> Recommendations:
        """The `n` products most like some and least like others, by baskets and by both embeddings.

        In an embedding they lie around the mean of those liked less a share of the mean of those unliked (Rocchio,
        "Relevance feedback in information retrieval", 1971).

        Args:
            offset, filters, scenario: see `similar`.

        Raises:
            InputError: `n` or `offset` out of range; `UnknownProductsError` where a product is not in the graph.
        """
        page = Page(n, offset)
        liking.require_known(self._graph)
        subject = {"like": list(liking.like), "unlike": list(liking.unlike)}
        question = Question("like", self._config.fusion.like, subject, liking.products)
        moment = self._clock.now()
        standing = read_standing(self._graph, moment, scenario=scenario)
        return self._about_products(question, page, standing, moment, filters)

    def search(
        self, query: str, n: int = 20, scenario: str = "", *, offset: int = 0, filters: Filters = ANYTHING
    ) -> Recommendations:
        """The `n` products that best answer a query, by their words and by the text embedding.

        Args:
            offset, filters, scenario: see `similar`.

        Raises:
            InputError: `n` or `offset` out of range, or the serving version's query encoder is damaged.
        """
        page, blend, moment = Page(n, offset), self._config.fusion.search, self._clock.now()
        standing = read_standing(self._graph, moment, scenario=scenario)
        vector = self._vectors(standing.versions.get("text"), query)
        step = "search"
        if vector is None:
            blend, step = blend.with_source(BY_VECTOR, 0.0), "words"
        question = Question(step, blend, {"query": any_word(query), "vector": vector})
        return self._about_products(question, page, standing, moment, filters)

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
        Page(n)
        moment = as_of or self._clock.now()
        standing = read_standing(self._graph, moment, user_id)
        if as_of is not None:
            standing.require_honest(as_of, Blend({source: 1.0}))
        left_out = without(self._graph, standing, user_id, moment, exclude_owned)
        subject = {"user": user_id, "session": list(session), "product": next(iter(session), "")}
        context = self._retrieval.context(standing, moment, n, **subject, without=left_out, novel=exclude_owned)
        found = self._sources.candidates(source, context, standing.slots)
        barred = set(left_out)  # a source of products like one product is not told what to leave out
        return [candidate.id for candidate in found if candidate.id not in barred][:n]

    def known_until(self) -> datetime | None:
        """The newest event that derived values and the vectors of the serving release carry."""
        return read_standing(self._graph, self._clock.now()).newest

    def _about_products(
        self, question: Question, page: Page, standing: Standing, moment: datetime, filters: Filters
    ) -> Recommendations:
        """What answers a question about products, whoever asks."""
        without = [*question.without, *filters.exclude]
        depth = DEEPER * page.n if filters.narrow or standing.has_variants else page.n
        context = self._retrieval.context(
            standing, moment, depth, **question.subject, without=without, **filters.bounds
        )
        fused = self._governance.passing(self._retrieval.fused(question.blend, context, standing), filters)
        best = rerank(fused, page.pool_of(standing.has_variants), without)
        pool, note = self._governance.ruled(best, standing, without, filters, question.without)
        if question.via is not None:
            pool = [replace(item, via=question.via) for item in pool]
        return self._answer(pool[: page.wanted], page, standing, moment, question.step, note=note)

    def _answer(
        self,
        kept: Sequence[Fused],
        page: Page,
        standing: Standing,
        moment: datetime,
        step: str,
        user_id: str = "",
        note: str = "",
        details: Mapping[str, Detail] = {},
    ) -> Recommendations:
        items = explained_items(self._graph, page.cut(kept), user_id, moment, details)
        return Recommendations(items, standing.release, standing.versions, moment, step, note, page.next_offset(kept))

    def _details(self, kept: Sequence[Fused], standing: Standing, context: Mapping[str, Any]) -> dict[str, Detail]:
        by_ranker = [item.id for item in kept if RANKER in item.shares]
        features: dict[str, dict[str, float]] = {}
        if self._learned is not None and by_ranker:
            features = self._learned.contributions(standing.versions, context, by_ranker)
        return {item.id: Detail(dict(item.shares), features.get(item.id, {})) for item in kept}

    def _steps(
        self, standing: Standing, exclude_owned: bool, session: Sequence[str], filters: Filters
    ) -> list[tuple[str, Blend]]:
        fusion = self._config.fusion
        if filters.unbought_before is not None:
            return [*([("personal", fusion.new)] if standing.active else []), ("arrivals", fusion.arrivals)]
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
