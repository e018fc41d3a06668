"""What was shown goes to the broker behind the answers' backs, and to the graph once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis

from shopgraph.errors import ServiceError
from shopgraph.events import shown as module
from shopgraph.events.consumer import FORGET_AFTER, Consumer
from shopgraph.events.event import Event, accepted
from shopgraph.events.shown import LOST, STREAM, Shown, ShownLog
from shopgraph.events.stream import EventStream
from shopgraph.graph.connection import Graph
from shopgraph.privacy.pseudonym import Pseudonymiser
from shopgraph.services.broker import Broker
from shopgraph.services.local_process import free_port

AT = datetime(2024, 6, 1, tzinfo=UTC)
KEPT = "MATCH (r:Recommendation) RETURN properties(r) AS r ORDER BY r.id"


@pytest.fixture(autouse=True)
def nothing_waits(broker: Broker) -> Iterator[None]:
    with Redis.from_url(broker.url()) as client:
        client.delete(STREAM, LOST)
        yield
        client.delete(STREAM, LOST)


def answer(number: int) -> Shown:
    at_ms = round(AT.timestamp() * 1000)
    return Shown(f"r_{number}", "User", "u_1", at_ms, "home", "e-1", "control", ["s:tea", "s:soup"], [1, 0])


def wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def kept(graph: Graph) -> list[dict[str, object]]:
    return [record["r"] for record in graph.driver.execute_query(KEPT, database_=graph.database).records]


def test_what_was_shown_is_in_the_graph_once_and_forgotten_after_a_month(graph: Graph, stream: EventStream) -> None:
    consumer = Consumer(graph, stream, "s")
    stream.shown.append([answer(1), answer(2)])
    consumer.step(0.01)
    stream.shown.append([answer(1), answer(3)])
    consumer.step(0.01)
    assert len(kept(graph)) == 2  # what comes within moments waits for more
    Consumer(graph, stream, "s").step(0.01)
    one, two, _ = kept(graph)
    assert (one["id"], two["id"]) == ("r_1", "r_2")
    assert {key: one[key] for key in ("who", "label", "scenario", "experiment", "variant", "items", "teams")} == {
        "who": "u_1", "label": "User", "scenario": "home", "experiment": "e-1", "variant": "control",
        "items": ["s:tea", "s:soup"], "teams": [1, 0],
    }  # fmt: skip
    assert one["at"].to_native() == AT
    assert abs(one["kept_at"].to_native() - datetime.now(UTC)) < timedelta(minutes=1)
    assert stream.shown.read("another") == []
    age = "MATCH (r:Recommendation {id: 'r_1'}) SET r.kept_at = r.kept_at - $age"
    graph.driver.execute_query(age, age=FORGET_AFTER, database_=graph.database)
    Consumer(graph, stream, "s").step(0.01)
    assert [each["id"] for each in kept(graph)] == ["r_2", "r_3"]


def test_an_event_keeps_the_answer_that_it_came_of(graph: Graph, stream: EventStream) -> None:
    graph.driver.execute_query("CREATE (:Product {id: 's:tea'})", database_=graph.database)
    names, posted = Pseudonymiser(b"k" * 32), {"user_id": "1", "product_id": "s:tea", "recommendation_id": "r_1"}
    kinds = [{"type": "view"}, {"type": "purchase", "amount": 1.0}, {"type": "rating", "rating": 4.0}]
    events = [Event.model_validate({**posted, **kind}) for kind in kinds]
    stream.append([accepted(event, "s", names, datetime.now(UTC)) for event in events])
    Consumer(graph, stream, "s").step(0.01)
    found = graph.driver.execute_query(
        "MATCH ()-[e]->(:Product) RETURN collect(e.recommendation_id) AS ids", database_=graph.database
    ).records[0]
    assert found["ids"] == ["r_1"] * 3


def test_no_answer_waits_for_the_broker_and_what_was_shown_meanwhile_follows(
    broker: Broker, stream: EventStream, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First no broker is named, then one that does not listen, then the real one."""
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.05)
    addresses: list[str] = [f"redis://127.0.0.1:{free_port(None)}/0"]

    def url() -> str:
        if not addresses:
            raise ServiceError("the managed broker is not running")
        return addresses[-1]

    log = ShownLog(url)
    started = time.perf_counter()
    for number in range(1_000):
        log.note(answer(number))
    assert time.perf_counter() - started < 1.0
    with caplog.at_level(logging.WARNING):
        wait_until(lambda: "is not kept for now" in caplog.text)
        addresses.clear()
        time.sleep(0.2)
        addresses.append(broker.url())
        found = set[str]()

        def read() -> int:
            entries = stream.shown.read("one")
            stream.shown.settle(entries)
            found.update(entry.shown.id for entry in entries)
            return len(found)

        wait_until(lambda: read() == 1_000)
    assert found == {f"r_{number}" for number in range(1_000)}
    assert caplog.text.count("is not kept for now") == 1
    log.close()


def test_what_does_not_fit_is_lost_and_counted(
    broker: Broker, stream: EventStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_QUEUED", 3)
    monkeypatch.setattr(module, "LINGER_SECONDS", 1.0)
    log = ShownLog(broker.url)
    for number in range(9):
        log.note(answer(number))
    wait_until(lambda: stream.shown.lost() > 0)
    kept = [entry.shown.id for entry in stream.shown.read("one")]
    assert kept[:3] == ["r_0", "r_1", "r_2"]
    assert len(kept) in (3, 4), "the thread may have one in its hands"
    assert len(kept) + stream.shown.lost() == 9
    log.close()


def test_what_is_left_is_sent_when_the_process_ends(broker: Broker, stream: EventStream) -> None:
    log = ShownLog(broker.url)
    log.note(answer(1))
    log.close()
    assert [entry.shown.id for entry in stream.shown.read("one")] == ["r_1"]
