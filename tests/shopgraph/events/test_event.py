import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shopgraph.events.event import Event, FieldError, WaitingEvent, accepted, parsed, session_pseudonym
from shopgraph.events.intake import LINE_BYTES, lines
from shopgraph.privacy.pseudonym import Pseudonymiser, is_pseudonym
from shopgraph.schema import EVENTS, RELATIONS, STEERING

NOW = datetime(2024, 6, 3, 12, tzinfo=UTC)
NAMES = Pseudonymiser(b"k" * 32)


def waiting(**fields: Any) -> WaitingEvent:
    posted = {"type": "view", "user_id": "Ann", "product_id": "s:tea", **fields}
    return accepted(parsed(json.dumps(posted, default=str)), "s", NAMES, NOW)


def test_nothing_that_waits_names_a_person() -> None:
    event = waiting(event_id="e1", session_id="cookie")
    assert (event.label, event.start, event.line_id) == ("User", NAMES.pseudonym("s", "Ann"), "s:e1")
    assert waiting(user_id=event.start).start == event.start
    visit = waiting(user_id=None, session_id="cookie")
    assert (visit.label, visit.start) == ("Session", session_pseudonym("cookie", "s", NAMES))
    assert not is_pseudonym(visit.start)
    for each in (event, visit):
        assert "Ann" not in each.to_json()
        assert "cookie" not in each.to_json()
        assert WaitingEvent.from_json(each.to_json()) == each


def test_equal_events_without_an_id_have_one_name_and_others_have_their_own() -> None:
    same = {"at": NOW - timedelta(hours=1)}
    assert waiting(**same).line_id == waiting(**same).line_id
    others = [
        same,
        {},
        {},
        {"at": NOW},
        same | {"product_id": "s:wine"},
        same | {"type": "hide"},
        same | {"user_id": "Bo"},
        same | {"type": "purchase", "amount": 3.0},
        same | {"type": "purchase", "amount": 2.5, "discount": 0.5},
        same | {"type": "purchase", "amount": 3.0, "quantity": 2},
    ]
    assert len({waiting(**fields).line_id for fields in others}) == len(others)


def test_an_event_counts_from_its_arrival_where_the_shops_clock_runs_ahead() -> None:
    milliseconds = round(NOW.timestamp() * 1000)
    assert waiting().at_ms is None
    assert waiting(at="2024-06-03T12:00:00Z").at_ms == milliseconds
    assert waiting(at="2024-06-03T14:00:00+02:00").at_ms == milliseconds
    assert waiting(at="2024-06-03T12:00:00").at_ms == milliseconds
    assert waiting(at=NOW + timedelta(hours=2)).at_ms == milliseconds
    assert waiting(at=NOW - timedelta(hours=2)).at_ms == milliseconds - 7_200_000


def test_each_type_becomes_its_relation_with_what_it_carries() -> None:
    search = waiting(type="search", product_id=None, query="  Green   TEA ")
    assert search.end == "green tea"
    bought = waiting(type="purchase", amount=3.5, quantity=2, order_id="o1")
    assert bought.properties == {"quantity": 2, "amount": 3.5, "discount": 0.0, "order_id": "s:o1"}
    at = NOW - timedelta(minutes=1)
    basket = {
        waiting(type="purchase", amount=1, at=at, product_id=name).properties["order_id"] for name in ("s:a", "s:b")
    }
    assert len(basket) == 1
    assert waiting(type="rating", rating=4, text="fine").properties == {"rating": 4, "text": "fine"}
    assert waiting(type="hide").properties == {}
    assert {event.relation for event in EVENTS.values()} <= RELATIONS.keys() | STEERING.keys()
    assert set(Event.model_fields["type"].annotation.__args__) == set(EVENTS)


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"type": "buy"}, "type", "view"),
        ({"user_id": None}, "user_id", "session_id"),
        ({"user_id": "   "}, "user_id", "at least 1"),
        ({"user_id": "x" * 201}, "user_id", "at most 200"),
        ({"user_id": "a\0b"}, "user_id", "pattern"),
        ({"product_id": None}, "product_id", "a view needs it"),
        ({"type": "purchase"}, "amount", "a purchase needs it"),
        ({"type": "purchase", "amount": -1}, "amount", "greater than or equal to 0"),
        ({"type": "purchase", "amount": float("nan")}, "amount", "finite"),
        ({"type": "purchase", "amount": 1, "quantity": 0}, "quantity", "greater than or equal to 1"),
        ({"type": "rating"}, "rating", "a rating needs it"),
        ({"type": "rating", "rating": 6}, "rating", "less than or equal to 5"),
        ({"type": "search", "product_id": None}, "query", "a search needs it"),
        ({"at": "yesterday"}, "at", "datetime"),
        ({"at": "1969-12-31T00:00:00Z"}, "at", "before 1970"),
        ({"at": NOW + timedelta(days=2)}, "at", "in the future"),
        ({"prodct_id": "s:tea"}, "prodct_id", "not permitted"),
    ],
)
def test_what_breaks_a_rule_is_told_by_its_field(fields: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(FieldError, match=said) as told:
        waiting(**fields)
    assert told.value.field == field


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'"view"', b'{"type": "view"' + b" " * 100])
def test_what_is_no_object_is_refused(line: bytes) -> None:
    with pytest.raises(FieldError):
        parsed(line)


class Body:
    """Hands out its bytes in pieces of an odd size, as a network does."""

    def __init__(self, content: bytes, piece: int = 7) -> None:
        self.content, self.piece = content, piece

    def read(self, size: int, /) -> bytes:
        piece, self.content = self.content[: self.piece], self.content[self.piece :]
        return piece


def test_lines_come_whole_however_they_arrive_and_a_long_one_is_not_kept() -> None:
    assert list(lines(Body(b"one\n\n  two words\nlast"))) == [b"one", b"", b"  two words", b"last"]
    assert list(lines(Body(b"one\n"))) == [b"one"]
    assert list(lines(Body(b""))) == []
    longest = b"x" * (3 * LINE_BYTES)
    found = list(lines(Body(longest + b"\nnext", 10_000)))
    assert [len(found[0]) > LINE_BYTES, found[1]] == [True, b"next"]
    assert len(found[0]) < LINE_BYTES + 10_002
