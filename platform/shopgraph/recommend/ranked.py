"""The learned fusion: a release's ranker over its lists and what the user did since, where a release names one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from shopgraph.graph.connection import Graph
from shopgraph.ranking.served import COLD, FOLDER, RankedProduct, ServedRanker
from shopgraph.recommend.candidate import Candidate
from shopgraph.recommend.filters import Filters, allowed
from shopgraph.recommend.fusion import Blend, Fused, fuse
from shopgraph.recommend.opened import opened_once
from shopgraph.recommend.rerank import explored
from shopgraph.recommend.standing import Standing
from shopgraph.schema import RANKER


class LearnedFusion:
    """Ranks by the version that serves.

    Args:
        models: the folder of all model versions.
    """

    def __init__(self, graph: Graph, models: Path) -> None:
        self._graph = graph
        self._models = models

    def has(self, version: str) -> bool:
        """Whether a version's files are on this machine."""
        return (self._models / version / FOLDER).is_dir()

    def products(
        self, standing: Standing, context: Mapping[str, Any], filters: Filters, enough: int | None = None
    ) -> list[RankedProduct]:
        """The user's best products that may be shown now, as many as `enough`, by default `limit`.

        Nothing where the release names no ranker, where its files are not on this machine, and where it does not know
        the user: rank fusion answers then.

        Args:
            context: what sources are asked with, see `PARAMETERS`.

        Raises:
            InputError: the ranker's files are damaged.
        """
        ranker = self._ranker(standing)
        if ranker is None:
            return []
        own, setting = standing.own, _setting(context)
        most = min(enough or context["limit"], context["limit"])
        others = [] if setting == COLD else [*context["session"], *ranker.unlisted(own)]
        found = ranker.ranked(setting, context["user"], own, standing.as_of, others, context["without"])
        kept: list[RankedProduct] = []
        for start in range(0, len(found), most):
            asked = found[start : start + most]
            passing = allowed(self._graph, [item.id for item in asked], filters)
            kept += [item for item in asked if item.id in passing]
            if len(kept) >= most:
                break
        return kept[:most]

    def contributions(
        self, standing: Standing, context: Mapping[str, Any], products: Sequence[str]
    ) -> dict[str, dict[str, float]]:
        """What each feature adds to a product's score, by product; nothing where `products` has nothing.

        Raises:
            InputError: the ranker's files are damaged.
        """
        ranker = self._ranker(standing)
        if ranker is None:
            return {}
        return ranker.contributions(_setting(context), context["user"], standing.own, standing.as_of, products)

    def leanings(
        self, standing: Standing, context: Mapping[str, Any], products: Sequence[str], purchases: Sequence[str]
    ) -> dict[str, dict[str, float]]:
        """See `ServedRanker.leanings`.

        Raises:
            InputError: the ranker's files are damaged.
        """
        ranker = self._ranker(standing)
        if ranker is None:
            return {}
        own, moment = standing.own, standing.as_of
        return ranker.leanings(_setting(context), context["user"], own, moment, products, purchases)

    def explored(
        self, best: Sequence[Fused], n: int, weight: float, standing: Standing, context: Mapping[str, Any]
    ) -> list[Fused]:
        """See `explored`; of what the ranker ranked.

        Raises:
            InputError: the ranker's files are damaged.
        """
        ranker, products = self._ranker(standing), [item.id for item in best if RANKER in item.shares]
        return explored(best, n, weight, ranker.listed(_setting(context), products)) if ranker else list(best)

    def unknown(self, offered: Sequence[Candidate], standing: Standing) -> list[Candidate | None]:
        """Those that came after the ranker was trained, which it can't rank, at their ranks among all."""
        ranker = self._ranker(standing)
        known = ranker.products.known(item.id for item in offered) if ranker else {}
        return [None if item.id in known else item for item in offered]

    def _ranker(self, standing: Standing) -> ServedRanker | None:
        version = standing.versions.get(RANKER)
        folder = self._models / version / FOLDER if version else None
        return _opened(folder) if folder is not None and folder.is_dir() else None


def _setting(context: Mapping[str, Any]) -> str:
    if context["unbought_before"] is not None:
        return COLD
    return "novel" if context["novel"] else "all"


def joined(
    ranked: Sequence[RankedProduct], beside: Mapping[str, Sequence[Candidate | None]], blend: Blend
) -> list[Fused]:
    """Ranked products, with those that more sources offer fused in by rank.

    Args:
        beside: what each source offers, see `fuse`.
        blend: what each weighs, that of the ranker being 1.
    """
    said = {item.id: item.sources or (RANKER,) for item in ranked}
    if not any(item for offered in beside.values() for item in offered):
        return [Fused(item.id, item.score, said[item.id], None, {RANKER: item.score}) for item in ranked]
    lists = {RANKER: [Candidate(item.id, item.score, None) for item in ranked], **beside}
    weights = {RANKER: 1.0, **{source: blend.weights[source] for source in beside}}
    return [replace(item, sources=_told(item, said)) for item in fuse(lists, Blend(weights))]


def _told(item: Fused, said: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The sources behind the ranker in its place."""
    return tuple(name for each in item.sources for name in (said[item.id] if each == RANKER else (each,)))


@opened_once
def _opened(folder: Path) -> ServedRanker:
    return ServedRanker.load(folder)
