"""A Valkey stream that one group of consumers empties: each entry is read until it is settled, whoever is killed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from shopgraph.errors import ServiceError

AT_ONCE = 1_000
"""Entries in one round trip; all of a trip share one flush to disk."""
SOCKET_TIMEOUT_SECONDS = 10.0
IDLE_MS = 30_000
"""After so long an entry that another consumer took is taken over: it was killed."""


def open_client(url: str) -> Redis:
    """Connects when it is first used."""
    return Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=SOCKET_TIMEOUT_SECONDS,
        socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
    )


@dataclass(frozen=True)
class StreamGroup:
    """The one group of a stream."""

    client: Redis
    stream: str
    group: str

    def read(self, consumer: str, wait_seconds: float) -> list[tuple[str, Mapping[str, str]]]:
        """The next entries for a consumer: first what it took before and did not settle, then what others left behind.

        Args:
            wait_seconds: for a new entry, where there is none; at 0 nothing is waited for.
        """
        self.open()
        own: Any = self.client.xreadgroup(self.group, consumer, {self.stream: "0"}, AT_ONCE)
        found = own[0][1] if own else []
        if not found:
            found = self.client.xautoclaim(self.stream, self.group, consumer, IDLE_MS, count=AT_ONCE)[1]
        if not found:
            block = max(1, round(1000 * wait_seconds)) if wait_seconds else None
            new: Any = self.client.xreadgroup(self.group, consumer, {self.stream: ">"}, AT_ONCE, block=block)
            found = new[0][1] if new else []
        gone = [place for place, fields in found if not fields]
        if gone:  # deleted while somebody had them: nothing is left to write
            self.client.xack(self.stream, self.group, *gone)
        return [(place, fields) for place, fields in found if fields]

    def settle(self, ids: Sequence[str]) -> None:
        """They are written: forget them."""
        if not ids:
            return
        with self.client.pipeline(transaction=True) as pipeline:
            pipeline.xack(self.stream, self.group, *ids)
            pipeline.xdel(self.stream, *ids)
            pipeline.execute()

    def active(self) -> int:
        """Consumers that asked for entries within half a minute."""
        self.open()
        consumers: Any = self.client.xinfo_consumers(self.stream, self.group)
        return sum(consumer["idle"] < IDLE_MS for consumer in consumers)

    def open(self) -> None:
        """Make the group where it is not there."""
        try:
            self.client.xgroup_create(self.stream, self.group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise


@contextmanager
def reaching() -> Iterator[None]:
    """
    Raises:
        ServiceError: the broker does not answer.
    """
    try:
        yield
    except (RedisError, OSError) as error:
        raise ServiceError(f"the broker that events wait in does not answer: {error}") from None
