"""Who goes with whom: products that share baskets, and users who buy the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

BLOCK_ROWS = 4096
WEIGHT_DECIMALS = 4
"""Weights are rounded so that a node whose neighbours did not change is not written again."""


@dataclass(frozen=True)
class Neighbours:
    """Weighted pairs of nodes of one label.

    Shapes:
        start, end: (pairs,), int64 rows, sorted by start, then by falling weight, then by end
        weight: (pairs,), float64
    """

    start: np.ndarray
    end: np.ndarray
    weight: np.ndarray


def bought_with(
    order: np.ndarray, product: np.ndarray, product_count: int, minimum_support: int, most: int
) -> Neighbours:
    """The products that share most baskets with each product.

    The weight is the cosine of two binary basket vectors, |A and B| / sqrt(|A| |B|) (Sarwar et al., "Item-based
    collaborative filtering recommendation algorithms", WWW 2001).

    Args:
        minimum_support: baskets that must hold both products.

    Shapes:
        order, product: (lines,), integers
    """
    shape = (int(order.max()) + 1, product_count)
    baskets = sp.csr_matrix((np.ones(len(order), np.float32), (order, product)), shape=shape)
    baskets.data[:] = 1
    return _nearest(baskets.T.tocsr(), minimum_support, most)


def similar_users(bought: sp.csr_matrix, most: int) -> Neighbours:
    """The users who buy most like each user, by the cosine of their rows.

    Source: Herlocker et al., "An algorithmic framework for performing collaborative filtering", SIGIR 1999.

    Shapes:
        bought: (users, products), how much each user bought of each product
    """
    return _nearest(bought, 0.0, most)


def _nearest(rows: sp.csr_matrix, least_shared: float, most: int) -> Neighbours:
    """The greatest cosines of each row with the others, block by block; inner products below `least_shared` are not
    looked at."""
    lengths, columns = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel()), rows.T.tocsr()
    parts = []
    for first in range(0, rows.shape[0], BLOCK_ROWS):
        together = (rows[first : first + BLOCK_ROWS] @ columns).tocoo()
        start, end, shared = together.row + first, together.col, together.data
        keep = (shared >= least_shared) & (start != end)
        start, end, shared = start[keep], end[keep], shared[keep]
        parts.append(_strongest(start, end, shared / (lengths[start] * lengths[end]), most))
    start, end, weight = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Neighbours(start, end, weight)


def _strongest(
    start: np.ndarray, end: np.ndarray, weight: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    weight = np.round(weight.astype(np.float64), WEIGHT_DECIMALS)
    by_weight = np.lexsort((end, -weight, start))
    start, end, weight = start[by_weight], end[by_weight], weight[by_weight]
    first_of_start = np.searchsorted(start, start, side="left")
    keep = (np.arange(len(start)) - first_of_start < count) & (weight > 0)
    return start[keep].astype(np.int64), end[keep].astype(np.int64), weight[keep]
