"""The stream that accepted events wait in: on disk before they are accepted, there until they are in the graph."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from shopgraph.errors import ConfigurationError
from shopgraph.events.event import WaitingEvent
from shopgraph.events.shown import ShownStream
from shopgraph.events.stream_group import AT_ONCE, StreamGroup, open_client, reaching

STREAM, REFUSED, GROUP = "shopgraph:events", "shopgraph:events:refused", "graph"


@dataclass(frozen=True)
class Entry:
    """An event with its place in the stream."""

    id: str
    event: WaitingEvent

    @property
    def arrived_ms(self) -> int:
        return int(self.id.partition("-")[0])


@dataclass(frozen=True)
class RefusedEvent:
    """An event that could not be written, and why."""

    id: str
    reason: str
    event: WaitingEvent


@dataclass(frozen=True)
class Backlog:
    """What waits."""

    waiting: int
    oldest_seconds: float
    """How long the oldest has been waiting; 0 where nothing waits."""
    refused: int
    consumers: int
    """Processes that asked for events within half a minute."""


class EventStream:
    """A Valkey stream with one group of consumers.

    Args:
        url: the broker, e.g. `redis://:secret@127.0.0.1:6379/0`.
    """

    def __init__(self, url: str) -> None:
        self._client = open_client(url)
        self._group = StreamGroup(self._client, STREAM, GROUP)
        self.shown = ShownStream(self._client)

    def close(self) -> None:
        self._client.close()

    def append(self, events: Sequence[WaitingEvent]) -> None:
        """Durable on return.

        Raises:
            ServiceError: the broker does not answer; some of the events may be in the stream.
        """
        with reaching():
            for start in range(0, len(events), AT_ONCE):
                with self._client.pipeline(transaction=False) as pipeline:
                    for event in events[start : start + AT_ONCE]:
                        pipeline.xadd(STREAM, {"event": event.to_json()})
                    pipeline.execute()

    def require_durable(self) -> None:
        """Refuse a broker that may lose in a crash what it has accepted.

        Raises:
            ConfigurationError: it does not write every event to disk at once.
        """
        with reaching():
            try:
                found = {**self._client.config_get("appendonly"), **self._client.config_get("appendfsync")}
            except ResponseError:  # a hosted broker may refuse CONFIG: its operator knows
                return
        if found != {"appendonly": "yes", "appendfsync": "always"}:
            told = ", ".join(f"{name} {value}" for name, value in found.items())
            raise ConfigurationError(
                f"the broker says {told}: events are accepted once durable, which needs appendonly yes and "
                "appendfsync always"
            )

    def read(self, consumer: str, wait_seconds: float = 1.0) -> list[Entry]:
        """The next entries for a consumer: first what it took before and did not settle, then what others left behind.

        Raises:
            ServiceError: the broker does not answer.
        """
        with reaching():
            found = self._group.read(consumer, wait_seconds)
        return [Entry(place, WaitingEvent.from_json(fields["event"])) for place, fields in found]

    def settle(self, entries: Sequence[Entry]) -> None:
        """They are in the graph: forget them."""
        with reaching():
            self._group.settle([entry.id for entry in entries])

    def refuse(self, entries: Sequence[Entry], reason: str) -> None:
        """Keep them apart with the reason, until they are tried again."""
        with reaching():
            for entry in entries:
                with self._client.pipeline(transaction=True) as pipeline:
                    pipeline.xadd(REFUSED, {"event": entry.event.to_json(), "reason": reason})
                    pipeline.xack(STREAM, GROUP, entry.id)
                    pipeline.xdel(STREAM, entry.id)
                    pipeline.execute()

    def backlog(self) -> Backlog:
        """
        Raises:
            ServiceError: the broker does not answer.
        """
        with reaching():
            first: Any = self._client.xrange(STREAM, count=1)
            waiting, refused = int(self._client.xlen(STREAM)), int(self._client.xlen(REFUSED))
            consumers = self._group.active()
        since_ms = int(first[0][0].partition("-")[0]) if first else None
        oldest = max(0.0, time.time() - since_ms / 1000) if since_ms is not None else 0.0
        return Backlog(waiting, oldest, refused, consumers)

    def refused(self, count: int = 100) -> list[RefusedEvent]:
        """The latest refused, latest first."""
        with reaching():
            found: Any = self._client.xrevrange(REFUSED, count=count)
        return [RefusedEvent(place, told["reason"], WaitingEvent.from_json(told["event"])) for place, told in found]

    def retry(self) -> int:
        """Put every refused event back into the stream; how many they were.

        Those alone that are refused by now: a consumer may refuse them again meanwhile.
        """
        done = 0
        with reaching():
            latest: Any = self._client.xrevrange(REFUSED, count=1)
            while True:
                found: Any = self._client.xrange(REFUSED, max=latest[0][0], count=AT_ONCE) if latest else []
                if not found:
                    return done
                with self._client.pipeline(transaction=True) as pipeline:
                    for place, told in found:
                        pipeline.xadd(STREAM, {"event": told["event"]})
                        pipeline.xdel(REFUSED, place)
                    pipeline.execute()
                done += len(found)
