"""What a set of products is like: those to be near to, and those to keep away from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shopgraph.errors import InputError
from shopgraph.graph.connection import Graph

MOST_LIKED = 50
"""Products of each kind."""


class UnknownProductsError(InputError):
    """Products that are not in the graph."""


@dataclass(frozen=True)
class Liking:
    """More like some products, less like others; each is named once.

    Raises:
        InputError: nothing is liked, too much is named, or a product is both.
    """

    like: Sequence[str]
    unlike: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ("like", "unlike"):
            object.__setattr__(self, name, tuple(dict.fromkeys(getattr(self, name))))
        if not 1 <= len(self.like) <= MOST_LIKED or len(self.unlike) > MOST_LIKED:
            raise InputError(f"name 1 to {MOST_LIKED} products to be like, and up to {MOST_LIKED} to be unlike")
        both = sorted(set(self.like) & set(self.unlike))
        if both:
            raise InputError(f"both liked and unliked: {', '.join(both)}")

    @property
    def products(self) -> list[str]:
        return [*self.like, *self.unlike]

    def require_known(self, graph: Graph) -> None:
        """Refuse what is not in the graph.

        Raises:
            UnknownProductsError: naming all of it.
        """
        unknown = graph.wide("products_unknown", items=self.products)["items"]
        if unknown:
            raise UnknownProductsError(f"no product has the id {', '.join(map(repr, unknown))}")
