"""What the users most like a user bought."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from shopgraph.collaborative.history import past_of, scaled, weighed
from shopgraph.collaborative.neighbours import spread, strongest, without_self
from shopgraph.dataset.purchases import Purchases
from shopgraph.evaluation import Scorer


@dataclass(frozen=True)
class UserKnnConfig:
    """Who is asked, and how much."""

    neighbours: int = 50
    """Other users whose purchases are summed."""
    half_life_weeks: float = 12.0
    """Age at which a purchase counts half."""
    power: float = 0.5
    """Power the decayed counts are taken to; 0 reads only who ever bought what."""


def fit_user_knn(purchases: Purchases, moment_ms: int, config: UserKnnConfig = UserKnnConfig()) -> Scorer:
    """Score products by the cosines of the nearest other users who bought them.

    Source: Herlocker et al., An algorithmic framework for performing collaborative filtering (1999).
    """
    bought = weighed(past_of(purchases, moment_ms), moment_ms, config.half_life_weeks, config.power)
    lengths = np.sqrt(bought.multiply(bought).sum(axis=1))
    unit = scaled(bought, lengths, np.ones(bought.shape[1]))
    unit_by_product, by_product = sp.csr_array(unit.T), sp.csr_array(bought.T)

    def score(rows: np.ndarray) -> np.ndarray:
        cosines = without_self((unit[rows] @ unit_by_product).toarray(), rows)
        return spread(strongest(cosines, config.neighbours), by_product)

    return score
