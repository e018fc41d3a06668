from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shopgraph.events.consumer import Consumer
from shopgraph.events.event import Event, WaitingEvent, accepted, session_pseudonym
from shopgraph.events.stream import EventStream
from shopgraph.graph.connection import Graph
from shopgraph.privacy.pseudonym import Pseudonymiser

NAMES = Pseudonymiser(b"k" * 32)
ANN = NAMES.pseudonym("s", "Ann")
AT = datetime(2024, 6, 1, tzinfo=UTC)
PRODUCTS = "CYPHER 25 UNWIND ['s:tea', 's:soup'] AS id CREATE (:Product {id: id, title: id})"
RELATIONS = """
CYPHER 25 MATCH (a)-[e]->(b) WHERE e.run = 'events'
RETURN labels(a)[0] AS label, a.id AS start, type(e) AS type, properties(e) AS properties, b.id AS end
ORDER BY e.line_id
"""


@pytest.fixture
def shop(graph: Graph) -> Graph:
    graph.driver.execute_query(PRODUCTS, database_=graph.database)
    return graph


Send = Callable[..., None]


@pytest.fixture
def send(stream: EventStream) -> Send:
    def sent(*posted: dict[str, Any]) -> None:
        complete = [{"type": "view", "user_id": "Ann", "product_id": "s:tea", "at": AT, **fields} for fields in posted]
        stream.append([accepted(Event.model_validate(fields), "s", NAMES, datetime.now(UTC)) for fields in complete])

    return sent


def written(graph: Graph) -> list[dict[str, Any]]:
    return [record.data() for record in graph.driver.execute_query(RELATIONS, database_=graph.database).records]


def test_each_type_of_event_becomes_its_relation(shop: Graph, stream: EventStream, send: Send) -> None:
    send(
        {"event_id": "1"},
        {"event_id": "2", "type": "search", "product_id": None, "query": "Green  Tea"},
        {"event_id": "3", "type": "purchase", "amount": 5.0, "quantity": 2, "order_id": "o"},
        {"event_id": "4", "type": "rating", "rating": 4.5, "text": "good"},
        {"event_id": "5", "type": "hide"},
        {"event_id": "6", "type": "unhide"},
        {"event_id": "7", "type": "basket_add", "user_id": None, "session_id": "visit"},
        {"event_id": "8", "type": "basket_remove", "user_id": None, "session_id": "visit"},
    )
    assert Consumer(shop, stream, "s").step(0.01) == 8
    found = written(shop)
    assert [each["type"] for each in found] == [
        "VIEWED", "SEARCHED", "PURCHASED", "RATED", "HID", "UNHID", "PUT_IN_BASKET", "TOOK_FROM_BASKET"
    ]  # fmt: skip
    assert [each["label"] for each in found] == [*["User"] * 6, *["Session"] * 2]
    assert {each["start"] for each in found[:6]} == {ANN}
    assert found[1]["end"] == "green tea"
    bought = found[2]["properties"]
    assert (bought["quantity"], bought["amount"], bought["discount"], bought["order_id"]) == (2, 5.0, 0.0, "s:o")
    assert (found[3]["properties"]["rating"], found[3]["properties"]["text"]) == (4.5, "good")
    assert all(each["properties"]["at"].to_native() == AT for each in found)
    assert shop.single("newest_event")["at"].to_native() == AT
    assert stream.backlog().waiting == 0


def test_an_event_counts_once_however_often_it_comes(shop: Graph, stream: EventStream, send: Send) -> None:
    consumer = Consumer(shop, stream, "s")
    send({"event_id": "1"}, {"event_id": "1"})
    consumer.step(0.01)
    send({"event_id": "1"}, {"event_id": "2", "at": AT - timedelta(days=3)})
    consumer.step(0.01)
    assert [each["properties"]["line_id"] for each in written(shop)] == ["s:1", "s:2"]
    assert shop.single("newest_event")["at"].to_native() == AT, "an event of long ago does not turn the clock back"


def test_what_was_written_but_not_settled_is_not_written_twice(
    shop: Graph, stream: EventStream, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill between the two."""
    send({"event_id": "1", "type": "purchase", "amount": 1.0})
    consumer = Consumer(shop, stream, "s")
    with monkeypatch.context() as killed:
        killed.setattr(stream, "settle", lambda entries: None)
        assert consumer.step(0.01) == 1
    assert consumer.step(0.01) == 1
    assert (len(written(shop)), stream.backlog().waiting) == (1, 0)


def test_an_event_of_an_unknown_product_is_kept_until_the_product_is_there(
    shop: Graph, stream: EventStream, send: Send
) -> None:
    consumer = Consumer(shop, stream, "s")
    send({"event_id": "1", "product_id": "s:new"}, {"event_id": "2"})
    consumer.step(0.01)
    assert [each["properties"]["line_id"] for each in written(shop)] == ["s:2"]
    assert [(each.event.end, each.reason) for each in stream.refused()] == [("s:new", "no such product in the graph")]
    shop.driver.execute_query("CREATE (:Product {id: 's:new'})", database_=shop.database)
    stream.retry()
    consumer.step(0.01)
    assert len(written(shop)) == 2
    assert stream.backlog().refused == 0


def test_an_id_that_two_types_share_is_two_events(shop: Graph, stream: EventStream, send: Send) -> None:
    send({"event_id": "1", "product_id": "s:new"}, {"event_id": "1", "type": "hide"})
    Consumer(shop, stream, "s").step(0.01)
    assert [each["type"] for each in written(shop)] == ["HID"]
    assert [each.event.type for each in stream.refused()] == ["view"]


def test_one_event_that_cannot_be_written_does_not_hold_up_the_others(
    shop: Graph, stream: EventStream, send: Send
) -> None:
    send({"event_id": "1"})
    stream.append([WaitingEvent("view", "User", ANN, "s:tea", "s:2", 0, {"nested": {"map": 1}})])
    send({"event_id": "3"})
    assert Consumer(shop, stream, "s").step(0.01) == 3
    assert [each["properties"]["line_id"] for each in written(shop)] == ["s:1", "s:3"]
    (refused,) = stream.refused()
    assert refused.event.line_id == "s:2"
    assert "events_written" in refused.reason
    assert stream.backlog().waiting == 0


def test_when_an_event_does_not_say_when_its_arrival_or_the_datas_clock_counts(
    shop: Graph, stream: EventStream, send: Send
) -> None:
    send({"event_id": "1", "at": None})
    Consumer(shop, stream, "s").step(0.01)
    send({"event_id": "2", "at": None})
    Consumer(shop, stream, "s", now=lambda: AT).step(0.01)
    first, second = (each["properties"]["at"].to_native() for each in written(shop))
    assert abs(datetime.now(UTC) - first) < timedelta(minutes=1)
    assert second == AT


def test_those_that_do_not_say_when_follow_each_other_on_the_datas_clock_which_is_read_once(
    shop: Graph, stream: EventStream, send: Send
) -> None:
    read: list[int] = []

    def now() -> datetime:
        read.append(1)
        return AT

    send(*({"event_id": str(number), "type": kind, "at": None} for number, kind in enumerate(["unhide", "hide"] * 3)))
    Consumer(shop, stream, "s", now=now).step(0.01)
    found = {each["properties"]["line_id"]: each["properties"]["at"].to_native() for each in written(shop)}
    assert [found[f"s:{number}"] - AT for number in range(6)] == [timedelta(milliseconds=number) for number in range(6)]
    assert len(read) == 1


def test_sessions_of_long_ago_are_forgotten(shop: Graph, stream: EventStream, send: Send) -> None:
    send({"user_id": None, "session_id": "old"})
    Consumer(shop, stream, "s").step(0.01)
    ages = "MATCH (v:Session) SET v.seen_at = v.seen_at - duration('P31D')"
    shop.driver.execute_query(ages, database_=shop.database)
    send({"user_id": None, "session_id": "new"})
    consumer = Consumer(shop, stream, "s")
    consumer.step(0.01)
    left = shop.driver.execute_query("MATCH (v:Session) RETURN v.id AS id", database_=shop.database).records
    assert [record["id"] for record in left] == [session_pseudonym("new", "s", NAMES)]
