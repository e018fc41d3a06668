"""A lease kept in the graph: one holder at a time, renewed by every write, with a fencing token that only grows."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from shopgraph.errors import BusyError, ServiceError
from shopgraph.graph.connection import Graph

LEASE_SECONDS = 30
LOOK_SECONDS = 0.5


class Lease:
    """The right to do one kind of work alone.

    Writes that need it carry `token` and check it in their own transaction, so that a holder that was paused for longer
    than the lease lasts can't write over the work of the next one.
    """

    def __init__(self, graph: Graph, name: str, token: int, seconds: int) -> None:
        self._graph = graph
        self.name = name
        self.token = token
        self.seconds = seconds

    def keep(self) -> None:
        """Renew.

        Raises:
            BusyError: another holder has taken it.
        """
        if not self._graph.write("lease_kept", id=self.name, **self.fence):
            raise self.lost()

    def lost(self) -> BusyError:
        return BusyError(
            f"this {self.name} was paused for over {self.seconds} s and another one has taken over: start again"
        )

    @property
    def fence(self) -> dict[str, int]:
        """The parameters of a fenced write."""
        return {"token": self.token, "seconds": self.seconds}


@contextmanager
def held(graph: Graph, name: str, seconds: int = LEASE_SECONDS) -> Iterator[Lease]:
    """Hold the lease `name` while the block runs.

    A holder that lives renews and is seen doing so; the lease of one that was killed runs out and is taken over, after
    at most `seconds`.

    Raises:
        BusyError: a living holder has it.
    """
    lease = Lease(graph, name, _take(graph, name, seconds), seconds)
    try:
        yield lease
    except BaseException:
        with contextlib.suppress(ServiceError):  # a graph that is gone can't be told: the lease runs out by itself
            graph.write("lease_left", id=name, token=lease.token)
        raise
    graph.write("lease_left", id=name, token=lease.token)


def _take(graph: Graph, name: str, seconds: int) -> int:
    holder = f"{socket.gethostname()}, process {os.getpid()}"
    first = None
    while True:
        taken = graph.write("lease_taken", id=name, holder=holder, seconds=seconds)
        if taken:
            return taken[0]["token"]
        seen = graph.record("lease_seen", id=name)
        if first is not None and seen is not None and seen != first:
            raise BusyError(f"another {name} is running ({seen['holder']}): wait until it ends")
        first = seen
        time.sleep(LOOK_SECONDS)
