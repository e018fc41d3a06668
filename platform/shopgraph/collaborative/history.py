"""What every collaborative filter may read: the lines before a moment in one order, and what is made of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from shopgraph.dataset.purchases import WEEK_MS, Purchases
from shopgraph.errors import InputError

OLDEST_WEEKS = 5_000
"""Age given to whatever is older or has no time, so that ages can be subtracted without overflow."""
HOUR_MS = 3_600_000


def past_of(purchases: Purchases, moment_ms: int) -> Purchases:
    """The lines before a moment, sorted by user, product and time, so that sums do not depend on how they arrived.

    Raises:
        InputError: nothing was bought before the moment.
    """
    past = purchases.before(moment_ms)
    if not len(past):
        raise InputError(f"no purchase lies before {moment_ms} ms since 1970; choose a later moment or load purchases")
    past = replace(past, times=np.maximum(past.times, moment_ms - OLDEST_WEEKS * WEEK_MS))
    return past.chosen(np.lexsort((past.times, past.products, past.users)))


def weighed(past: Purchases, moment_ms: int, half_life_weeks: float, power: float) -> sp.csr_array:
    """(users, products), float32: decayed numbers of purchases to a power; at power 0, 1 for whatever was bought."""
    known, counts = past.decayed(moment_ms, half_life_weeks)
    return past.matrix(known, counts**power)


def scaled(matrix: sp.csr_array, rows: np.ndarray, columns: np.ndarray) -> sp.csr_array:
    """The matrix with each row and each column divided by its number; what is divided by zero becomes zero.

    Shapes:
        matrix: (r, c); rows: (r,); columns: (c,)
    """
    left, right = (sp.diags_array(_inverse(side)) for side in (rows, columns))
    return sp.csr_array(left @ matrix @ right).astype(np.float32)


def rows_summing_to_one(matrix: sp.csr_array) -> sp.csr_array:
    """Steps of a random walk from rows to columns; rows of nothing stay empty."""
    return scaled(matrix, matrix.sum(axis=1), np.ones(matrix.shape[1]))


def basket_ages(past: Purchases, basket_hours: float) -> tuple[np.ndarray, np.ndarray]:
    """How many later baskets its user has had since each line, and how many baskets each user has.

    Lines of one user within the same window of so many hours are one basket: not every shop numbers its orders so
    that the lines of a visit share one.

    Shapes:
        returns: (lines,) int64, 0 in a user's latest basket; (users,) int64
    """
    window = past.times // round(basket_hours * HOUR_MS)
    since = window.max() - window
    width = since.max() + 1
    baskets, basket = np.unique(past.users * width + since, return_inverse=True)
    first = np.searchsorted(baskets // width, past.users)
    return basket - first, np.bincount(baskets // width, minlength=past.user_count)


def _inverse(values: np.ndarray) -> np.ndarray:
    return np.divide(1.0, values, out=np.zeros(len(values)), where=values > 0)
