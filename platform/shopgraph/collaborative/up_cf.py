"""Repeat- and recency-aware user neighbours: what a user and those like it put into their latest baskets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from shopgraph.collaborative.history import basket_ages, past_of, scaled
from shopgraph.collaborative.neighbours import spread, strongest
from shopgraph.dataset.purchases import Purchases
from shopgraph.evaluation import Scorer


@dataclass(frozen=True)
class UpCfConfig:
    """Which baskets are read and whose."""

    recent_baskets: int = 25
    """Each user's latest baskets, whose shares are the popularity of a product with that user: the r of UP-CF@r."""
    asymmetry: float = 0.5
    """Power of the asking user's number of products in the cosine's divisor, the other's having the rest of 1."""
    locality: float = 3.0
    """Power of the likeness: the greater, the more the nearest users count, the user itself first of all."""
    neighbours: int = 300
    """Users asked, the user itself among them."""
    basket_hours: float = 24.0
    """Lines of one user within the same window of so many hours are one basket."""


def fit_up_cf(purchases: Purchases, moment_ms: int, config: UpCfConfig = UpCfConfig()) -> Scorer:
    """Score a product by the share of recent baskets that hold it, summed over users by likeness^locality.

    Source: Faggioli, Polato and Aiolli, Recency aware collaborative filtering for next basket recommendation (2020).
    """
    past = past_of(purchases, moment_ms)
    bought = past.binary()
    sizes = bought.sum(axis=1)
    asking = scaled(bought, sizes**config.asymmetry, np.ones(bought.shape[1]))
    asked = sp.csr_array(scaled(bought, sizes ** (1 - config.asymmetry), np.ones(bought.shape[1])).T)
    by_product = sp.csr_array(_recent_shares(past, config).T)

    def score(rows: np.ndarray) -> np.ndarray:
        likeness = (asking[rows] @ asked).toarray() ** config.locality
        return spread(strongest(likeness, config.neighbours), by_product)

    return score


def _recent_shares(past: Purchases, config: UpCfConfig) -> sp.csr_array:
    """(users, products): the share of a user's latest baskets that hold a product."""
    age, baskets = basket_ages(past, config.basket_hours)
    recent = age < config.recent_baskets
    line = past.chosen(recent)
    # a product twice in one basket is in it once
    held = np.unique(np.stack([line.users * past.product_count + line.products, age[recent]]), axis=1)[0]
    known, times = np.unique(held, return_counts=True)
    read = np.minimum(baskets, config.recent_baskets)[known // past.product_count]
    return past.matrix(known, times / read)
