"""The recommender: from a user or a product to a short list with reasons, in a handful of reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from shopgraph.graph.connection import Graph
from shopgraph.recommend.answer import Detail, Recommendations, answered, explained_items
from shopgraph.recommend.clock import Clock
from shopgraph.recommend.evidence import Evidence
from shopgraph.recommend.filters import ANYTHING, Filters
from shopgraph.recommend.fusion import Blend, Fused
from shopgraph.recommend.governance import Chosen, Governance
from shopgraph.recommend.liking import Liking
from shopgraph.recommend.page import MOST_ITEMS, Page
from shopgraph.recommend.place import Place, Places
from shopgraph.recommend.query import QueryVectors, any_word
from shopgraph.recommend.question import OF_A_QUERY, TOLD, Question, like_product
from shopgraph.recommend.ranked import LearnedFusion
from shopgraph.recommend.ranked_lists import Listed, RankedLists
from shopgraph.recommend.rerank import rerank
from shopgraph.recommend.retrieval import RecommendConfig, Retrieval
from shopgraph.recommend.scenario import Scenario
from shopgraph.recommend.standing import Standing, read_standing

BY_VECTOR = "text_search"
USUAL = 20
"""Products that most answers hold."""


class Recommender:
    """Recommends from what is in the graph.

    Args:
        graph: an open connection.
        clock: tells the moment before which events count.
        vectors: encodes queries.
        learned: ranks where a release names a ranker; rank fusion answers without one.

    Raises:
        ConfigurationError: the fusion, or a scenario's, names a source that has no query file, or a ranker not there.
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
        config = config or RecommendConfig()
        self._retrieval = Retrieval(graph, config, learned)
        self._sources = self._retrieval.sources
        self.places = Places(Scenario(config.fusion), config.scenarios, self._sources, self._retrieval.has_ranker)
        self._governance = Governance(graph, self._sources)
        self._lists = RankedLists(graph)

    def recommend(
        self,
        user_id: str,
        n: int = USUAL,
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

        Without a history the first of these that answers: what goes with the session's products, what others of the
        same segment bought lately, what is popular in the categories asked for, what is popular; the answer says which.

        Args:
            user_id: pseudonym of the user; an unknown one is a newcomer.
            exclude_owned: leave out what the user has bought.
            as_of: take only events before it into account; the clock's now by default.
            session: product ids of this visit, latest first; what its events tell is known without them.
            session_id: pseudonym of the visit, see `session_pseudonym`; enough where nobody has signed in.
            filters: what the answer may hold; where too little passes, what is popular within them fills it up.
            scenario: the place it is for, or a variant of the experiment there, which make it; its rules apply too.
            diversity: how much it counts that products are unlike, 0 to 1; at least the place's; see `diversified`.
            offset: the place of the first product, from 0; pages of as many products do not overlap.
            new_only: only products that nobody has bought yet; those of the categories that sell best for a newcomer.
            in_full: say of each product what its place rests on, and let that choose the path of its reason.

        Raises:
            InputError: `n`, `offset` or `diversity` out of range, or `as_of` not after what derived values carry.
        """
        page = Page(n, offset)
        usual = self.places.as_usual(scenario, "novel" if exclude_owned else "repeat", "session")
        usual = usual and (n == USUAL or not self._retrieval.explores(exclude_owned))
        at, standing = as_of or self._clock.moment, None
        if as_of is None and usual and not (session or session_id or diversity or in_full or new_only):
            standing, listed = self._lists.of_user(user_id, exclude_owned, at, scenario, filters, page)
            if answer := self._from_list(listed, page, "personal", scenario, filters, user_id, user_id):
                return answer
        standing = standing or read_standing(self._graph, at, user_id, session_id, scenario)
        place = self.places.at(scenario, standing.experiment, user_id or session_id, standing.as_of)
        filters = standing.within(filters, new_only)
        session = list(dict.fromkeys([*session, *standing.interest]))
        left_out = [*standing.without(exclude_owned), *filters.exclude]
        asked = {"user": user_id, "session": session, "without": left_out, "novel": exclude_owned, **filters.bounds}
        context = self._retrieval.context(standing, page.depth(filters.restrict or standing.may_lose), **asked)
        barred = {*left_out, *session, *standing.seen}
        enough = self._governance.enough(place, page, standing, session, filters, diversity)
        note = ""
        for step, setting in standing.steps(exclude_owned, session, bool(filters.categories), new_only):
            pools = []
            for way in place.ways:
                blend, by = way.blend(setting, of_visit=standing.of_visit(session)), standing.ranked_by(way.ranker)
                standing.require_honest(as_of, blend)
                fused = self._retrieval.ranked(step, way, blend, context, by, filters, enough)
                fused, said = self._governance.filtered(fused, filters, context, standing)
                note = note or said
                pools.append(self._retrieval.best(fused, n, barred, context, by))
            chosen = self._governance.chosen(pools, place, page, standing, barred, filters, diversity)
            note = note or chosen.note
            if chosen.kept:
                break
        details = self._retrieval.details(page.cut(chosen.kept), chosen.way_of, standing, context, in_full)
        return self._answer(replace(chosen, note=note), page, standing, step, user_id, details, in_full)

    def ahead(self, user_id: str, standing: Standing, exclude_owned: bool) -> tuple[list[Fused], Mapping[str, Detail]]:
        """What `recommend` chooses from for a user outside a visit, before rules, and what that rests on in brief.

        Nothing for who has no history.
        """
        if not standing.active:
            return [], {}
        left_out, session = standing.without(exclude_owned), standing.interest
        asked = {"user": user_id, "session": session, "without": left_out, "novel": exclude_owned}
        context = self._retrieval.context(standing, Page(USUAL).depth(standing.may_lose), **asked)
        blend = self.places.usual.blend("novel" if exclude_owned else "repeat", of_visit=standing.of_visit(session))
        fused = self._retrieval.ranked("personal", self.places.usual, blend, context, standing, ANYTHING)
        barred = {*left_out, *session, *standing.seen}
        best = self._retrieval.best(fused, USUAL, barred, context, standing)[:MOST_ITEMS]
        return best, self._retrieval.in_brief(best, standing, context) if exclude_owned else {}

    def ahead_like(self, product_id: str, standing: Standing) -> list[Fused]:
        """What `similar` chooses from, before rules."""
        question, depth = like_product(product_id), Page(USUAL).depth(standing.may_lose)
        fused = self._about(question, depth, self.places.usual, standing, ANYTHING)
        return rerank(fused, MOST_ITEMS, question.without)

    def similar(
        self,
        product_id: str,
        n: int = USUAL,
        scenario: str = "",
        *,
        offset: int = 0,
        filters: Filters = ANYTHING,
        who: str = "",
        session_id: str = "",
    ) -> Recommendations:
        """The `n` products most like one product, by baskets and by both embeddings.

        Args:
            offset, filters, scenario: see `recommend`; nothing fills up what is filtered out.
            who, session_id: pseudonyms of who sees it, user or visit: for experiments, and for what they have hidden.

        Raises:
            InputError: `n` or `offset` out of range; `UnknownProductsError` where the product is not in the graph.
        """
        page = Page(n, offset)
        if self.places.as_usual(scenario, "similar"):
            listed = self._lists.like_product(product_id, scenario, filters, page, who, session_id or who)
            if answer := self._from_list(listed, page, "similar", scenario, filters, who):
                return answer
        standing = self._seen_by(who, session_id, scenario)
        answer = self._about_products(like_product(product_id), page, scenario, who, standing, filters)
        if not answer.items:
            Liking([product_id]).require_known(self._graph)
        return answer

    def like_these(
        self,
        liking: Liking,
        n: int = USUAL,
        scenario: str = "",
        *,
        offset: int = 0,
        filters: Filters = ANYTHING,
        who: str = "",
        session_id: str = "",
    ) -> Recommendations:
        """The `n` products most like some and least like others, by baskets and by both embeddings.

        In an embedding they lie around the mean of those liked less a share of the mean of those unliked (Rocchio,
        "Relevance feedback in information retrieval", 1971).

        Args:
            offset, filters, scenario, who, session_id: see `similar`.

        Raises:
            InputError: `n` or `offset` out of range; `UnknownProductsError` where a product is not in the graph.
        """
        page = Page(n, offset)
        liking.require_known(self._graph)
        subject = {"like": list(liking.like), "unlike": list(liking.unlike)}
        question = Question("like", "like", subject, liking.products)
        standing = self._seen_by(who, session_id, scenario)
        return self._about_products(question, page, scenario, who, standing, filters)

    def search(
        self,
        query: str,
        n: int = USUAL,
        scenario: str = "",
        *,
        offset: int = 0,
        filters: Filters = ANYTHING,
        who: str = "",
        session_id: str = "",
    ) -> Recommendations:
        """The `n` products that best answer a query, by their words and by the text embedding.

        Args:
            offset, filters, scenario, who, session_id: see `similar`.

        Raises:
            InputError: `n` or `offset` out of range, or the serving version's query encoder is damaged.
        """
        page = Page(n, offset)
        standing = self._seen_by(who, session_id, scenario)
        vector = self._vectors(standing.versions.get("text"), query)
        step, silent = ("words", [BY_VECTOR]) if vector is None else ("search", [])
        question = Question(step, "search", {"query": any_word(query), "vector": vector}, silent=silent)
        return self._about_products(question, page, scenario, who, standing, filters)

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
        n: int = USUAL,
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
        standing = read_standing(self._graph, as_of or self._clock.moment, user_id)
        standing.require_honest(as_of, Blend({source: 1.0}))
        left_out = standing.without(exclude_owned)
        subject = {"user": user_id, "session": list(session), "product": next(iter(session), "")}
        context = self._retrieval.context(standing, n, **subject, without=left_out, novel=exclude_owned)
        found = self._sources.candidates(source, context, standing.slots)
        barred = set(left_out)  # a source of products like one product is not told what to leave out
        return [candidate.id for candidate in found if candidate.id not in barred][:n]

    def known_until(self) -> datetime | None:
        """The newest event that derived values and the vectors of the serving release carry."""
        return read_standing(self._graph, self._clock.moment).newest

    def _seen_by(self, who: str, session_id: str, scenario: str) -> Standing:
        return read_standing(self._graph, self._clock.moment, who, session_id or who, scenario)

    def _about_products(
        self, question: Question, page: Page, scenario: str, who: str, standing: Standing, filters: Filters
    ) -> Recommendations:
        """What answers a question about products, whoever asks."""
        filters = replace(standing.within(filters), exclude=[*filters.exclude, *standing.hidden])
        without = [*question.without, *filters.exclude]
        place = self.places.at(scenario, standing.experiment, who, standing.as_of)
        depth = page.depth(filters.restrict or standing.may_lose)
        found = [self._about(question, depth, way, standing, filters) for way in place.ways]
        passing = [self._governance.passing(fused, filters, standing) for fused in found]
        pools = [rerank(fused, page.pool_of(standing.may_lose), without) for fused, _ in passing]
        chosen = self._governance.chosen(pools, place, page, standing, without, filters, asked_about=question.without)
        note = chosen.note or passing[0][1]
        return self._answer(replace(chosen, note=note), page, standing, question.step)

    def _about(self, question: Question, n: int, way: Scenario, standing: Standing, filters: Filters) -> list[Fused]:
        without = [*question.without, *filters.exclude]
        context = self._retrieval.context(standing, n, **question.subject, without=without, **filters.bounds)
        blend = way.blend(question.setting, question.silent)
        fused = self._retrieval.fused(blend, context, standing)
        return fused if question.via is None else [replace(item, via=question.via) for item in fused]

    def _from_list(
        self,
        listed: Listed | None,
        page: Page,
        step: str,
        scenario: str,
        filters: Filters,
        who: str,
        user_id: str = "",
    ) -> Recommendations | None:
        """What a list that was ranked ahead answers; None where live retrieval could answer otherwise."""
        if listed is None or (who and listed.standing.experiment is not None):
            return None
        like = [item.via for item in listed.pool[:1] if item.via is not None]
        barred = [*filters.exclude, *listed.standing.hidden]
        pool, note = self._governance.ruled(listed.pool, listed.standing, barred, filters, like)
        kept = pool[: page.wanted]
        moves = len(pool) < len(listed.pool) and any(rule.moves for rule in listed.standing.rules)
        if not kept or (not listed.ended and (moves or len(kept) < page.wanted)):
            return None  # live, more from beyond the list would come, or move up
        if any(item.id not in listed.facts for item in kept):  # a rule has pinned it
            return None
        items = explained_items(page.cut(kept), lambda item, _: listed.facts.get(item.id), user_id, {})
        chosen = Chosen(Place((self.places.usual,), scenario), kept, note)
        return answered(items, page, chosen, listed.standing, step)

    def _answer(
        self,
        chosen: Chosen,
        page: Page,
        standing: Standing,
        step: str,
        user_id: str = "",
        details: Mapping[str, Detail] = {},
        in_full: bool = False,
    ) -> Recommendations:
        cut = page.cut(chosen.kept)
        evidence = Evidence(self._graph, user_id, standing, cut) if cut else None
        items = explained_items(cut, evidence.of, user_id, details, in_full) if evidence else []
        return answered(items, page, chosen, standing, step)
