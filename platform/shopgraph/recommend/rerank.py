"""What happens once, after the sources: the last filters, the cut, and how unlike each other the products are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

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


def one_of_each(fused: Sequence[Fused], groups: Mapping[str, str], taken: Collection[str] = ()) -> list[Fused]:
    """The first of each group of variants, in their order.

    Args:
        groups: by product, what all its variants share; one that is not there has none.
        taken: groups that are shown elsewhere.
    """
    seen, kept = set(taken), list[Fused]()
    for item in fused:
        group = groups.get(item.id)
        if group is None or group not in seen:
            kept.append(item)
        if group is not None:
            seen.add(group)
    return kept


def explored(fused: Sequence[Fused], n: int, weight: float, listed: Mapping[str, int]) -> list[Fused]:
    """The list with the last of its first `n` places given to what few users would be shown.

    The first `n` are those of the greatest score + weight * spread / listed, spread being how far the scores of the
    first `n` lie apart: a product that one user's list alone names gains `weight` spreads, one that a thousand name
    next to nothing. Those that score alone puts there stay in front, in their order; what gives way comes next.

    Args:
        listed: users whose lists name a product; what is not there gains nothing.
    """
    if len(fused) <= n:
        return list(fused)
    spread = fused[0].score - fused[n - 1].score
    value = [item.score + weight * spread / listed[item.id] if listed.get(item.id) else item.score for item in fused]
    chosen = sorted(range(len(fused)), key=lambda place: (-value[place], place))[:n]
    front, back = sorted(place for place in chosen if place < n), [place for place in chosen if place >= n]
    rest = sorted(set(range(len(fused))) - set(chosen))
    return [fused[place] for place in (*front, *back, *rest)]


def diversified(
    fused: Sequence[Fused], vectors: Mapping[str, Sequence[float]], n: int, diversity: float
) -> list[Fused]:
    """`n` products by maximal marginal relevance, taken one after the other.

    Each is the one of greatest (1 - diversity) * relevance - diversity * likeness: relevance is where its score stands
    between the lowest (0) and the best (1), which holds for scores of any sign, likeness the greatest cosine to those
    taken before. One without a vector is like nothing.

    Args:
        vectors: of unit length, by id.
        diversity: 0 keeps the order, 1 looks at likeness alone once the first is taken.

    Source: Carbonell and Goldstein, "The use of MMR, diversity-based reranking", SIGIR 1998.
    """
    if not fused:
        return []
    width = max((len(vector) for vector in vectors.values()), default=0)
    matrix = np.array([vectors.get(item.id, [0.0] * width) for item in fused], np.float32).reshape(len(fused), width)
    scores = np.array([item.score for item in fused])
    spread = np.ptp(scores)
    relevance = (scores - scores.min()) / spread if spread else np.ones(len(fused))
    likeness, taken = np.zeros(len(fused)), list[int]()
    for _ in range(min(n, len(fused))):
        value = (1 - diversity) * relevance - diversity * likeness
        value[taken] = -np.inf
        taken.append(int(value.argmax()))
        likeness = np.maximum(likeness, matrix @ matrix[taken[-1]])
    return [fused[place] for place in taken]
