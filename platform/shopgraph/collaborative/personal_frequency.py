"""What a user buys most often, old purchases counting less; then what everybody buys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shopgraph.collaborative.history import past_of, weighed
from shopgraph.collaborative.popularity import recent_buyers
from shopgraph.dataset.purchases import Purchases
from shopgraph.evaluation import Scorer

TIE = 1e-6
"""Most that popularity adds to a count: less than a single purchase of 19 half-lives ago."""


@dataclass(frozen=True)
class PersonalFrequencyConfig:
    """How counts fade, and what breaks their ties."""

    half_life_weeks: float = 12.0
    """Age at which a purchase counts half."""
    popularity_weeks: float = 4.0
    """Weeks whose buyers order what a user never bought."""


def fit_personal_frequency(
    purchases: Purchases, moment_ms: int, config: PersonalFrequencyConfig = PersonalFrequencyConfig()
) -> Scorer:
    """Score products by the user's own decayed purchases, ties by popularity.

    A product that the user bought n times, t_1 ... t_n weeks ago, scores the sum of 2^(-t / half-life).
    """
    past = past_of(purchases, moment_ms)
    counts = weighed(past, moment_ms, config.half_life_weeks, power=1.0)
    lately = recent_buyers(past, moment_ms, config.popularity_weeks)
    ties = TIE * lately / max(1.0, float(lately.max()))

    def score(rows: np.ndarray) -> np.ndarray:
        return counts[rows].toarray() + ties

    return score
