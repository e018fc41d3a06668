"""Questions that are about products or words rather than a user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OF_A_QUERY = {"query", "vector"}
"""Parameters of sources that answer a query, not a user."""
TOLD = {
    "session": "products bought last",
    "searches": "searches",
    "like": "products bought last",
    "product": "the product bought last",
    "user": "history",
}
"""By parameter, in words, what `offered` tells a source of a user."""


@dataclass(frozen=True)
class Question:
    """A question about products."""

    step: str
    """What the answer rests on, see `Recommendations`."""
    setting: str
    """Whose blend answers it, see `FusionConfig`."""
    subject: Mapping[str, Any]
    """What only its sources are asked with."""
    without: Sequence[str] = ()
    """Products that are no answer to it."""
    via: str | None = None
    """The product that speaks for every answer; by default each source names one."""
    silent: Sequence[str] = ()
    """Sources of the blend that are not asked."""


def like_product(product_id: str) -> Question:
    return Question("similar", "similar", {"product": product_id}, [product_id], product_id)
