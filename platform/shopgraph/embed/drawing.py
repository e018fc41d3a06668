"""False purchases beside real ones, and how well a score tells them apart."""

from __future__ import annotations

import numpy as np

from shopgraph.dataset.purchases import Purchases, found


def area_under_curve(real: np.ndarray, drawn: np.ndarray) -> float:
    """The chance that a real one scores above a drawn one, equal scores counting half: (n,) and (m,) -> 0 to 1.

    Source: Hanley and McNeil, The meaning and use of the area under a ROC curve (1982).
    """
    ordered = np.sort(drawn)
    below, upto = np.searchsorted(ordered, real, "left"), np.searchsorted(ordered, real, "right")
    return float((below + upto).mean() / (2 * len(drawn)))


class Drawing:
    """Draws products in place of those that were bought.

    Args:
        bought: pairs that are no false purchases.
        counted: purchases that a product's chance to be drawn is made of.
    """

    def __init__(self, bought: Purchases, counted: Purchases, power: float) -> None:
        self._keys = bought.keys()
        chance = (np.bincount(counted.products, minlength=counted.product_count) + 1.0) ** power
        self._cumulative = np.cumsum(chance) / chance.sum()

    def __call__(self, edges: Purchases, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """(n,) products, and (n,) bool: whether the user did not buy that one after all."""
        products = np.searchsorted(self._cumulative[:-1], random.random(len(edges)), "right")
        return products, ~found(self._keys, edges.users * edges.product_count + products)[1]
