"""What happens once, after the sources: the last filters, and the cut."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from shopgraph.recommend.fusion import Fused


def rerank(fused: Sequence[Fused], n: int, without: Collection[str]) -> list[Fused]:
    """The best `n` that are not in `without`, in their order."""
    barred = frozenset(without)
    kept: list[Fused] = []
    for item in fused:
        if len(kept) == n:
            break
        if item.id not in barred:
            kept.append(item)
    return kept
