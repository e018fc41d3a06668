"""Takes events in: checked, their people named by pseudonym, and durable before they are accepted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from shopgraph.events.event import Event, FieldError, WaitingEvent, accepted, parsed
from shopgraph.events.stream import AT_ONCE, EventStream
from shopgraph.privacy.pseudonym import Pseudonymiser
from shopgraph.settings import utc_now

LINE_BYTES = 64 * 1024
READ_BYTES = 256 * 1024
MOST_REFUSED = 10_000
"""Refused lines that an answer lists; more are counted."""


class Bytes(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class RefusedLine:
    """A line that was not accepted; the rest were."""

    line: int
    """Counted from 1."""
    field: str
    reason: str


@dataclass
class Receipt:
    """What became of many events."""

    accepted: int = 0
    lines: int = 0
    """Lines that were read, empty ones included."""
    refused: list[RefusedLine] = field(default_factory=list)
    unlisted: int = 0
    """Lines that were refused beyond those that are listed."""


class Intake:
    """The door for events of one shop; it needs no Neo4j.

    Args:
        source: the namespace of raw user ids and of event ids.
    """

    def __init__(self, stream: EventStream, pseudonymiser: Pseudonymiser, source: str) -> None:
        self.stream = stream
        self._pseudonymiser = pseudonymiser
        self._source = source

    def accept(self, event: Event) -> WaitingEvent:
        """Durable on return.

        Raises:
            FieldError: it lacks what its type needs, or its time can't be.
            ServiceError: the broker does not answer.
        """
        waiting = accepted(event, self._source, self._pseudonymiser, utc_now())
        self.stream.append([waiting])
        return waiting

    def accept_lines(self, body: Bytes) -> Receipt:
        """Take JSON Lines in, those that can be; what is accepted is durable on return.

        Raises:
            ServiceError: the broker does not answer; lines before it are accepted, and may be sent again with the rest.
        """
        receipt, waiting = Receipt(), list[WaitingEvent]()
        for line in lines(body):
            receipt.lines += 1
            try:
                if len(line) > LINE_BYTES:
                    raise FieldError("event", f"longer than {LINE_BYTES} bytes")
                if line.strip():
                    waiting.append(accepted(parsed(line), self._source, self._pseudonymiser, utc_now()))
            except FieldError as error:
                if len(receipt.refused) < MOST_REFUSED:
                    receipt.refused.append(RefusedLine(receipt.lines, error.field, error.reason))
                else:
                    receipt.unlisted += 1
            if len(waiting) == AT_ONCE:
                self._append(waiting, receipt)
        self._append(waiting, receipt)
        return receipt

    def _append(self, waiting: list[WaitingEvent], receipt: Receipt) -> None:
        self.stream.append(waiting)
        receipt.accepted += len(waiting)
        waiting.clear()


def lines(body: Bytes) -> Iterator[bytes]:
    """The lines of a body in bounded memory: of one that is too long, no more than its first bytes are kept."""
    rest = b""
    for block in _blocks(body):
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
        if len(rest) > LINE_BYTES:
            rest = rest[: LINE_BYTES + 1]
    if rest:
        yield rest


def _blocks(body: Bytes) -> Iterable[bytes]:
    return iter(lambda: body.read(READ_BYTES), b"")
