"""The learned fusion: a release's ranker over its lists and what the user did since, where a release names one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from shopgraph.graph.connection import Graph
from shopgraph.ranking.served import COLD, FOLDER, OwnLines, RankedProduct, ServedRanker
from shopgraph.recommend.candidate import Candidate
from shopgraph.recommend.filters import Filters, allowed
from shopgraph.recommend.fusion import Blend, Fused, fuse
from shopgraph.schema import RANKER


class LearnedFusion:
    """Ranks by the version that serves.

    Args:
        models: the folder of all model versions.
    """

    def __init__(self, graph: Graph, models: Path) -> None:
        self._graph = graph
        self._models = models

    def products(
        self, versions: Mapping[str, str], context: Mapping[str, Any], filters: Filters
    ) -> list[RankedProduct]:
        """The user's best products that may be shown now, as many as `limit`.

        Nothing where the release names no ranker, where its files are not on this machine, and where it does not know
        the user: rank fusion answers then.

        Args:
            versions: of the release, by family.
            context: what sources are asked with, see `PARAMETERS`.

        Raises:
            InputError: the ranker's files are damaged.
        """
        ranker = self._ranker(versions)
        if ranker is None:
            return []
        user, moment, limit = context["user"], context["as_of"], context["limit"]
        own = self._own_lines(context)
        setting = _setting(context)
        others = [] if setting == COLD else [*context["session"], *set(own.products)]
        found = ranker.ranked(setting, user, own, moment, others, context["without"])
        kept: list[RankedProduct] = []
        for start in range(0, len(found), limit):
            asked = found[start : start + limit]
            passing = allowed(self._graph, [item.id for item in asked], filters)
            kept += [item for item in asked if item.id in passing]
            if len(kept) >= limit:
                break
        return kept[:limit]

    def contributions(
        self, versions: Mapping[str, str], context: Mapping[str, Any], products: Sequence[str]
    ) -> dict[str, dict[str, float]]:
        """What each feature adds to a product's score, by product; nothing where `products` has nothing.

        Raises:
            InputError: the ranker's files are damaged.
        """
        ranker = self._ranker(versions)
        if ranker is None:
            return {}
        own = self._own_lines(context)
        return ranker.contributions(_setting(context), context["user"], own, context["as_of"], products)

    def _ranker(self, versions: Mapping[str, str]) -> ServedRanker | None:
        folder = self._models / versions[RANKER] / FOLDER if RANKER in versions else None
        return _opened(folder) if folder is not None and folder.is_dir() else None

    def _own_lines(self, context: Mapping[str, Any]) -> OwnLines:
        return OwnLines(**self._graph.wide("own_lines", user=context["user"], as_of=context["as_of"]))


def _setting(context: Mapping[str, Any]) -> str:
    if context["unbought_before"] is not None:
        return COLD
    return "novel" if context["novel"] else "all"


def joined(ranked: Sequence[RankedProduct], near: Sequence[Candidate], source: str, weight: float) -> list[Fused]:
    """Ranked products, with those that one more source offers fused in by rank.

    Args:
        near: what the source offers, best first.
        weight: of the source, that of the ranker being 1.
    """
    said = {item.id: item.sources or (RANKER,) for item in ranked}
    if not near:
        return [Fused(item.id, item.score, said[item.id], None, {RANKER: item.score}) for item in ranked]
    lists = {RANKER: [Candidate(item.id, item.score, None) for item in ranked], source: near}
    return [
        replace(item, sources=_told(item, said, source)) for item in fuse(lists, Blend({RANKER: 1.0, source: weight}))
    ]


def _told(item: Fused, said: Mapping[str, tuple[str, ...]], source: str) -> tuple[str, ...]:
    """The sources behind the ranker in its place."""
    return tuple(name for each in item.sources for name in ((source,) if each == source else said[item.id]))


@lru_cache(maxsize=2)
def _opened(folder: Path) -> ServedRanker:
    """Of the version that serves, and of the one before while requests that it answers are still under way."""
    return ServedRanker.load(folder)
