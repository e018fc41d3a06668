"""Pages of an answer: how many products, from which place on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shopgraph.errors import InputError
from shopgraph.recommend.fusion import Fused

MOST_ITEMS = 100
"""Of all pages of an answer together."""
UNLIKE_AMONG = 5
"""Times as many products as a page holds, among which unlike ones are looked for."""
DEEPER = 5
"""Times as much is asked of sources where filters, caps, or variants of one product, may take away what they offer."""
LOSSES = 3
"""Times as many, where products have variants or are capped."""


@dataclass(frozen=True)
class Page:
    """The `n` products from place `offset` on, counted from 0.

    Raises:
        InputError: it goes beyond the first `MOST_ITEMS`, or holds nothing.
    """

    n: int
    offset: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.n <= MOST_ITEMS:
            raise InputError(f"n = {self.n}: ask for 1 to {MOST_ITEMS} items")
        if not 0 <= self.offset <= MOST_ITEMS - self.n:
            raise InputError(f"offset = {self.offset}: a page of {self.n} begins at 0 to {MOST_ITEMS - self.n}")

    def depth(self, may_lose: bool) -> int:
        """Products to be left of what sources are asked for; more where some may be taken away."""
        return DEEPER * self.n if may_lose else self.n

    def pool_of(self, may_lose: bool) -> int:
        """Products that rules and unlikeness choose from: as many whatever the offset, so that pages do not overlap.

        Args:
            may_lose: whether some may go afterwards: variants, of which one is kept, or what is above a cap.
        """
        return max(UNLIKE_AMONG * self.n, MOST_ITEMS) * (LOSSES if may_lose else 1)

    @property
    def wanted(self) -> int:
        """Products up to the page's end, and one that tells whether another page follows."""
        return self.offset + self.n + 1

    def cut(self, kept: Sequence[Fused]) -> list[Fused]:
        return list(kept[self.offset : self.offset + self.n])

    def next_offset(self, kept: Sequence[Fused]) -> int | None:
        """Where a next page of as many begins; None after the last."""
        end = self.offset + self.n
        return end if len(kept) > end and end + self.n <= MOST_ITEMS else None
