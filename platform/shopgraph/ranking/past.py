"""What a feature may be made of: the order lines before a moment, with what was paid, and the pairs they make."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from shopgraph.dataset.purchases import WEEK_MS, Purchases, found

if TYPE_CHECKING:
    from shopgraph.dataset.snapshot import Snapshot

OLDEST_WEEKS = 5_000.0
"""Age given to whatever is older or has no time."""


@dataclass(frozen=True)
class Lines:
    """Order lines with what was paid.

    Shapes:
        unit_prices: (lines,), paid for one unit in the source's currency; NaN where not stated
        discounts: (lines,), the share of the shelf price that was taken off, 0 to 1
    """

    purchases: Purchases
    unit_prices: np.ndarray
    discounts: np.ndarray

    @classmethod
    def of(cls, snapshot: Snapshot) -> Lines:
        table = snapshot.relations["PURCHASED"]
        return cls.stated(
            Purchases.of(snapshot),
            table["quantity"].fill_null(1).to_numpy(),
            table["amount"].fill_null(np.nan).to_numpy(),
            table["discount"].fill_null(0.0).to_numpy(),
        )

    @classmethod
    def stated(cls, purchases: Purchases, quantities: np.ndarray, amounts: np.ndarray, discounts: np.ndarray) -> Lines:
        """Of what the lines state: units, the line's total paid (NaN for none) and what was taken off it."""
        taken = np.maximum(discounts, 0.0)
        shelf = np.nan_to_num(amounts) + taken
        share = np.divide(taken, shelf, out=np.zeros(len(taken)), where=shelf > 0)
        return cls(purchases, amounts / np.maximum(quantities, 1), np.minimum(share, 1.0))

    def without_each(self, products: np.ndarray) -> Lines:
        """Of one user's lines: the lines of user 0, and of a user more for each product, who did not buy it.

        Shapes:
            products: (users - 1,)
        """
        bought = self.purchases
        kept = np.ones((len(products) + 1, len(bought)), dtype=bool)
        kept[1:] = bought.products != products[:, None]
        users, lines = np.nonzero(kept)
        of_users = replace(bought.chosen(lines), users=users, user_count=len(kept))
        return Lines(of_users, self.unit_prices[lines], self.discounts[lines])

    def chosen(self, lines: np.ndarray) -> Lines:
        """The lines of a bool mask or of row numbers."""
        return Lines(self.purchases.chosen(lines), self.unit_prices[lines], self.discounts[lines])


@dataclass(frozen=True)
class Past:
    """The lines before a moment and the distinct (user, product) pairs among them.

    Shapes:
        ages: (lines,), weeks before the moment; lines are sorted by user, product and time
        pair: (lines,), the pair of each line
        keys: (pairs,), user * products + product, ascending
        counts: (pairs,), lines of the pair
        first_ages, last_ages: (pairs,), weeks before the moment of its first and of its last line
    """

    lines: Lines
    moment_ms: int
    ages: np.ndarray
    pair: np.ndarray
    keys: np.ndarray
    counts: np.ndarray
    first_ages: np.ndarray
    last_ages: np.ndarray

    @classmethod
    def of(cls, lines: Lines, moment_ms: int) -> Past:
        bought = lines.purchases
        before = np.flatnonzero(bought.times < moment_ms)
        order = np.lexsort((bought.times[before], bought.products[before], bought.users[before]))
        cut = lines.chosen(before[order])
        bought = cut.purchases
        ages = np.minimum((moment_ms - bought.times.astype(np.float64)) / WEEK_MS, OLDEST_WEEKS)
        keys, starts, pair, counts = np.unique(
            bought.users * bought.product_count + bought.products,
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        return cls(cut, moment_ms, ages, pair, keys, counts, ages[starts], ages[starts + counts - 1])

    @property
    def user_count(self) -> int:
        return self.lines.purchases.user_count

    @property
    def product_count(self) -> int:
        return self.lines.purchases.product_count

    @cached_property
    def pair_users(self) -> np.ndarray:
        return self.keys // self.product_count

    @cached_property
    def pair_products(self) -> np.ndarray:
        return self.keys % self.product_count

    def buyers(self, weeks: float = np.inf) -> np.ndarray:
        """(products,): distinct buyers in the last weeks."""
        return np.bincount(self.pair_products[self.last_ages <= weeks], minlength=self.product_count)

    def new_buyers(self, weeks: float) -> np.ndarray:
        """(products,): users who bought it for the first time in the last weeks."""
        return np.bincount(self.pair_products[self.first_ages <= weeks], minlength=self.product_count)


@dataclass(frozen=True)
class Lookup:
    """Where wanted keys stand among ascending ones, found once for all values that the keys have.

    Shapes:
        place: (rows,), 0 where the key is not there
        known: (rows,), bool
    """

    place: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, keys: np.ndarray, wanted: np.ndarray) -> Lookup:
        return cls(*found(keys, wanted))

    def __call__(self, values: np.ndarray, absent: float = 0.0) -> np.ndarray:
        """(rows,) float32: the value of each wanted key, `absent` where it has none.

        Shapes:
            values: (keys,)
        """
        if not len(values):
            return np.full(len(self.place), absent, dtype=np.float32)
        return np.where(self.known, values[self.place], absent).astype(np.float32)
