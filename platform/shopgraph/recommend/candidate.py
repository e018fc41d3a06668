"""Candidates: each source is one named query file; a file with the right header is all a new source needs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shopgraph.errors import ConfigurationError, OverdueError, QueryError
from shopgraph.graph.connection import Graph
from shopgraph.schema import SLOTS
from shopgraph_cypher import Query, QueryCatalogue

logger = logging.getLogger(__name__)

SOURCE_RETURNS = ("items", "scores", "via")
PARAMETERS = frozenset(
    {
        "user",
        "product",
        "session",
        "searches",
        "like",
        "unlike",
        "unlike_share",
        "query",
        "vector",
        "as_of",
        "limit",
        "without",
        "novel",
        "categories",
        "min_price",
        "max_price",
        "unbought_before",
        "reach",
        "release",
        "half_life_weeks",
    }
)
"""What a source may ask for:

user, product, session: whom or what for; session is a list of product ids, latest first
searches: what was typed in this visit, each a Lucene expression, latest first
like, unlike: product ids to be near to, and to keep away from; of a user, like is the session
unlike_share: what one that is unliked counts against, where one that is liked counts 1
query: what was typed, as a Lucene expression
vector: what was typed, in the space of the text version that the release serves
as_of: events before it count
limit: most items to answer with
without: ids never to answer with
categories, min_price, max_price: what the caller lets an answer hold; empty and null where it does not say
unbought_before: only what nobody had bought before this moment; null where anything may be shown
novel: whether all that the user bought is among them
reach: how deep a vector search has to go so that `limit` items outlast `without`
release: the release whose slots are read, so that one answer never mixes two
half_life_weeks: age at which a purchase counts half
"""

UNDERIVED = frozenset({"repeat_purchases", "due_again", "popular_in_segment", "searched_lately"})
"""Sources that read events alone: nothing that a worker derived or learned from them."""


@dataclass(frozen=True)
class Candidate:
    """A product that one source offers, best first within its source."""

    id: str
    score: float
    via: str | None
    """The product or category that speaks for it, where the source knows one."""


class Sources:
    """The candidate sources of a catalogue of queries.

    A source is a query file that returns `items, scores, via`. One that searches a vector index has two files,
    `<name>_blue` and `<name>_green`, because a query that names an index fails while that index is being rebuilt; the
    family is the first word of the name.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._slotted = slotted(graph.queries)

    @property
    def names(self) -> list[str]:
        """All of them, a shop's own included, sorted."""
        return source_names(self._graph.queries)

    def parameters(self, name: str) -> frozenset[str]:
        """What a source asks for, see `PARAMETERS`."""
        return frozenset(self._graph.queries[f"{name}_{SLOTS[0]}" if name in self._slotted else name].params)

    def require(self, names: Iterable[str]) -> None:
        """Refuse a name that has no query file, or whose file is no source; of a shop's own, one that can't be planned.

        Raises:
            ConfigurationError: naming the first such name.
        """
        for name in names:
            files = [f"{name}_{slot}" for slot in SLOTS] if name in self._slotted else [name]
            for file in files:
                query = self._graph.queries.get(file) if file in self._graph.queries else None
                if query is None or not _is_source(query):
                    raise ConfigurationError(
                        f"candidate source {name!r}: {file}.cypher must exist, return {', '.join(SOURCE_RETURNS)} "
                        f"and take only {', '.join(sorted(PARAMETERS))}"
                    )
                if query.own and name not in self._slotted:  # one that names an index fails while that is rebuilt
                    self._plan(query)

    def own(self, name: str) -> bool:
        """Whether a source is a shop's own: what learned from the house's sources knows nothing of it."""
        return self._graph.queries[f"{name}_{SLOTS[0]}" if name in self._slotted else name].own

    def candidates(self, name: str, context: Mapping[str, Any], slots: Mapping[str, str]) -> list[Candidate]:
        """Run one source; nothing when its family serves from no slot yet, and of a shop's own where it fails."""
        if name in self._slotted:
            slot = slots.get(name.partition("_")[0])
            if slot is None:
                return []
            name = f"{name}_{slot}"
        query = self._graph.queries[name]
        try:
            found = self._graph.wide(name, **{parameter: context[parameter] for parameter in query.params})
            offered = list(zip(*(found[column] for column in SOURCE_RETURNS), strict=True))
        except (QueryError, OverdueError, ValueError) as error:
            if not query.own:
                raise
            logger.warning("candidate source %s (%s) is left out of this answer: %s", name, query.path, error)
            return []
        return [Candidate(item, score, via) for item, score, via in offered]

    def _plan(self, query: Query) -> None:
        try:
            self._graph.explain(query.name)
        except QueryError as error:
            raise ConfigurationError(f"candidate source {query.name!r} ({query.path}): {error}") from None


def _is_source(query: Query) -> bool:
    return query.mode == "read" and query.returns == SOURCE_RETURNS and PARAMETERS.issuperset(query.params)


def source_names(queries: QueryCatalogue) -> list[str]:
    """Names of all sources of a catalogue of queries, sorted."""
    slot_pairs = slotted(queries)
    files = {f"{name}_{slot}" for name in slot_pairs for slot in SLOTS}
    return sorted({name for name, query in queries.items() if _is_source(query) and name not in files} | slot_pairs)


def slotted(queries: QueryCatalogue) -> frozenset[str]:
    """Names of the sources that have one file per slot."""
    stems = [name.removesuffix(f"_{SLOTS[0]}") for name in queries if name.endswith(f"_{SLOTS[0]}")]
    return frozenset(
        stem
        for stem in stems
        if f"{stem}_{SLOTS[1]}" in queries and queries[f"{stem}_{SLOTS[0]}"].returns == SOURCE_RETURNS
    )
