"""Which products a ranker is shown for a user, and what each source says of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from shopgraph.errors import InputError
from shopgraph.evaluation import Scorer, Setting
from shopgraph.ranking.features import Features

FitSources = Callable[[int], Mapping[str, Scorer]]
"""Scorers by name, fitted on nothing but what happened before a moment in milliseconds since 1970 UTC."""


def _known_groups() -> dict[str, str]:
    return {
        "graph": "graph",
        "text": "text",
        "page_rank": "attribute",
        "attribute_affinity": "attribute",
        "popularity": "popularity",
        "personal_frequency": "repeat",
    }


@dataclass(frozen=True)
class CandidateConfig:
    """How many products each source may name."""

    depth: int = 200
    """Products each source names for a user; all of the setting's are taken where there are no more."""
    depths: Mapping[str, int] = field(default_factory=dict)
    """The same for single sources."""
    groups: Mapping[str, str] = field(default_factory=_known_groups)
    """The group of a source's features; collaborative where none is stated."""
    users_at_once: int = 64
    """Users whose scores of all products, from all sources, are held at once."""


@dataclass(frozen=True)
class Candidates:
    """The products in question for each judged user.

    Shapes:
        judged: (judged users,), ascending
        users, products: (rows,), int64, ascending by user, then by product
        scores: (rows, 2 * sources), see `find_candidates`
    """

    judged: np.ndarray
    users: np.ndarray
    products: np.ndarray
    scores: Features

    def __len__(self) -> int:
        return len(self.users)

    @property
    def bounds(self) -> np.ndarray:
        """(judged users + 1,): the rows of judged user i are bounds[i] to bounds[i + 1]."""
        return np.searchsorted(self.users, np.append(self.judged, np.iinfo(np.int64).max))

    def chosen(self, rows: np.ndarray) -> Candidates:
        """Some rows, by ascending numbers or by a bool mask."""
        return Candidates(self.judged, self.users[rows], self.products[rows], self.scores.chosen(rows))


def find_candidates(
    setting: Setting, sources: Mapping[str, Scorer], config: CandidateConfig = CandidateConfig()
) -> Candidates:
    """The union of what the sources score highest among the products that the setting allows.

    A product that a source scores lowest is none of its candidates: it says nothing of it. Of each source there are
    two columns: its score, standardised over the user's candidates, and the logarithm of 1 + its rank among them, equal
    scores sharing the best.

    Raises:
        InputError: there is no source, or nobody to judge.
    """
    return find_candidates_of({setting.name: setting}, sources, config)[setting.name]


def find_candidates_of(
    settings: Mapping[str, Setting],
    sources: Mapping[str, Scorer],
    config: CandidateConfig = CandidateConfig(),
    without: Mapping[str, Collection[str]] = {},
) -> dict[str, Candidates]:
    """The same for several settings of one moment, every source asked once for each user.

    Args:
        without: by setting, sources that say nothing in it.

    Raises:
        InputError: there is no source, or nobody to judge in one of the settings.
    """
    heard = {name: [source for source in sources if source not in without.get(name, ())] for name in settings}
    for name, setting in settings.items():
        if not heard[name] or not len(setting.users):
            raise InputError(
                f"nothing to rank in the setting {setting.name}: no source, or no user with a true product"
            )
    parts: dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {name: [] for name in settings}
    users = np.unique(np.concatenate([setting.users for setting in settings.values()]))
    # sources wait for none of each other, and numpy and scipy let go of the interpreter while they compute
    with ThreadPoolExecutor(max_workers=min(len(sources), os.cpu_count() or 1)) as pool:
        for start in range(0, len(users), config.users_at_once):
            batch = users[start : start + config.users_at_once]
            found = pool.map(lambda score, batch=batch: np.asarray(score(batch), dtype=np.float32), sources.values())
            scores = dict(zip(sources, found, strict=True))
            for name, setting in settings.items():
                told = {source: scores[source] for source in heard[name]}
                parts[name].append(_of_batch(setting, batch, told, config, pool))
    return {name: _whole(setting, parts[name], heard[name], config) for name, setting in settings.items()}


def _of_batch(
    setting: Setting, batch: np.ndarray, scores: Mapping[str, np.ndarray], config: CandidateConfig, pool: Executor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Users, products and columns of the batch's rows."""
    kept, judged = np.flatnonzero(setting.candidates), np.flatnonzero(np.isin(batch, setting.users))
    allowed = ~np.take(setting.excluded[batch[judged]].toarray(), kept, axis=1)
    shown = {name: found[np.ix_(judged, kept)] for name, found in scores.items()}
    named = np.zeros(allowed.shape, dtype=bool)
    for best in pool.map(lambda name: _best(shown[name], allowed, config.depths.get(name, config.depth)), shown):
        named |= best
    row, column = np.nonzero(named)
    columns = [
        side for both in pool.map(lambda found: _standing(row, found[row, column]), shown.values()) for side in both
    ]
    return batch[judged[row]], kept[column], np.stack(columns, axis=1)


def _whole(
    setting: Setting,
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
    sources: list[str],
    config: CandidateConfig,
) -> Candidates:
    users, products, scores = (np.concatenate(side) for side in zip(*parts, strict=True))
    names = tuple(f"{source}_{kind}" for source in sources for kind in ("score", "rank"))
    groups = tuple(config.groups.get(source, "collaborative") for source in sources for _ in range(2))
    return Candidates(setting.users, users, products, Features(names, groups, scores))


def _best(scores: np.ndarray, allowed: np.ndarray, depth: int) -> np.ndarray:
    """(users, products) bool: the highest allowed scores of each row, equal ones in the order of their numbers.

    Those equal to the row's lowest are left out.
    """
    lowest = np.where(allowed, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    scores = np.where(allowed, scores, -np.inf)
    if depth >= scores.shape[1]:
        return scores > lowest
    # numpy selects values in a tenth of the time that it takes for their places
    threshold = np.partition(scores, -depth, axis=1)[:, -depth, None]
    above, tied = scores > threshold, scores == threshold
    room = depth - above.sum(axis=1, keepdims=True)
    crowded = np.flatnonzero(tied.sum(axis=1) > room[:, 0])
    tied[crowded] &= np.cumsum(tied[crowded], axis=1) <= room[crowded]
    return (above | tied) & (scores > lowest)


def _standing(row: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard scores and logarithms of 1 + rank within equal values of `row`, which ascends; ranks count from 0."""
    users = int(row[-1]) + 1 if len(row) else 0
    size = np.maximum(np.bincount(row, minlength=users), 1)
    mean = np.bincount(row, scores, users) / size
    centred = scores - mean[row]
    deviation = np.sqrt(np.bincount(row, centred**2, users) / size)
    deviation[deviation < 1e-12] = 1.0
    order = np.lexsort((-scores, row))
    place, first = np.arange(len(row)), np.ones(len(row), dtype=bool)
    first[1:] = (np.diff(scores[order]) != 0) | (np.diff(row[order]) != 0)
    rank = np.empty(len(row))
    begins = np.searchsorted(row, row[order])
    rank[order] = np.maximum.accumulate(np.where(first, place, 0)) - begins
    return (centred / deviation[row]).astype(np.float32), np.log1p(rank).astype(np.float32)
