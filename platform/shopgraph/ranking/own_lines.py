"""What one user bought, line by line, as the graph tells it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from shopgraph.dataset.purchases import WEEK_MS

HALF_LIFE_WEEKS = 12.0
"""Age at which a purchase counts half where the products bought most are told."""


@dataclass(frozen=True)
class OwnLines:
    """What a user bought before a moment, a line each: product ids, times in milliseconds since 1970 UTC, units, the
    line's total paid (NaN where it is not stated) and what was taken off it."""

    products: Sequence[str] = field(default_factory=list)
    times_ms: Sequence[int] = field(default_factory=list)
    quantities: Sequence[int] = field(default_factory=list)
    amounts: Sequence[float] = field(default_factory=list)
    discounts: Sequence[float] = field(default_factory=list)

    def bought_most(self, count: int) -> list[str]:
        """Up to `count` products, those of most lines first, each line counting half after twelve weeks.

        How old all lines are does not change the order: the newest counts 1.
        """
        times, place = np.array(self.times_ms, np.float64), dict[str, int]()
        counted = np.exp2((times - times.max(initial=0.0)) / (HALF_LIFE_WEEKS * WEEK_MS))
        of_line = [place.setdefault(product, len(place)) for product in self.products]
        total = np.bincount(of_line, counted) if of_line else counted
        return [product for _, product in sorted(zip((-total).tolist(), place, strict=True))[:count]]

    def since(self, moment_ms: int) -> list[str]:
        """Products bought at a moment or later, each once, in the order of the lines."""
        lines = zip(self.products, self.times_ms, strict=True)
        return list(dict.fromkeys(product for product, time in lines if time >= moment_ms))

    def moments(self, products: Collection[str]) -> dict[str, set[int]]:
        """When each of some products was bought, for those that were: a moment an order."""
        asked, found = frozenset(products), dict[str, set[int]]()
        for product, time in zip(self.products, self.times_ms, strict=True):
            if product in asked:
                found.setdefault(product, set()).add(time)
        return found
