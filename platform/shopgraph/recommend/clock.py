"""What "now" means: this moment, or the newest event of historical data."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from shopgraph.graph.connection import Graph
from shopgraph.settings import utc_now

CACHED_SECONDS = 10.0


class Clock:
    """Tells the time that queries take as `$as_of`; events before it count.

    Args:
        kind: `wall` or `data` (settings.clock).
    """

    def __init__(self, graph: Graph, kind: str) -> None:
        self._graph = graph
        self._kind = kind
        self._read_at = float("-inf")
        self._newest: datetime | None = None

    def now(self) -> datetime:
        if self._kind == "wall":
            return utc_now()
        if time.monotonic() - self._read_at > CACHED_SECONDS:
            at = self._graph.read("newest_event")[0]["at"]
            self._newest = at.to_native() + timedelta(milliseconds=1) if at is not None else None
            self._read_at = time.monotonic()
        return self._newest or utc_now()
