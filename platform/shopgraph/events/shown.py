"""What was shown to whom: it waits in a stream of its own until it is in the graph, and no answer waits for it."""

from __future__ import annotations

import atexit
import json
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, field

from redis import Redis

from shopgraph.errors import ServiceError
from shopgraph.events.stream_group import AT_ONCE, StreamGroup, open_client, reaching

logger = logging.getLogger(__name__)

STREAM, LOST, GROUP = "shopgraph:shown", "shopgraph:shown:lost", "graph"
MOST_WAITING = 100_000
"""In the broker, about: without a consumer the oldest make room."""
MOST_QUEUED = 10_000
"""In a process, while the broker does not answer."""
LINGER_SECONDS = 0.1
"""How long answers gather before they are sent: a broker that keeps events flushes its log to disk at each write."""
IDLE_SECONDS = 0.5
"""How late a thread that has nothing to send notices that its process ends."""
PAUSE_SECONDS = 1.0
CLOSE_SECONDS = 2.0


@dataclass(frozen=True)
class Shown:
    """An answer; nothing in it names a person."""

    id: str
    label: str
    """`User` or `Session`; "" where nobody was named."""
    who: str
    """Pseudonym."""
    at_ms: int
    """When it was shown, by the clock that events have: a list that was ranked ahead is of an earlier moment."""
    scenario: str
    experiment: str
    variant: str
    items: Sequence[str]
    teams: Sequence[int] = field(default_factory=list)
    """By item, which of two interleaved lists picked it."""

    def to_json(self) -> str:
        return json.dumps(astuple(self), separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Shown:
        return cls(*json.loads(text))


@dataclass(frozen=True)
class ShownEntry:
    """An answer with its place in the stream."""

    id: str
    shown: Shown

    @property
    def arrived_ms(self) -> int:
        return int(self.id.partition("-")[0])


class ShownStream:
    """The stream in the broker."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._group = StreamGroup(client, STREAM, GROUP)

    def append(self, shown: Sequence[Shown], lost: int = 0) -> None:
        """In the broker on return.

        Args:
            lost: answers that could not be kept since the last time; they are counted.

        Raises:
            ServiceError: the broker does not answer; some may be in the stream.
        """
        with reaching(), self._client.pipeline(transaction=False) as pipeline:
            for each in shown:
                pipeline.xadd(STREAM, {"shown": each.to_json()}, maxlen=MOST_WAITING, approximate=True)
            if lost:
                pipeline.incrby(LOST, lost)
            pipeline.execute()

    def read(self, consumer: str) -> list[ShownEntry]:
        """The next entries, without waiting; see `StreamGroup.read`.

        Raises:
            ServiceError: the broker does not answer.
        """
        with reaching():
            found = self._group.read(consumer, 0)
        return [ShownEntry(place, Shown.from_json(fields["shown"])) for place, fields in found]

    def settle(self, entries: Sequence[ShownEntry]) -> None:
        """They are in the graph: forget them."""
        with reaching():
            self._group.settle([entry.id for entry in entries])

    def lost(self) -> int:
        """Answers of which nothing was kept."""
        with reaching():
            return int(self._client.get(LOST) or 0)


class ShownLog:
    """Hands answers to the broker from a thread of its own. One a process, made after the fork.

    A broker that does not answer is asked again; meanwhile `MOST_QUEUED` answers are kept, and the rest are lost, which
    is logged and counted.

    Args:
        url: tells the broker's address; it may raise ServiceError.
    """

    def __init__(self, url: Callable[[], str]) -> None:
        self._url = url
        self._queue: queue.Queue[Shown] = queue.Queue(MOST_QUEUED)
        self._lost = 0
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def note(self, shown: Shown) -> None:
        """Keep an answer; at once, and whatever happens to the broker."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._send, name="shown", daemon=True)
                self._thread.start()
                atexit.register(self.close)
            try:
                self._queue.put_nowait(shown)
            except queue.Full:
                self._lost += 1

    def close(self) -> None:
        """Send what is left, where the broker answers within moments."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)

    def _send(self) -> None:
        client: Redis | None = None
        waiting: list[Shown] = []
        failing = False
        while not (self._closing.is_set() and not waiting and self._queue.empty()):
            self._gather(waiting)
            with self._lock:
                lost, self._lost = self._lost, 0
            if not waiting and not lost:
                continue
            try:
                client = client or open_client(self._url())
                ShownStream(client).append(waiting, lost)
                waiting, failing = [], False
            except (ServiceError, ValueError) as error:  # redis says ValueError of an address that is none
                client = None  # one that was started again may listen elsewhere
                with self._lock:
                    self._lost += lost
                if not failing:
                    logger.warning("what is shown is not kept for now: %s", error)
                failing = True
                if self._closing.is_set():
                    logger.warning("%d answers were not kept", len(waiting) + self._queue.qsize() + self._lost)
                    return
                self._closing.wait(PAUSE_SECONDS)

    def _gather(self, waiting: list[Shown]) -> None:
        """Add what comes within moments, so that many share one write."""
        with suppress(queue.Empty):
            if not waiting:
                waiting.append(self._queue.get(timeout=IDLE_SECONDS))
                self._closing.wait(LINGER_SECONDS)
            while len(waiting) < AT_ONCE:
                waiting.append(self._queue.get_nowait())
