"""What most people bought lately, the same for everyone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shopgraph.collaborative.history import past_of
from shopgraph.dataset.purchases import WEEK_MS, Purchases
from shopgraph.evaluation import Scorer


@dataclass(frozen=True)
class PopularityConfig:
    """What counts as lately."""

    weeks: float = 4.0
    """Weeks before the moment whose distinct buyers are counted."""


def fit_popularity(purchases: Purchases, moment_ms: int, config: PopularityConfig = PopularityConfig()) -> Scorer:
    """Score products by their distinct buyers of the last weeks."""
    lately = recent_buyers(past_of(purchases, moment_ms), moment_ms, config.weeks)

    def score(rows: np.ndarray) -> np.ndarray:
        return np.tile(lately, (len(rows), 1))

    return score


def recent_buyers(past: Purchases, moment_ms: int, weeks: float) -> np.ndarray:
    """(products,), float32: distinct buyers since so many weeks before the moment."""
    return past.since(moment_ms - round(weeks * WEEK_MS)).buyers().astype(np.float32)
