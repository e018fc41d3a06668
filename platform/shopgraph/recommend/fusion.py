"""Reciprocal rank fusion: many ranked lists into one, by arithmetic on ranks alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from shopgraph.recommend.candidate import Candidate


def _weights(**weights: float) -> Mapping[str, float]:
    return MappingProxyType(weights)


@dataclass(frozen=True)
class FusionConfig:
    """Which sources speak in which setting, and how loudly; tuned on the validation weeks of the protocol."""

    rank_offset: float = 60.0
    """Added to each rank: the larger, the more a second opinion counts against a first place (60 in the paper)."""
    repeat: Mapping[str, float] = field(
        default_factory=lambda: _weights(
            repeat_purchases=1.0, bought_together=0.2, graph_neighbours=0.2, category_favourites=0.1, popular_lately=0.1
        )
    )
    """Weights where products the user owns may come again."""
    novel: Mapping[str, float] = field(
        default_factory=lambda: _weights(
            graph_neighbours=1.0, bought_together=0.5, category_favourites=0.7, popular_lately=0.7, text_neighbours=0.1
        )
    )
    """Weights where they may not."""
    session: float = 1.0
    """Weight of session_neighbours beside the others when a session is given."""
    similar: Mapping[str, float] = field(
        default_factory=lambda: _weights(similar_baskets=1.0, similar_graph=1.0, similar_text=0.7)
    )
    """Weights for products like one product."""


@dataclass(frozen=True)
class Fused:
    """One product after fusion, with the sources that offered it, the loudest first."""

    id: str
    score: float
    sources: tuple[str, ...]
    via: str | None


def fuse(lists: Mapping[str, Sequence[Candidate]], weights: Mapping[str, float], rank_offset: float) -> list[Fused]:
    """Score each product by the sum over sources of weight / (rank_offset + rank), ranks counted from 1.

    Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual rank learning methods",
    SIGIR 2009; the weights are ours. Ties go by id.
    """
    shares: dict[str, list[tuple[float, str, str | None]]] = {}
    for source, candidates in lists.items():
        for rank, candidate in enumerate(candidates, start=1):
            share = weights[source] / (rank_offset + rank)
            shares.setdefault(candidate.id, []).append((share, source, candidate.via))
    fused = []
    for item, parts in shares.items():
        loudest = sorted(parts, key=lambda part: (-part[0], part[1]))
        via = next((via for _, _, via in loudest if via is not None and via != item), None)
        fused.append(Fused(item, sum(share for share, _, _ in parts), tuple(name for _, name, _ in loudest), via))
    return sorted(fused, key=lambda item: (-item.score, item.id))
