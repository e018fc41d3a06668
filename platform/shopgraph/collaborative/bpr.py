"""Matrix factorisation that learns to rank what was bought above what was not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from shopgraph.collaborative.history import past_of
from shopgraph.dataset.purchases import Purchases
from shopgraph.evaluation import Scorer


@dataclass(frozen=True)
class BprConfig:
    """Size, strength and length of the training."""

    dimension: int = 64
    learning_rate: float = 0.002
    regularisation: float = 0.01
    """Weight of the squared lengths of the factors in each step."""
    epochs: int = 30


def fit_bpr(purchases: Purchases, moment_ms: int, config: BprConfig = BprConfig(), seed: int = 0) -> Scorer:
    """Score products by the inner product of user and product factors, a product's bias among them.

    One thread, because several would write over each other's steps and no run would come out like another.

    Source: Rendle et al., BPR: Bayesian personalized ranking from implicit feedback (2009).
    """
    from implicit.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        factors=config.dimension,
        learning_rate=config.learning_rate,
        regularization=config.regularisation,
        iterations=config.epochs,
        use_gpu=False,
        num_threads=1,
        random_state=seed,
    )
    model.fit(sp.csr_matrix(past_of(purchases, moment_ms).binary()), show_progress=False)
    users, products = model.user_factors, model.item_factors

    def score(rows: np.ndarray) -> np.ndarray:
        return users[rows] @ products.T

    return score
