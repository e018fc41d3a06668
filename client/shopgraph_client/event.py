"""What is told of the shop."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Event(BaseModel):
    """One thing that somebody did.

    Of a user or, where nobody has signed in, of a session. With an `event_id` or an `at` it
    counts once, however often it is sent.
    """

    model_config = ConfigDict(extra="forbid")

    type: Literal["view", "search", "purchase", "rating", "basket_add", "basket_remove", "hide", "unhide"]
    event_id: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    product_id: str | None = None
    query: str | None = None
    at: datetime | None = None
    quantity: int = 1
    amount: float | None = None
    discount: float = 0.0
    order_id: str | None = None
    rating: float | None = None
    text: str = ""
    recommendation_id: str | None = None
    """Of the answer that it came of."""
