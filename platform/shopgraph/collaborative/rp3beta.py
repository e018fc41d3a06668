"""Where three random steps over purchases lead, popular products held back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from shopgraph.collaborative.history import past_of, rows_summing_to_one, weighed
from shopgraph.collaborative.neighbours import spread
from shopgraph.dataset.purchases import Purchases
from shopgraph.evaluation import Scorer


@dataclass(frozen=True)
class Rp3BetaConfig:
    """How the walk goes and how it is corrected."""

    alpha: float = 1.0
    """Power of each step's probability; over 1 prefers narrow ways."""
    beta: float = 0.2
    """Power of a product's number of buyers that divides its score; 0 is the plain walk."""
    half_life_weeks: float = 26.0
    """Age at which a purchase counts half."""
    power: float = 0.5
    """Power the decayed counts are taken to; 0 reads only who ever bought what."""


def fit_rp3beta(purchases: Purchases, moment_ms: int, config: Rp3BetaConfig = Rp3BetaConfig()) -> Scorer:
    """Score products by the probability that user, product, user, product ends there, over buyers^beta.

    All three steps are taken when asked, exactly: the product-to-product matrix would be far larger than the
    purchases it is made of.

    Source: Paudel et al., Updatable, accurate, diverse, and scalable recommendations for interactive applications
    (2017), the RP3 with a beta.
    """
    past = past_of(purchases, moment_ms)
    bought = weighed(past, moment_ms, config.half_life_weeks, config.power)
    buyers = np.maximum(past.buyers(), 1).astype(np.float32)
    to_products = rows_summing_to_one(bought).power(config.alpha)
    to_users = rows_summing_to_one(sp.csr_array(bought.T)).power(config.alpha)
    last_step, damping = sp.csr_array(to_products.T), buyers**config.beta

    def score(rows: np.ndarray) -> np.ndarray:
        return spread(to_products[rows] @ to_users, last_step) / damping

    return score
