"""Implicit-feedback matrix factorisation by alternating least squares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from shopgraph.collaborative.history import past_of, weighed
from shopgraph.dataset.purchases import Purchases
from shopgraph.evaluation import Scorer


@dataclass(frozen=True)
class IalsConfig:
    """Size, strength and length of the factorisation."""

    dimension: int = 64
    regularisation: float = 0.01
    """Weight of the squared lengths of all factors."""
    confidence: float = 1.0
    """Weight of a purchase; what was not bought weighs 1."""
    iterations: int = 15
    half_life_weeks: float = 12.0
    """Age at which a purchase counts half."""
    power: float = 0.0
    """Power the decayed counts are taken to; 0 reads only who ever bought what."""


def fit_ials(purchases: Purchases, moment_ms: int, config: IalsConfig = IalsConfig(), seed: int = 0) -> Scorer:
    """Score products by the inner product of user and product factors.

    Source: Hu, Koren and Volinsky, Collaborative filtering for implicit feedback datasets (2008).
    """
    from implicit.als import AlternatingLeastSquares

    bought = weighed(past_of(purchases, moment_ms), moment_ms, config.half_life_weeks, config.power)
    with threadpool_limits(1, "blas"):  # implicit starts threads of its own, and those of BLAS would get in their way
        model = AlternatingLeastSquares(
            factors=config.dimension,
            regularization=config.regularisation,
            alpha=config.confidence,
            iterations=config.iterations,
            use_gpu=False,
            random_state=seed,
        )
        model.fit(sp.csr_matrix(bought), show_progress=False)
    users, products = model.user_factors, model.item_factors

    def score(rows: np.ndarray) -> np.ndarray:
        return users[rows] @ products.T

    return score
