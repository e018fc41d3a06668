"""Retrieval: the sources of a blend asked at the same time, and their lists fused into one."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from shopgraph.graph.connection import Graph
from shopgraph.recommend.candidate import Sources
from shopgraph.recommend.filters import ANYTHING
from shopgraph.recommend.fusion import Blend, Fused, FusionConfig, fuse
from shopgraph.recommend.standing import Standing

EXPLORED_AMONG = 12
"""Times as many products as a page holds, among which those are that few are shown."""
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
    """Share of a page's places, its last, for what the ranker names for few, where what is owned is left out; see
    `explored`. A tenth takes 2.3 % of NDCG@20 and shows 2.5 times as many products (weeks 45 to 48)."""
    fusion: FusionConfig = field(default_factory=FusionConfig)


class Retrieval:
    """Asks the sources of a catalogue of queries.

    Raises:
        ConfigurationError: the fusion names a source that has no query file.
    """

    def __init__(self, graph: Graph, config: RecommendConfig) -> None:
        self.sources = Sources(graph)
        self.sources.require(sorted(config.fusion.sources))
        self._config = config
        self._asked = ThreadPoolExecutor(thread_name_prefix="source")

    def fused(self, blend: Blend, context: Mapping[str, Any], standing: Standing) -> list[Fused]:
        """Each source is a read of its own, and waiting is most of it: they are asked at the same time."""
        offered = self._asked.map(
            lambda source: self.sources.candidates(source, context, standing.slots), blend.sources
        )
        return fuse(dict(zip(blend.sources, offered, strict=True)), blend)

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
            **ANYTHING.bounds,
            **subject,
        }
