"""The users most like some users, as rows of weights that a matrix of purchases can be multiplied with."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from shopgraph.evaluation import NO_ITEM, top


def strongest(likeness: np.ndarray, count: int) -> sp.csr_array:
    """Only the `count` greatest positive numbers of each row, ties in column order.

    Shapes:
        likeness: (b, n)
        returns: (b, n), at most `count` numbers a row
    """
    found = top(likeness, count)
    row, place = np.nonzero(found != NO_ITEM)
    column = found[row, place]
    values = likeness[row, column].astype(np.float32)
    kept = values > 0
    return sp.csr_array((values[kept], (row[kept], column[kept])), shape=likeness.shape)


def without_self(likeness: np.ndarray, rows: np.ndarray, value: float = 0.0) -> np.ndarray:
    """Each user's likeness to itself replaced, in place.

    Shapes:
        likeness: (b, users); rows: (b,) user numbers
    """
    likeness[np.arange(len(rows)), rows] = value
    return likeness


def spread(weights: np.ndarray | sp.csr_array, by_product: sp.csr_array) -> np.ndarray:
    """Sums over users: (b, users) weights and (products, users) purchases -> (b, products), rows in one piece.

    A dense matrix is multiplied from the right because scipy has no kernel for dense times sparse.
    """
    dense = weights if isinstance(weights, np.ndarray) else weights.toarray()
    return np.ascontiguousarray((by_product @ np.ascontiguousarray(dense.T)).T, dtype=np.float32)
