"""Rows for a ranker: a setting's candidates at a moment with every feature, and whether they were bought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from shopgraph.dataset.purchases import found
from shopgraph.errors import InputError
from shopgraph.evaluation import Setting
from shopgraph.ranking.attribute_features import attribute_features
from shopgraph.ranking.candidates import Candidates
from shopgraph.ranking.facets import Facet
from shopgraph.ranking.features import Features
from shopgraph.ranking.market import Market
from shopgraph.ranking.past import Lines, Past
from shopgraph.ranking.popularity_features import popularity_features, price_features
from shopgraph.ranking.repeat_features import repeat_features


@dataclass(frozen=True)
class SampleConfig:
    """Which of a fold's rows are trained on; all rows of what is judged are kept."""

    negatives: int = 100
    """Rows of a user that were not bought, at most, each as likely as the next: were the best of them preferred, trees
    would learn that what the sources agree on is not bought. Those bought are all kept."""


@dataclass(frozen=True)
class Examples:
    """Rows that a ranker is trained on or asked about.

    Shapes:
        candidates: users and products of the rows
        features: (rows, features)
        labels: (rows,), bool, whether the user bought the product in the setting's window
    """

    candidates: Candidates
    features: Features
    labels: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    def without_groups(self, *groups: str) -> Examples:
        """The same rows without the columns of some groups; see `Features.without_groups`."""
        return Examples(self.candidates, self.features.without_groups(*groups), self.labels)

    def sampled(self, config: SampleConfig, seed: int = 0) -> Examples:
        """The rows of them that are trained on."""
        kept = _sampled(self.candidates, self.labels, config, seed)
        return Examples(self.candidates.chosen(kept), self.features.chosen(kept), self.labels[kept])


def make_examples(
    candidates: Candidates,
    setting: Setting,
    lines: Lines,
    facets: Sequence[Facet],
    moment_ms: int,
    sample: SampleConfig | None = None,
    seed: int = 0,
) -> Examples:
    """Candidates of a setting at a moment with their features.

    Args:
        candidates: of sources that were fitted on what happened before the moment.
        lines: may go on after the moment; what is at or after it is not read.
        sample: for training: keep only some of what was not bought.
    """
    labels = _labels(candidates, setting)
    if sample is not None:
        kept = _sampled(candidates, labels, sample, seed)
        candidates, labels = candidates.chosen(kept), labels[kept]
    past = Past.of(lines, moment_ms)
    features = pair_features(Market.of(past, facets), past, candidates.users, candidates.products)
    return Examples(candidates, Features.joined([candidates.scores, features]), labels)


def pair_features(market: Market, past: Past, users: np.ndarray, products: np.ndarray) -> Features:
    """Every feature that is not a source's: a row's values do not depend on which other rows are asked for.

    Of the lines in `past` a row's features are made of its own user's alone, so a user's own lines are enough, also
    those that are newer than the market.

    Shapes:
        users, products: (rows,)
    """
    return Features.joined(
        [
            popularity_features(market, products),
            repeat_features(market, past, users, products),
            price_features(market, past, users, products),
            attribute_features(market, past, users, products),
        ]
    )


def check_folds(folds: Sequence[Examples]) -> None:
    """Raises InputError where rankers can't learn from them: none, one without a purchase, or different features."""
    if not folds:
        raise InputError("a ranker needs at least one fold to be trained on")
    for place, fold in enumerate(folds):
        if not fold.labels.any():
            raise InputError(
                f"fold {place + 1} of {len(folds)} has nothing to learn from: none of its candidates was bought in the "
                "weeks that answer; take more candidates, a longer window or other moments"
            )
        if fold.features.names != folds[0].features.names:
            raise InputError(f"fold {place + 1} has other features than fold 1: give every fold the same sources")


def group_sizes(candidates: Candidates) -> np.ndarray:
    """(users with candidates,): rows of each, in their order."""
    sizes = np.diff(candidates.bounds)
    return sizes[sizes > 0]


def _labels(candidates: Candidates, setting: Setting) -> np.ndarray:
    truth, width = setting.truth.tocoo(), setting.truth.shape[1]
    user, product = (side.astype(np.int64) for side in truth.coords)
    return found(np.sort(user * width + product), candidates.users * width + candidates.products)[1]


def _sampled(candidates: Candidates, labels: np.ndarray, config: SampleConfig, seed: int) -> np.ndarray:
    """(rows,) bool: what was bought, and a random few of each user's other rows."""
    draw = np.where(labels, np.inf, np.random.default_rng(seed).random(len(labels)))
    order = np.lexsort((draw, candidates.users))
    place = np.empty(len(draw), dtype=np.int64)
    place[order] = np.arange(len(draw)) - np.searchsorted(candidates.users, candidates.users)
    return labels | (place < config.negatives)
