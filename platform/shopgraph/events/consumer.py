"""Writes waiting events to the graph: each once, whatever is killed, and what can't be written is kept with why."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from shopgraph.errors import QueryError, ServiceError
from shopgraph.events.event import WaitingEvent
from shopgraph.events.stream import Entry, EventStream
from shopgraph.events.stream_group import AT_ONCE
from shopgraph.graph.connection import Graph
from shopgraph.schema import EVENTS, SESSION
from shopgraph.settings import utc_now

logger = logging.getLogger(__name__)

RUN = "events"
"""What the relations name as the run that wrote them."""
PAUSES_SECONDS = (0.5, 1.0, 2.0, 5.0)
SHOWN_EVERY_SECONDS = 2.0
"""Answers that were shown gather so long: a transaction of one costs Neo4j half as much as one of a hundred."""
FORGET_AFTER = timedelta(days=30)
FORGET_EVERY_SECONDS = 3600.0
FORGET_AT_ONCE = 1_000


def consume(opened: Callable[[], Consumer], stopping: threading.Event) -> None:
    """Write events until told to stop. Servers that do not answer are looked for again, and nothing is lost meanwhile.

    Args:
        opened: opens a consumer, each time anew: a server that was started again may listen elsewhere.

    Raises:
        ConfigurationError: what `opened` says is to be mended.
    """
    failures = 0
    while not stopping.is_set():
        try:
            with opened() as consumer:
                while not stopping.is_set():
                    consumer.step()
                    failures = 0
        except ServiceError as error:
            if not failures:
                logger.warning("events wait: %s", error)
            stopping.wait(PAUSES_SECONDS[min(failures, len(PAUSES_SECONDS) - 1)])
            failures += 1


class Consumer:
    """One process of the group that empties the stream; leaving it closes its connections.

    Args:
        now: what an event that does not say when it happened is given, where the clock follows the data; None where the
            moment of its arrival counts.
    """

    def __init__(
        self, graph: Graph, stream: EventStream, source: str, now: Callable[[], datetime] | None = None
    ) -> None:
        self._graph = graph
        self._stream = stream
        self._source = source
        self._now = now
        self._name = f"{socket.gethostname()}-{os.getpid()}"
        self._shown_at = self._forgotten_at = float("-inf")

    def __enter__(self) -> Consumer:
        return self

    def __exit__(self, *exception: object) -> None:
        self._graph.close()
        self._stream.close()

    def step(self, wait_seconds: float = 1.0) -> int:
        """Write the next entries; how many there were.

        Raises:
            ServiceError: a server does not answer; the entries stay.
        """
        shown = self._write_shown()
        entries = self._stream.read(self._name, 0 if shown == AT_ONCE else wait_seconds)
        if entries:
            self._settle(entries)
        self._forget()
        return len(entries)

    def _write_shown(self) -> int:
        """Write the next answers that were shown, now and then; how many there were."""
        if time.monotonic() - self._shown_at < SHOWN_EVERY_SECONDS:
            return 0
        entries = self._stream.shown.read(self._name)
        if len(entries) < AT_ONCE:
            self._shown_at = time.monotonic()
        rows: list[list[Any]] = [[*astuple(entry.shown), entry.arrived_ms] for entry in entries]
        try:
            if rows:
                self._graph.write("recommendations_written", rows=rows)
        except QueryError as error:  # events must not wait for what only tells what led to them
            logger.warning("%d answers that were shown can't be written: %s", len(rows), error)
            self._stream.shown.append([], lost=len(rows))
        self._stream.shown.settle(entries)
        return len(entries)

    def _settle(self, entries: Sequence[Entry]) -> None:
        try:
            missing = self._write(entries)
        except QueryError as error:
            if len(entries) == 1:
                self._stream.refuse(entries, str(error))
                return
            for entry in entries:  # one of them spoils the rest
                self._settle([entry])
            return
        refused = [entry for entry in entries if _key(entry) in missing]
        self._stream.refuse(refused, "no such product in the graph")
        self._stream.settle([entry for entry in entries if _key(entry) not in missing])

    def _write(self, entries: Sequence[Entry]) -> set[tuple[str, str]]:
        """Types and lines of those whose product is not there."""
        once = {_key(entry): entry for entry in reversed(entries)}
        at_ms = self._at_ms(entries)
        kinds = sorted(once.values(), key=lambda entry: (entry.event.type, entry.event.label))
        missing: set[tuple[str, str]] = set()
        for (kind, label), group in groupby(kinds, key=lambda entry: (entry.event.type, entry.event.label)):
            events = [entry.event for entry in group]
            rows = [[e.start, e.end, e.line_id, at_ms[kind, e.line_id], e.properties] for e in events]
            missing |= {(kind, line) for line in self._write_kind(kind, label, events, rows)}
        sessions = sorted({entry.event.start for entry in entries if entry.event.label == SESSION})
        written = [moment for key, moment in at_ms.items() if key not in missing]
        newest = datetime.fromtimestamp(max(written) / 1000, UTC) if written else None
        self._graph.write("events_noted", id=self._source, newest_event_at=newest, sessions=sessions, seen_at=utc_now())
        return missing

    def _write_kind(self, kind: str, label: str, events: Sequence[WaitingEvent], rows: list[list[object]]) -> set[str]:
        relation = EVENTS[kind].relation
        stamps = {"source": self._source, "run": RUN}
        target = "Product"
        if relation == "SEARCHED":
            target = "SearchTerm"
            terms = [{"id": term, "values": {"text": term}} for term in sorted({event.end for event in events})]
            self._graph.write("load_search_term", rows=terms, **stamps)
        (told,) = self._graph.write("events_written", rows=rows, label=label, type=relation, target=target, **stamps)
        return set(told["unknown"])

    def _at_ms(self, entries: Sequence[Entry]) -> dict[tuple[str, str], int]:
        """When each happened, the first where several are one event.

        By the data's clock, which is read once, those that do not say so follow each other by a millisecond.
        """
        silent = [entry for entry in entries if entry.event.at_ms is None]
        start = round(self._now().timestamp() * 1000) if silent and self._now is not None else None
        arrived = {entry.id: entry.arrived_ms if start is None else start + n for n, entry in enumerate(silent)}
        return {
            _key(entry): arrived[entry.id] if entry.event.at_ms is None else entry.event.at_ms
            for entry in reversed(entries)
        }

    def _forget(self) -> None:
        """Remove sessions, and what was shown, of long ago, now and then."""
        if time.monotonic() - self._forgotten_at < FORGET_EVERY_SECONDS:
            return
        before = utc_now() - FORGET_AFTER
        while self._graph.write("sessions_forgotten", before=before, limit=FORGET_AT_ONCE)[0]["sessions"]:
            pass
        while self._graph.write("recommendations_forgotten", before=before, limit=FORGET_AT_ONCE)[0]["recommendations"]:
            pass
        self._forgotten_at = time.monotonic()


def _key(entry: Entry) -> tuple[str, str]:
    """What makes two entries one event: a view and a hide may share an id."""
    return entry.event.type, entry.event.line_id
