"""The stream that accepted events wait in: on disk before they are accepted, there until they are in the graph."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from shopgraph.errors import ConfigurationError, ServiceError
from shopgraph.events.event import WaitingEvent

STREAM, REFUSED, GROUP = "shopgraph:events", "shopgraph:events:refused", "graph"
AT_ONCE = 1_000
"""Entries in one round trip; all of a trip share one flush to disk."""
SOCKET_TIMEOUT_SECONDS = 10.0
IDLE_MS = 30_000
"""After so long an entry that another consumer took is taken over: it was killed."""


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
        self._client = Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=SOCKET_TIMEOUT_SECONDS,
            socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
        )

    def close(self) -> None:
        self._client.close()

    def append(self, events: Sequence[WaitingEvent]) -> None:
        """Durable on return.

        Raises:
            ServiceError: the broker does not answer; some of the events may be in the stream.
        """
        with _reaching():
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
        with _reaching():
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
        with _reaching():
            self._open_group()
            own: Any = self._client.xreadgroup(GROUP, consumer, {STREAM: "0"}, AT_ONCE)
            found = own[0][1] if own else []
            if not found:
                found = self._client.xautoclaim(STREAM, GROUP, consumer, IDLE_MS, count=AT_ONCE)[1]
            if not found:
                new: Any = self._client.xreadgroup(
                    GROUP, consumer, {STREAM: ">"}, AT_ONCE, block=max(1, round(1000 * wait_seconds))
                )
                found = new[0][1] if new else []
            gone = [place for place, fields in found if not fields]
            if gone:  # deleted by hand while somebody had them: nothing is left to write
                self._client.xack(STREAM, GROUP, *gone)
        return [Entry(place, WaitingEvent.from_json(fields["event"])) for place, fields in found if fields]

    def settle(self, entries: Sequence[Entry]) -> None:
        """They are in the graph: forget them."""
        if not entries:
            return
        ids = [entry.id for entry in entries]
        with _reaching(), self._client.pipeline(transaction=True) as pipeline:
            pipeline.xack(STREAM, GROUP, *ids)
            pipeline.xdel(STREAM, *ids)
            pipeline.execute()

    def refuse(self, entries: Sequence[Entry], reason: str) -> None:
        """Keep them apart with the reason, until they are tried again."""
        with _reaching():
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
        with _reaching():
            first: Any = self._client.xrange(STREAM, count=1)
            waiting, refused = int(self._client.xlen(STREAM)), int(self._client.xlen(REFUSED))
            self._open_group()
            consumers: Any = self._client.xinfo_consumers(STREAM, GROUP)
        since_ms = int(first[0][0].partition("-")[0]) if first else None
        oldest = max(0.0, time.time() - since_ms / 1000) if since_ms is not None else 0.0
        return Backlog(waiting, oldest, refused, sum(consumer["idle"] < IDLE_MS for consumer in consumers))

    def refused(self, count: int = 100) -> list[RefusedEvent]:
        """The latest refused, latest first."""
        with _reaching():
            found: Any = self._client.xrevrange(REFUSED, count=count)
        return [RefusedEvent(place, told["reason"], WaitingEvent.from_json(told["event"])) for place, told in found]

    def retry(self) -> int:
        """Put every refused event back into the stream; how many they were."""
        done = 0
        with _reaching():
            while True:
                found: Any = self._client.xrange(REFUSED, count=AT_ONCE)
                if not found:
                    return done
                with self._client.pipeline(transaction=True) as pipeline:
                    for place, told in found:
                        pipeline.xadd(STREAM, {"event": told["event"]})
                        pipeline.xdel(REFUSED, place)
                    pipeline.execute()
                done += len(found)

    def _open_group(self) -> None:
        try:
            self._client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise ServiceError(f"the broker that events wait in does not answer: {error}") from None
