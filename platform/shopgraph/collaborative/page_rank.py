"""Personalised PageRank over users, products and what the catalogue says of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from shopgraph.collaborative.history import past_of, rows_summing_to_one, weighed
from shopgraph.dataset.purchases import Purchases
from shopgraph.evaluation import Scorer


@dataclass(frozen=True)
class PageRankConfig:
    """How the surfer goes about."""

    restart: float = 0.5
    """Probability of going back to the user before each step."""
    catalogue_share: float = 0.2
    """Probability of leaving a product for a node of the catalogue; the rest goes to its buyers."""
    rounds: int = 3
    """Visits to products that are followed, two steps apart; the surfers left over are (1 - restart)^(2 * rounds)."""
    half_life_weeks: float = 12.0
    """Age at which a purchase counts half."""
    power: float = 0.5
    """Power the decayed counts are taken to; 0 reads only who ever bought what."""


def fit_page_rank(
    purchases: Purchases, moment_ms: int, catalogue: sp.csr_array, config: PageRankConfig = PageRankConfig()
) -> Scorer:
    """Score products by how often a surfer that keeps starting from the user is found at them.

    A product without buyers, or without anything stated, sends all of its surfers the other way.

    Shapes:
        catalogue: (products, catalogue nodes), what is stated of each product

    Source: Haveliwala, Topic-sensitive PageRank (2002).
    """
    bought = weighed(past_of(purchases, moment_ms), moment_ms, config.half_life_weeks, config.power)
    to_products, from_products = _steps(bought, catalogue, config.catalogue_share)
    going_on = np.float32(1.0 - config.restart)

    def score(rows: np.ndarray) -> np.ndarray:
        others = np.zeros((to_products.shape[1], len(rows)), dtype=np.float32)
        others[rows, np.arange(len(rows))] = config.restart
        visits = products = going_on * (to_products @ others)
        for _ in range(config.rounds - 1):
            products = going_on**2 * (to_products @ (from_products @ products))
            visits = visits + products
        return np.ascontiguousarray(visits.T)

    return score


def _steps(bought: sp.csr_array, catalogue: sp.csr_array, catalogue_share: float) -> tuple[sp.csr_array, sp.csr_array]:
    """Where surfers go from users and catalogue nodes, always to products, and where they go from there.

    Shapes:
        returns: (products, users + catalogue nodes) and its like the other way, columns summing to 1 or to 0
    """
    by_product = sp.csr_array(bought.T)
    is_sold, is_stated = by_product.sum(axis=1) > 0, catalogue.sum(axis=1) > 0
    to_catalogue = np.where(is_sold, catalogue_share, 1.0) * is_stated
    to_buyers = sp.diags_array(1.0 - to_catalogue) @ rows_summing_to_one(by_product)
    to_stated = sp.diags_array(to_catalogue) @ rows_summing_to_one(catalogue)
    starts = sp.vstack([rows_summing_to_one(bought), rows_summing_to_one(sp.csr_array(catalogue.T))])
    return _columns_from(starts), _columns_from(sp.hstack([to_buyers, to_stated]))


def _columns_from(steps: sp.sparray) -> sp.csr_array:
    return sp.csr_array(steps.T).astype(np.float32)
