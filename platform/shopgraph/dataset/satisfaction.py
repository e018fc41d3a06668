"""How satisfied a user seems with what they bought, from what the graph knows before a snapshot's moment.

It is computed where it is read and never stored: a stored one would carry the future into earlier cuts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from shopgraph.dataset.purchases import UNKNOWN_TIME, found, times_ms
from shopgraph.dataset.snapshot import Snapshot

DAY_MS = 24 * 3600 * 1000
WORST, BEST = 1.0, 5.0
"""Of a rating."""


@dataclass(frozen=True)
class SatisfactionConfig:
    """What the signs count."""

    bought: float = 0.5
    """Of a product bought once, of which nothing else is known."""
    again: float = 0.5
    """Share of the doubt that each further basket with the product leaves."""
    returned: float = 0.75
    """Share of the doubt that each later day leaves on which the user comes back to look at the product."""


@dataclass(frozen=True)
class Satisfaction:
    """One value for each user and product that the user bought.

    Shapes:
        users, products: (pairs,), int64 rows of the snapshot, ascending by user, then by product
        values: (pairs,), float32, 0 to 1
    """

    users: np.ndarray
    products: np.ndarray
    values: np.ndarray


def read_satisfaction(snapshot: Snapshot, config: SatisfactionConfig = SatisfactionConfig()) -> Satisfaction:
    """Read it off a snapshot.

    With n baskets that hold the product and d days after that of the first on which the user viewed it,

        seen = 1 - (1 - bought) * again^(n - 1) * returned^d

    and where the user rated the product, the mean of that and (r - 1) / 4, r being the newest rating.
    """
    bought, viewed, rated = (snapshot.relations[name] for name in ("PURCHASED", "VIEWED", "RATED"))
    products = max(snapshot.nodes["Product"].num_rows, 1)

    def keys_of(table: pa.Table) -> np.ndarray:
        return table["start"].to_numpy() * products + table["end"].to_numpy()

    bought_keys, bought_at = keys_of(bought), times_ms(bought)
    keys, pair = np.unique(bought_keys, return_inverse=True)
    if not len(keys):
        return Satisfaction(keys, keys, np.empty(0, np.float32))
    baskets = np.unique(np.stack([pair, bought["order"].to_numpy()], axis=1), axis=0)[:, 0]
    occasions = np.bincount(baskets, minlength=len(keys))
    first = np.full(len(keys), np.iinfo(np.int64).max)
    np.minimum.at(first, pair, bought_at)

    viewed_keys, viewed_day = keys_of(viewed), times_ms(viewed) // DAY_MS
    row, known = found(keys, viewed_keys)
    later = known & (viewed_day > first[row] // DAY_MS) & (first[row] != UNKNOWN_TIME)
    days = np.unique(np.stack([row[later], viewed_day[later]], axis=1), axis=0)[:, 0]
    returns = np.bincount(days, minlength=len(keys))

    values = 1 - (1 - config.bought) * config.again ** (occasions - 1) * config.returned**returns
    row, known = found(keys, keys_of(rated))
    order = np.argsort(times_ms(rated), kind="stable")
    order = order[known[order]]
    rating = np.full(len(keys), np.nan)
    rating[row[order]] = (rated["rating"].to_numpy()[order] - WORST) / (BEST - WORST)  # of equal rows the last stays
    values = np.where(np.isnan(rating), values, (values + rating) / 2)
    return Satisfaction(keys // products, keys % products, values.astype(np.float32))
