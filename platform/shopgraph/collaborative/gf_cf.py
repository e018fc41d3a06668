"""Graph filters in closed form: a linear and an ideal low-pass filter over the products' co-purchase graph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import svds

from shopgraph.collaborative.history import past_of, scaled, weighed
from shopgraph.collaborative.neighbours import spread
from shopgraph.dataset.purchases import Purchases
from shopgraph.evaluation import Scorer


@dataclass(frozen=True)
class GfCfConfig:
    """What the filters let through."""

    dimension: int = 128
    """Singular vectors that the ideal filter keeps."""
    ideal_weight: float = 0.1
    """Weight of the ideal filter beside the linear one."""
    half_life_weeks: float = 12.0
    """Age at which a purchase counts half."""
    power: float = 0.5
    """Power the decayed counts are taken to; 0 reads only who ever bought what."""


def fit_gf_cf(purchases: Purchases, moment_ms: int, config: GfCfConfig = GfCfConfig(), seed: int = 0) -> Scorer:
    """Score products by a user's purchases after both filters.

    With N = Du^-1/2 X Di^-1/2 and V its first right singular vectors, the scores are
    X (N'N + weight * Di^-1/2 V V' Di^1/2).

    Source: Shen et al., How powerful is graph convolution for recommendation? (2021).
    """
    bought = weighed(past_of(purchases, moment_ms), moment_ms, config.half_life_weeks, config.power)
    user_root, product_root = (np.sqrt(bought.sum(axis=axis)) for axis in (1, 0))
    normalised = scaled(bought, user_root, product_root)
    by_product = sp.csr_array(normalised.T)
    vectors = _right_vectors(normalised, config.dimension, seed)
    # Di^-1/2 V, and V' Di^1/2
    into = (scaled(bought, np.ones(bought.shape[0]), product_root) @ vectors).astype(np.float32)
    out = np.ascontiguousarray(vectors.T * product_root, dtype=np.float32) * np.float32(config.ideal_weight)

    def score(rows: np.ndarray) -> np.ndarray:
        linear = spread(bought[rows] @ by_product, by_product)
        return linear + into[rows] @ out

    return score


def _right_vectors(matrix: sp.csr_array, dimension: int, seed: int) -> np.ndarray:
    """(products, at most `dimension`): a matrix has no more useful ones than its shorter side less one."""
    size = min(dimension, min(matrix.shape) - 1)
    if size < 1:
        return np.zeros((matrix.shape[1], 0), dtype=np.float32)
    start = np.random.default_rng(seed).normal(size=min(matrix.shape))
    return svds(matrix.astype(np.float64), k=size, v0=start)[2].T
