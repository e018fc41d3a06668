"""Order lines as arrays, and the user-by-product matrices that learners make of them; all of it cut at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

if TYPE_CHECKING:
    import pyarrow as pa

    from shopgraph.dataset.snapshot import Snapshot

WEEK_MS = 7 * 24 * 3600 * 1000
UNKNOWN_TIME = np.iinfo(np.int64).min
"""Of a line without one: before every moment."""


@dataclass(frozen=True)
class Purchases:
    """Order lines as arrays of equal length; times in milliseconds since 1970 UTC."""

    users: np.ndarray
    products: np.ndarray
    times: np.ndarray
    user_count: int
    product_count: int

    @classmethod
    def of(cls, snapshot: Snapshot) -> Purchases:
        """The purchases of a snapshot, users and products numbered as in its tables."""
        table = snapshot.relations["PURCHASED"]
        counts = (snapshot.nodes[label].num_rows for label in ("User", "Product"))
        return cls(table["start"].to_numpy(), table["end"].to_numpy(), times_ms(table), *counts)

    def __len__(self) -> int:
        return len(self.users)

    @property
    def shape(self) -> tuple[int, int]:
        return self.user_count, self.product_count

    def chosen(self, lines: np.ndarray) -> Purchases:
        """The lines of a bool mask or of row numbers; users and products keep their numbers."""
        return Purchases(self.users[lines], self.products[lines], self.times[lines], *self.shape)

    def before(self, moment_ms: float) -> Purchases:
        return self.chosen(self.times < moment_ms)

    def since(self, moment_ms: int) -> Purchases:
        return self.chosen(self.times >= moment_ms)

    def keys(self) -> np.ndarray:
        """Distinct (user, product) pairs as user * products + product, ascending."""
        return np.unique(self.users * self.product_count + self.products)

    def binary(self) -> sp.csr_array:
        """(users, products), float32: 1 where the user ever bought the product."""
        return self.matrix(self.keys())

    def matrix(self, keys: np.ndarray, values: np.ndarray | None = None) -> sp.csr_array:
        """(users, products), float32: values, by default 1, at ascending keys."""
        data = np.ones(len(keys), np.float32) if values is None else values.astype(np.float32)
        return sp.csr_array((data, (keys // self.product_count, keys % self.product_count)), shape=self.shape)

    def decayed(self, moment_ms: int, half_life_weeks: float) -> tuple[np.ndarray, np.ndarray]:
        """Distinct keys, ascending, and their purchases, each counting half as much every half-life before a moment.

        A line without a time is as old as the oldest that has one.

        Shapes:
            returns: (pairs,) int64 and (pairs,) float64
        """
        keys, pair = np.unique(self.users * self.product_count + self.products, return_inverse=True)
        stated = self.times[self.times != UNKNOWN_TIME]
        oldest = stated.min() if len(stated) else moment_ms
        age_weeks = (moment_ms - np.maximum(self.times, oldest)) / WEEK_MS
        return keys, np.bincount(pair, 0.5 ** (age_weeks / half_life_weeks), len(keys))

    def latest(self) -> np.ndarray:
        """(pairs,) int64: the newest time of each distinct pair, in the order of `keys`."""
        keys, pair = np.unique(self.users * self.product_count + self.products, return_inverse=True)
        found = np.full(len(keys), UNKNOWN_TIME)
        np.maximum.at(found, pair, self.times)
        return found

    def buyers(self) -> np.ndarray:
        """(products,) int64: distinct buyers of each product."""
        return np.bincount(self.keys() % self.product_count, minlength=self.product_count)


def times_ms(table: pa.Table) -> np.ndarray:
    """(rows,) int64; the oldest possible time where none is stated."""
    return table["at"].cast("int64").fill_null(UNKNOWN_TIME).to_numpy()


def to_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def found(keys: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each wanted key stands among ascending ones, and whether it is there; 0 and False where it is not.

    Shapes:
        keys: (n,); wanted: (rows,)
        returns: (rows,) int64, (rows,) bool
    """
    if not len(keys):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=bool)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    there = keys[place] == wanted
    return np.where(there, place, 0), there
