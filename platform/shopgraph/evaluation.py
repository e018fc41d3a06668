"""How recommendations are judged: full ranking, time-split truth, and figures a person can work out by hand.

Recall@k is hits over true items. NDCG@k discounts the hit at rank r by 1 / log2(r + 1) and divides by the best value
that min(k, true items) hits can have. MRR@k is one over the rank of the first hit within k. Each is a mean over the
users with at least one true item. Coverage@k is the share of the candidates that anyone was shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

DEPTH = 20
NO_ITEM = -1
"""Fills a ranking whose candidates run out."""

Scorer = Callable[[np.ndarray], np.ndarray]
"""Scores of some users: (users,) row numbers -> (users, items) float."""


@dataclass(frozen=True)
class Setting:
    """What counts as a right answer, and what may be answered.

    Shapes:
        truth: (users, items), bool
        excluded: (users, items), bool, items taken out of a user's candidates
        candidates: (items,), bool
    """

    name: str
    truth: sp.csr_array
    excluded: sp.csr_array
    candidates: np.ndarray

    @property
    def users(self) -> np.ndarray:
        """Rows of the users who are judged: those with at least one true item."""
        return np.flatnonzero(np.diff(self.truth.indptr))


@dataclass(frozen=True)
class Figures:
    """Figures of one model in one setting, kept by user so that models can be compared in pairs.

    Shapes:
        users: (judged,), row numbers
        recall, ndcg, mrr: (judged,)
    """

    users: np.ndarray
    recall: np.ndarray
    ndcg: np.ndarray
    mrr: np.ndarray
    coverage: float

    def means(self, depth: int = DEPTH) -> dict[str, float]:
        return {
            f"recall@{depth}": float(self.recall.mean()),
            f"ndcg@{depth}": float(self.ndcg.mean()),
            f"mrr@{depth}": float(self.mrr.mean()),
            f"coverage@{depth}": self.coverage,
            "users": float(len(self.users)),
        }


@dataclass(frozen=True)
class Comparison:
    """Mean difference over users, its 95 % interval, and the share of resamples in which it is not above zero."""

    difference: float
    low: float
    high: float
    p_not_better: float


def pairs(users: np.ndarray, items: np.ndarray, shape: tuple[int, int]) -> sp.csr_array:
    """Distinct (user, item) pairs as a bool matrix.

    Shapes:
        users, items: (events,), row and column numbers, repeats allowed
    """
    matrix = sp.coo_array((np.ones(len(users), dtype=np.int32), (users, items)), shape=shape).tocsr()
    matrix.sum_duplicates()
    return matrix.astype(bool)


def protocol(seen: sp.csr_array, later: sp.csr_array, debuts: np.ndarray | None = None) -> dict[str, Setting]:
    """The settings that later purchases are judged in.

    **all**: every item bought before, repeats count. **novel**: a user's known items leave candidates and truth.
    **cold**: only items first sold later, ranked among themselves.

    Args:
        seen: what each user bought before the cut.
        later: what each user bought in the weeks judged.
        debuts: (items,), bool, the cold candidates; by default the items of `later` that nobody bought before.
    """
    known = _column_any(seen)
    cold = ~known & (_column_any(later) if debuts is None else debuts)
    nothing = sp.csr_array(seen.shape, dtype=bool)
    repeated = later.multiply(seen)
    return {
        "all": Setting("all", _columns(later, known), nothing, known),
        "novel": Setting("novel", _columns(_minus(later, repeated), known), seen, known),
        "cold": Setting("cold", _columns(later, cold), nothing, cold),
    }


def evaluate(score: Scorer, setting: Setting, depth: int = DEPTH, batch: int = 256) -> Figures:
    """Rank every candidate for every judged user and take the figures."""
    found = list(_rankings(score, setting, depth, batch)) or [np.empty((0, depth), dtype=np.int64)]
    return figures(np.concatenate(found), setting)


def figures(ranked: np.ndarray, setting: Setting) -> Figures:
    """The figures of lists that were made elsewhere.

    Shapes:
        ranked: (judged users, depth), item numbers best first, `NO_ITEM` where a list runs out
    """
    users = setting.users
    hits, sizes = hits_of(ranked, setting.truth[users]), np.diff(setting.truth.indptr)[users]
    return Figures(
        users=users,
        recall=recall_at(hits, sizes),
        ndcg=ndcg_at(hits, sizes),
        mrr=mrr_at(hits),
        coverage=coverage_at(ranked, int(setting.candidates.sum())),
    )


def by_segment(found: Figures, segments: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Means over the judged users of each segment; one without any is left out.

    Shapes:
        segments[name]: (users,), bool
    """
    judged = {name: members[found.users] for name, members in segments.items()}
    return {
        name: {
            "users": int(members.sum()),
            f"recall@{DEPTH}": float(found.recall[members].mean()),
            f"ndcg@{DEPTH}": float(found.ndcg[members].mean()),
            f"mrr@{DEPTH}": float(found.mrr[members].mean()),
        }
        for name, members in judged.items()
        if members.any()
    }


def top(scores: np.ndarray, depth: int = DEPTH) -> np.ndarray:
    """The best items of each row, equal scores in the order of their numbers; minus infinity is never shown.

    Shapes:
        scores: (users, items)
        returns: (users, depth), int64, `NO_ITEM` where a row runs out
    """
    ranked = np.full((len(scores), depth), NO_ITEM, dtype=np.int64)
    cut = min(depth, scores.shape[1])
    if cut == 0:
        return ranked
    thresholds = np.partition(scores, -cut, axis=1)[:, -cut]
    for row, threshold in enumerate(thresholds):
        found = np.flatnonzero((scores[row] >= threshold) & (scores[row] > -np.inf))
        found = found[np.argsort(-scores[row, found], kind="stable")][:cut]
        ranked[row, : len(found)] = found
    return ranked


def hits_of(ranked: np.ndarray, truth: sp.csr_array) -> np.ndarray:
    """Which ranks are right: (users, depth) item numbers and (users, items) truth -> (users, depth) bool."""
    width = truth.shape[1]
    rows = np.repeat(np.arange(truth.shape[0], dtype=np.int64), np.diff(truth.indptr))
    keys = np.arange(len(ranked), dtype=np.int64)[:, None] * width + ranked
    return np.isin(keys, rows * width + truth.indices) & (ranked != NO_ITEM)


def recall_at(hits: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(users, depth) bool and (users,) numbers of true items -> (users,)."""
    return hits.sum(axis=1) / sizes


def ndcg_at(hits: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(users, depth) bool and (users,) numbers of true items -> (users,)."""
    depth = hits.shape[1]
    discounts = 1.0 / np.log2(np.arange(2, depth + 2))
    ideal = np.cumsum(discounts)[np.minimum(sizes, depth) - 1]
    return hits @ discounts / ideal


def mrr_at(hits: np.ndarray) -> np.ndarray:
    """(users, depth) bool -> (users,)."""
    return np.where(hits.any(axis=1), 1.0 / (1 + hits.argmax(axis=1)), 0.0)


def coverage_at(ranked: np.ndarray, candidates: int) -> float:
    """Distinct items shown to anyone over the number of candidates."""
    shown = np.unique(ranked[ranked != NO_ITEM])
    return len(shown) / candidates if candidates else 0.0


def recent_buyers(
    users: np.ndarray, items: np.ndarray, times: np.ndarray, since: object, items_total: int
) -> np.ndarray:
    """Popularity: distinct buyers of each item from `since` on; a user's repeats count once.

    Shapes:
        users, items, times: (events,); `times` and `since` need only compare
        returns: (items_total,), float
    """
    recent = times >= since
    distinct = np.unique(np.stack([users[recent], items[recent]]), axis=1)[1]
    return np.bincount(distinct, minlength=items_total).astype(float)


def paired_bootstrap(ours: np.ndarray, theirs: np.ndarray, seed: int, samples: int = 10_000) -> Comparison:
    """Resample users with replacement and compare the mean difference.

    Shapes:
        ours, theirs: (users,), the same metric of the same users in the same order

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), the percentile interval.
    """
    differences = ours - theirs
    random = np.random.default_rng(seed)
    size, block = len(differences), max(1, 2_000_000 // max(1, len(differences)))
    means = np.concatenate(
        [
            differences[random.integers(0, size, (min(block, samples - start), size))].mean(axis=1)
            for start in range(0, samples, block)
        ]
    )
    low, high = np.quantile(means, [0.025, 0.975])
    return Comparison(float(differences.mean()), float(low), float(high), float((means <= 0).mean()))


def graded_ndcg(scores: np.ndarray, gains: np.ndarray, k: int = 10) -> np.ndarray:
    """NDCG@k of each query, with stated gains: DCG = sum of gain / log2(1 + place), by the best one possible.

    Equal scores rank by product number (Järvelin and Kekäläinen 2002).

    Shapes:
        scores, gains: (queries, products); gains of 0 and more, at least one above 0 a query
        returns: (queries,), 0 to 1
    """
    discounts = 1 / np.log2(np.arange(2, k + 2))
    found = np.take_along_axis(gains, np.argsort(-scores, axis=1, kind="stable")[:, :k], axis=1)
    best = -np.sort(-gains, axis=1)[:, :k]
    width = found.shape[1]
    return (found @ discounts[:width]) / (best @ discounts[:width])


def _rankings(score: Scorer, setting: Setting, depth: int, batch: int) -> Iterator[np.ndarray]:
    users = setting.users
    kept = np.flatnonzero(setting.candidates)
    place = np.full(len(setting.candidates), NO_ITEM)
    place[kept] = np.arange(len(kept))
    for start in range(0, len(users), batch):
        rows = users[start : start + batch]
        scores = np.take(
            np.asarray(score(rows), dtype=np.float32), kept, axis=1
        )  # unlike [:, kept], rows stay together
        owner, item = setting.excluded[rows].nonzero()
        among = place[item] != NO_ITEM
        scores[owner[among], place[item[among]]] = -np.inf
        best = top(scores, depth)
        yield np.where(best == NO_ITEM, NO_ITEM, kept[best])


def _column_any(matrix: sp.csr_array) -> np.ndarray:
    return np.bincount(matrix.indices, minlength=matrix.shape[1]) > 0


def _columns(matrix: sp.csr_array, kept: np.ndarray) -> sp.csr_array:
    coo = matrix.tocoo()
    row, column = coo.coords
    return pairs(row[kept[column]], column[kept[column]], matrix.shape)


def _minus(left: sp.csr_array, right: sp.csr_array) -> sp.csr_array:
    """Pairs of `left` that are not in `right`, a subset of it."""
    difference = sp.csr_array(left.astype(np.int8) - right.astype(np.int8))
    difference.eliminate_zeros()
    return difference.astype(bool)
