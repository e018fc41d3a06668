"""What a caller lets an answer hold, besides what may be shown to anybody."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shopgraph.errors import InputError
from shopgraph.graph.connection import Graph
from shopgraph.recommend.candidate import Candidate
from shopgraph.recommend.fusion import Fused

WITHIN, ARRIVALS = "popular_within", "new_arrivals"
"""Sources that fill an answer up where the others offer too little that passes: of any products, and of new ones."""


@dataclass(frozen=True)
class Filters:
    """Hard ones: nothing that breaks one is shown.

    Raises:
        InputError: the bounds of price leave nothing between them.
    """

    exclude: Sequence[str] = ()
    """Product ids."""
    categories: Sequence[str] = ()
    """Whole paths, of any level; a product of one of them passes."""
    min_price: float | None = None
    max_price: float | None = None
    unbought_before: datetime | None = None
    """Only what nobody had bought before this moment."""
    denied: Collection[tuple[str, str]] = ()
    """Labels (Product, Brand, Category) and ids that rules filter out."""

    def __post_init__(self) -> None:
        if self.min_price is not None and self.max_price is not None and self.min_price > self.max_price:
            raise InputError(f"min_price = {self.min_price:g} is above max_price = {self.max_price:g}")

    @property
    def narrow(self) -> bool:
        """Whether the caller may refuse what a source offers."""
        return bool(self.categories) or (self.min_price, self.max_price, self.unbought_before) != (None, None, None)

    @property
    def restrict(self) -> bool:
        """Whether anybody may: the caller, or a rule."""
        return self.narrow or bool(self.denied)

    @property
    def filler(self) -> str:
        return WITHIN if self.unbought_before is None else ARRIVALS

    @property
    def bounds(self) -> dict[str, Any]:
        """As queries take them."""
        return {
            "categories": list(self.categories),
            "min_price": self.min_price,
            "max_price": self.max_price,
            "unbought_before": self.unbought_before,
        }


ANYTHING = Filters()


def allowed(graph: Graph, items: Sequence[str], filters: Filters) -> set[str]:
    """Those that may be shown now and pass."""
    denied = {
        f"denied_{plural}": [target for of, target in filters.denied if of == label]
        for label, plural in (("Product", "products"), ("Brand", "brands"), ("Category", "categories"))
    }
    return set(graph.wide("allowed", items=list(items), **filters.bounds, **denied)["items"])


def filled(fused: Sequence[Fused], filler: Sequence[Candidate], source: str) -> list[Fused]:
    """What one more source offers within the filters after all that was chosen."""
    known, lowest = {item.id for item in fused}, min((item.score for item in fused), default=0.0)
    added = [candidate for candidate in filler if candidate.id not in known]
    return [*fused, *(Fused(item.id, lowest, (source,), None) for item in added)]
