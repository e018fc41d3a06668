"""A stream of its own for each test, in the real broker of the test run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from shopgraph.events.stream import REFUSED, STREAM, EventStream
from shopgraph.services.broker import Broker


@pytest.fixture
def stream(broker: Broker) -> Iterator[EventStream]:
    with Redis.from_url(broker.url()) as client:
        client.delete(STREAM, REFUSED)
    found = EventStream(broker.url())
    yield found
    found.close()
    with Redis.from_url(broker.url()) as client:
        client.delete(STREAM, REFUSED)
