"""EASE: the linear model of each product by all others, solved exactly on the smaller side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from shopgraph.collaborative.history import past_of, weighed
from shopgraph.collaborative.neighbours import spread
from shopgraph.dataset.purchases import Purchases
from shopgraph.errors import ResourceError
from shopgraph.evaluation import Scorer

COLUMNS_AT_ONCE = 2_048


@dataclass(frozen=True)
class EaseConfig:
    """How strongly the weights are held down and what they are fitted to."""

    regularisation: float = 500.0
    """Added to the diagonal of the products' Gram matrix."""
    half_life_weeks: float = 40.0
    """Age at which a purchase counts half."""
    power: float = 0.5
    """Power the decayed counts are taken to; 0 reads only who ever bought what."""
    largest_side: int = 20_000
    """Users or products, whichever are fewer, up to which the dense inverse is attempted."""


def fit_ease(purchases: Purchases, moment_ms: int, config: EaseConfig = EaseConfig()) -> Scorer:
    """Score products by the closed-form weights of all other products.

    With G = X'X + rI, the weights are B = I - inv(G) / diag(inv(G)), the division by columns. Where users are fewer
    than products, the Woodbury identity moves the inverse to their side: with A = inv(XX' + rI), XB is
    X - r AX / (1 - diag(X'AX)).

    Raises:
        ResourceError: both users and products are more than `largest_side`.

    Source: Steck, Embarrassingly shallow autoencoders for sparse data (2019).
    """
    bought = weighed(past_of(purchases, moment_ms), moment_ms, config.half_life_weeks, config.power)
    if min(bought.shape) > config.largest_side:
        raise ResourceError(
            f"EASE inverts a dense matrix of {min(bought.shape):,} rows, more than largest_side = "
            f"{config.largest_side:,}; choose ials or raise it on a machine with the memory"
        )
    solve = _by_users if bought.shape[0] <= bought.shape[1] else _by_products
    return solve(bought, config.regularisation)


def _by_users(bought: sp.csr_array, regularisation: float) -> Scorer:
    by_product = sp.csr_array(bought.T)
    inverse = _inverse(bought @ by_product, regularisation)
    weight = (regularisation / (1.0 - _own_share(inverse, by_product))).astype(np.float32)

    def score(rows: np.ndarray) -> np.ndarray:
        return bought[rows].toarray() - spread(inverse[rows], by_product) * weight

    return score


def _by_products(bought: sp.csr_array, regularisation: float) -> Scorer:
    inverse = _inverse(sp.csr_array(bought.T) @ bought, regularisation)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)

    def score(rows: np.ndarray) -> np.ndarray:
        return bought[rows] @ weights

    return score


def _inverse(gram: sp.csr_array, regularisation: float) -> np.ndarray:
    """(n, n) symmetric -> the inverse of gram + regularisation * I, float32 of a float64 solution."""
    dense = gram.toarray().astype(np.float64)
    dense[np.diag_indices_from(dense)] += regularisation
    return scipy.linalg.inv(dense, overwrite_a=True, assume_a="pos").astype(np.float32)


def _own_share(inverse: np.ndarray, by_product: sp.csr_array) -> np.ndarray:
    """The diagonal of X'AX, (products,), a block of products at a time: AX as a whole is as large as all scores."""
    parts = []
    for first in range(0, by_product.shape[0], COLUMNS_AT_ONCE):
        block = by_product[first : first + COLUMNS_AT_ONCE]
        parts.append(block.multiply(block @ inverse).sum(axis=1))
    return np.concatenate(parts)
