"""How loudly words and vectors should speak in search, by what users turned to after their searches.

Searches since the newest event that serving carries judge it, so neither the embedding nor what is derived has seen
what followed them. What users turned to is among what they were shown: the joining that served them has an advantage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shopgraph.dataset.searches import followed
from shopgraph.errors import InputError
from shopgraph.evaluation import graded_ndcg
from shopgraph.graph.connection import Graph
from shopgraph.graph.wide_tables import all_ids, node_table, relation_table
from shopgraph.recommend.fusion import Blend
from shopgraph.records import ARROW_TYPES
from shopgraph.schema import RELATIONS
from shopgraph.settings import utc_now
from shopgraph.tracking import Progress, silent

WORDS, VECTORS = "full_text_search", "text_search"
SHARES = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 1.0)
"""Of the words, the rest being the vectors'; ranks weigh little against a few hundredths at both ends."""
JUDGED = 10
"""Products of a page of answers."""

Search = Callable[[str], Sequence[str]]
"""Products for a query, best first."""


@dataclass(frozen=True)
class SearchTrial:
    """Queries of the searches since a moment, and how many of those searches led to each product."""

    cut: datetime
    led_to: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Joining:
    """What one way to join words and vectors is worth.

    Shapes:
        ndcg: (queries,), NDCG@10 where a product's gain is log(1 + searches that led to it)
    """

    share: float
    """Of the words."""
    ndcg: np.ndarray


def share_of_words(blend: Blend) -> float:
    words, vectors = (blend.weights.get(source, 0.0) for source in (WORDS, VECTORS))
    return words / (words + vectors) if words + vectors else 0.5


def with_share(blend: Blend, share: float) -> Blend:
    """The blend in which words and vectors share what the two weigh in it."""
    both = sum(blend.weights.get(source, 0.0) for source in (WORDS, VECTORS)) or 1.0
    return blend.with_source(WORDS, round(share * both, 6)).with_source(VECTORS, round((1 - share) * both, 6))


def open_search_trial(
    graph: Graph, known_until: datetime | None, most_queries: int | None = None, seed: int = 0
) -> SearchTrial:
    """Judge by the searches since serving learned, and by what was viewed or bought after them.

    Args:
        known_until: the newest event that serving carries, see `Recommender.known_until`.
        most_queries: judge so many, drawn at random; None for all.

    Raises:
        InputError: nothing was derived or published yet, or no search since led to a product.
    """
    if known_until is None:
        raise InputError("there is nothing to judge: nothing was derived or published yet; run 'shopgraph retrain'")
    cut = known_until + timedelta(milliseconds=1)
    users = all_ids(graph, "User")
    searched, viewed, purchased = (_since(graph, name, users, cut) for name in ("SEARCHED", "VIEWED", "PURCHASED"))
    times = followed(searched, viewed, purchased).groupby(["query", "product"]).size()
    terms = sorted({query for query, _ in times.index})
    if not terms:
        raise InputError(
            f"there is nothing to judge by: no search since {known_until:%Y-%m-%d %H:%M} UTC, the newest that serving "
            "has learned from, led to a product; 'search' events of POST /api/v1/events tell of them"
        )
    if most_queries is not None:
        terms = sorted(np.random.default_rng(seed).permutation(terms)[:most_queries].tolist())
    typed = node_table(graph, "SearchTerm", terms, pa.schema([("text", pa.string())]))["text"].to_pylist()
    return SearchTrial(cut, {text or term: times[term].to_dict() for term, text in zip(terms, typed, strict=True)})


def judged(search: Search, trial: SearchTrial) -> Iterator[float]:
    """NDCG@10 of each query in turn."""
    for query, led_to in trial.led_to.items():
        shown = list(search(query))[:JUDGED]
        missed = [times for product, times in led_to.items() if product not in set(shown)]
        found = [led_to.get(product, 0) for product in shown]
        gains = np.log1p([[*found, *[0] * (JUDGED - len(found)), *missed]])
        yield float(graded_ndcg(-np.arange(gains.size, dtype=float)[None], gains, JUDGED)[0])


def joinings(
    search_by: Callable[[Blend], Search], present: Blend, trial: SearchTrial, progress: Progress = silent
) -> list[Joining]:
    """Each share of words, the present one among them, by falling NDCG@10; of equals the nearest to the present first.

    Args:
        search_by: searches as serving does, but by a blend.
        progress: called after each query.
    """
    now, found = share_of_words(present), []
    for share in sorted({*SHARES, now}):
        step, ndcg = f"search, {share:.0%} words", np.empty(len(trial.led_to))
        progress(step, 0, len(ndcg))
        for place, value in enumerate(judged(search_by(with_share(present, share)), trial)):
            ndcg[place] = value
            progress(step, place + 1, len(ndcg))
        found.append(Joining(share, ndcg))
    return sorted(found, key=lambda joining: (-joining.ndcg.mean(), abs(joining.share - now)))


def _since(graph: Graph, relation: str, users: Sequence[str], cut: datetime) -> pa.Table:
    field = [pa.field("at", ARROW_TYPES["datetime"])]
    table = relation_table(graph, RELATIONS[relation], users, field, utc_now())
    return table.filter(pc.greater_equal(table["at"], pa.scalar(cut, ARROW_TYPES["datetime"])))
