"""Temporal item frequencies with user neighbours: baskets fade within groups and groups fade in turn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from shopgraph.collaborative.history import basket_ages, past_of
from shopgraph.collaborative.neighbours import spread, strongest, without_self
from shopgraph.dataset.purchases import Purchases
from shopgraph.evaluation import Scorer


@dataclass(frozen=True)
class TifuKnnConfig:
    """How baskets fade and how much the neighbours say."""

    groups: int = 12
    """Groups a user's baskets are cut into, equally large but for the oldest."""
    basket_decay: float = 0.9
    """Weight of a basket against the next later one of its group."""
    group_decay: float = 0.8
    """Weight of a group against the next later one."""
    neighbours: int = 300
    """Other users whose vectors are averaged."""
    own_share: float = 0.5
    """Weight of the user's own vector; the neighbours' mean has the rest of 1."""
    basket_hours: float = 24.0
    """Lines of one user within the same window of so many hours are one basket."""


def fit_tifu_knn(purchases: Purchases, moment_ms: int, config: TifuKnnConfig = TifuKnnConfig()) -> Scorer:
    """Score products by the user's own faded frequencies and the mean of those of its nearest users.

    Source: Hu et al., Modeling personalized item frequency information for next-basket recommendation (2020).
    """
    vectors = faded_frequencies(past_of(purchases, moment_ms), config)
    by_product = sp.csr_array(vectors.T)
    lengths = vectors.multiply(vectors).sum(axis=1)

    def score(rows: np.ndarray) -> np.ndarray:
        own = vectors[rows]
        squared_distance = lengths[rows][:, None] + lengths - 2 * (own @ by_product).toarray()
        # the nearest have the greatest of these; all stay above zero, so that none is lost
        closeness = 1.0 / (1.0 + np.maximum(squared_distance, 0.0))
        nearest = strongest(without_self(closeness, rows), config.neighbours)
        found = np.maximum(np.diff(nearest.indptr), 1)
        nearest.data = np.repeat((1.0 - config.own_share) / found, np.diff(nearest.indptr)).astype(np.float32)
        return spread(nearest, by_product) + own.toarray() * np.float32(config.own_share)

    return score


def faded_frequencies(past: Purchases, config: TifuKnnConfig) -> sp.csr_array:
    """(users, products): basket_decay^(later baskets in the group) / baskets in it, averaged over the groups by
    group_decay^(later groups).
    """
    age, baskets = basket_ages(past, config.basket_hours)
    size = np.ceil(baskets / config.groups).astype(np.int64)[past.users]
    total = baskets[past.users]
    group, place = age // size, age % size
    in_group = np.minimum(size, total - group * size)
    groups = np.ceil(total / size)
    weight = config.basket_decay**place / in_group * config.group_decay**group / groups
    lines = np.stack([past.users * past.product_count + past.products, age])
    # a product twice in one basket is in it once
    first = np.unique(lines, axis=1, return_index=True)[1]
    known, pair = np.unique(lines[0, first], return_inverse=True)
    return past.matrix(known, np.bincount(pair, weight[first]))
