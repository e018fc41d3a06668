"""What "now" means: this moment, or the newest event of historical data."""

from __future__ import annotations

from datetime import datetime, timedelta

from shopgraph.graph.connection import Graph
from shopgraph.settings import utc_now


class Clock:
    """Tells the time that queries take as `$as_of`; events before it count.

    Args:
        kind: `wall` or `data` (settings.clock).
    """

    def __init__(self, graph: Graph, kind: str) -> None:
        self._graph = graph
        self._kind = kind

    @property
    def moment(self) -> datetime | None:
        """As `read_standing` takes it: None where the clock follows the data, which that reads anyway."""
        return utc_now() if self._kind == "wall" else None

    def now(self) -> datetime:
        """Where the clock follows the data it is read anew each time: an event changes the very next answer."""
        if self._kind == "wall":
            return utc_now()
        at = self._graph.read("newest_event")[0]["at"]
        return at.to_native() + timedelta(milliseconds=1) if at is not None else utc_now()
