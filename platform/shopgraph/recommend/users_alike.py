"""Users who buy alike: who they are, how alike, and what both bought."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shopgraph.errors import InputError
from shopgraph.graph.connection import Graph

MOST_ALIKE = 20
"""As many as are derived of a user."""
MOST_SHARED = 10
"""Products that are named of those that both bought."""


@dataclass(frozen=True)
class UserAlike:
    """One of them."""

    id: str
    score: float
    """Cosine of what both bought, or, where the graph embedding found them, (1 + cosine) / 2 of their vectors."""
    shared: list[dict[str, Any]]
    """`{id, title}` of products that both bought, those the other bought most often first."""
    shared_count: int
    """How many there are in all."""


@dataclass(frozen=True)
class UsersAlike:
    """Best first."""

    users: list[UserAlike]
    by: str
    """What tells how alike: purchases (derived), or graph (the embedding that serves)."""


def users_alike(graph: Graph, user_id: str, as_of: datetime, n: int = MOST_ALIKE) -> UsersAlike | None:
    """The `n` users who buy most like one user; None where nobody has that pseudonym.

    Args:
        as_of: what was bought before it is what two users may share.

    Raises:
        InputError: `n` out of range.
    """
    if not 1 <= n <= MOST_ALIKE:
        raise InputError(f"n = {n}: ask for 1 to {MOST_ALIKE} users")
    found = graph.single("users_alike", user=user_id, as_of=as_of, limit=n, most_shared=MOST_SHARED)
    return UsersAlike([UserAlike(**user) for user in found["users"]], found["by"]) if found["known"] else None
