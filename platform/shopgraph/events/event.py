"""An event as it is posted, checked; and as it waits to be written, when nothing in it names a person any more."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from shopgraph.errors import InputError
from shopgraph.privacy.pseudonym import Pseudonymiser, is_pseudonym
from shopgraph.schema import EVENTS, SESSION

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
CLOCK_SKEW = timedelta(days=1)
"""How far a shop's clock may run ahead. Nothing happens after it arrives: such an event counts from its arrival on."""

_BLANKS = re.compile(r"\s+")

Id = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class Event(BaseModel):
    """One thing that somebody did, by the column names of a shop's behavior.csv."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    type: Literal["view", "search", "purchase", "rating", "basket_add", "basket_remove", "hide", "unhide"] = Field(
        description="what was done"
    )
    event_id: Id | None = Field(
        None, description="sent twice, it counts once; without one, equal events that say `at` count once"
    )
    user_id: Id | None = Field(None, description="the shop's own user id, or a pseudonym (u_...)")
    session_id: Id | None = Field(None, description="the visit; enough where nobody has signed in")
    product_id: Id | None = Field(None, description="as answers name it; of every type but search")
    query: Id | None = Field(None, description="of a search")
    at: datetime | None = Field(None, description="ISO 8601, UTC unless it says otherwise; by default its arrival")
    quantity: int = Field(1, ge=1, le=1_000_000, description="of a purchase")
    amount: float | None = Field(None, ge=0, le=1e12, description="of a purchase: the line's total paid")
    discount: float = Field(0.0, ge=0, le=1e12, description="of a purchase: what was taken off the line")
    order_id: Id | None = Field(None, description="of a purchase: its basket")
    rating: float | None = Field(None, ge=1, le=5, description="of a rating: 1 (worst) to 5 (best)")
    text: Annotated[str, StringConstraints(max_length=20_000)] = Field("", description="of a rating: the review")
    recommendation_id: Id | None = Field(None, description="of the answer that it came of, as the answer named itself")


@dataclass(frozen=True)
class WaitingEvent:
    """An event that was accepted.

    Its user or session is a pseudonym; `at_ms` is None where it happened when it arrived.
    """

    type: str
    label: str
    """`User` or `Session`."""
    start: str
    end: str
    """A product id, or the term that was searched for."""
    line_id: str
    at_ms: int | None
    properties: dict[str, Any]
    """What the relation carries besides."""

    def to_json(self) -> str:
        return json.dumps(astuple(self), separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> WaitingEvent:
        return cls(*json.loads(text))


class FieldError(InputError):
    """An event that can't be used: the field at fault and why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


def parsed(line: bytes | str) -> Event:
    """Read one JSON object.

    Raises:
        FieldError: it is none, or a field of it breaks its rule.
    """
    try:
        return Event.model_validate_json(line)
    except ValidationError as error:
        raise field_error(error) from None


def field_error(error: ValidationError) -> FieldError:
    """The first fault of an event."""
    first = error.errors(include_url=False, include_input=False)[0]
    return FieldError(".".join(str(part) for part in first["loc"]) or "event", first["msg"])


def accepted(event: Event, source: str, pseudonymiser: Pseudonymiser, now: datetime) -> WaitingEvent:
    """The event as it waits.

    Args:
        source: of raw ids; the namespace of event ids too.

    Raises:
        FieldError: it lacks what its type needs, or its time can't be.
    """
    kind = EVENTS[event.type]
    for name in kind.needs:
        if getattr(event, name) is None:
            raise FieldError(name, f"missing: a {event.type} needs it")
    label, start = _who(event, source, pseudonymiser)
    at_ms = _at_ms(event.at, now)
    end = _BLANKS.sub(" ", str(event.query)).strip().lower() if kind.relation == "SEARCHED" else str(event.product_id)
    if not end:
        raise FieldError("query", "nothing but blanks")
    named = event.event_id or _digest(event, start, end, at_ms)
    line_id = f"{source}:{named}"
    return WaitingEvent(
        event.type, label, start, end, line_id, at_ms, _properties(event, source, start, at_ms, line_id)
    )


def _who(event: Event, source: str, pseudonymiser: Pseudonymiser) -> tuple[str, str]:
    if event.user_id is not None:
        known = is_pseudonym(event.user_id)
        return "User", event.user_id if known else pseudonymiser.pseudonym(source, event.user_id)
    if event.session_id is None:
        raise FieldError("user_id", "missing: an event needs a user_id or a session_id")
    return SESSION, session_pseudonym(event.session_id, source, pseudonymiser)


def session_pseudonym(session_id: str, source: str, pseudonymiser: Pseudonymiser) -> str:
    """The graph's id of a session: a shop's session ids open its visitors' accounts, so the graph holds none."""
    return "s_" + pseudonymiser.pseudonym(f"{source} session", session_id).removeprefix("u_")


def _at_ms(at: datetime | None, now: datetime) -> int | None:
    if at is None:
        return None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    if at < EARLIEST:
        raise FieldError("at", "before 1970")
    if at > now + CLOCK_SKEW:
        raise FieldError("at", "in the future")
    return round(min(at, now).timestamp() * 1000)


def _properties(event: Event, source: str, start: str, at_ms: int | None, line_id: str) -> dict[str, Any]:
    came_of = {} if event.recommendation_id is None else {"recommendation_id": event.recommendation_id}
    if event.type == "rating":
        return {"rating": event.rating, "text": event.text, **came_of}
    if event.type != "purchase":
        return came_of
    # lines without an order that one user buys at one moment are one basket, as in behavior.csv
    order = event.order_id or (line_id.partition(":")[2] if at_ms is None else f"{start}@{at_ms}")
    return {
        "quantity": event.quantity,
        "amount": event.amount,
        "discount": event.discount,
        "order_id": f"{source}:{order}",
        **came_of,
    }


def _digest(event: Event, start: str, end: str, at_ms: int | None) -> str:
    """128-bit name of an event without an id: by all that it says happened; by chance where it does not say when."""
    if at_ms is None:
        return secrets.token_hex(16)
    said = (event.quantity, event.amount, event.discount, event.rating, event.text)
    key = "\0".join((event.type, start, end, str(at_ms), event.order_id or "", *map(str, said)))
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
