"""Events over HTTP, into the real stream, by the consumer into the planted shop, and into the next answer."""

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from werkzeug.test import TestResponse

from shopgraph.events import intake
from shopgraph.events.consumer import Consumer
from shopgraph.events.stream import REFUSED, STREAM, EventStream
from shopgraph.graph.connection import Graph
from shopgraph.recommend.clock import Clock
from shopgraph.services.broker import Broker
from shopgraph.services.local_process import free_port
from shopgraph.settings import Settings
from shopgraph.wiring_serving import Serving
from shopgraph_web.application import create_app
from shopgraph_web.keys import create_key

RAW_USER = "household 17"
Post = Callable[..., TestResponse]


@pytest.fixture(scope="module")
def web(settings: Settings, serving: Serving, broker: Broker) -> Flask:
    """A panel in the home of the broker."""
    return create_app(settings.model_copy(update={"broker_url": broker.url()}), serving=serving)


@pytest.fixture(scope="module")
def key(web: Flask) -> str:
    with web.app_context():
        return create_key("shop")


@pytest.fixture
def post(web: Flask, key: str) -> Post:
    def posted(body: bytes | str, content: str = "application/json") -> TestResponse:
        headers = {"X-API-Key": key, "Content-Type": content}
        return web.test_client().post("/api/v1/events", data=body, headers=headers)

    return posted


@pytest.fixture
def ask(web: Flask, key: str) -> Callable[[str], list[str]]:
    """The products of an answer."""

    def asked(query: str) -> list[str]:
        answer = web.test_client().get(f"/api/v1/recommendations?{query}", headers={"X-API-Key": key})
        assert answer.status_code == 200, answer.json
        return [item["id"] for item in answer.json["items"]]

    return asked


@pytest.fixture
def consumer(shop: Graph, broker: Broker, settings: Settings) -> Iterator[Consumer]:
    """Writes to the planted shop, whose clock is its data's; what a test wrote is gone after it."""
    with Redis.from_url(broker.url()) as client:
        client.delete(STREAM, REFUSED)
    stream = EventStream(broker.url())
    yield Consumer(shop, stream, settings.source, Clock(shop, "data").now)
    stream.close()
    undo = "CYPHER 25 MATCH ()-[e {run: 'events'}]->() DELETE e"
    shop.driver.execute_query(undo, database_=shop.database)
    shop.driver.execute_query("MATCH (v:Session) DELETE v", database_=shop.database)


def event(**fields: object) -> str:
    return json.dumps({"type": "view", "user_id": RAW_USER, "product_id": "shop:tea", **fields})


def test_what_is_hidden_is_gone_from_the_next_answer_until_it_is_taken_back(
    post: Post, ask: Callable[[str], list[str]], consumer: Consumer
) -> None:
    assert "shop:bread" in ask(f"user={RAW_USER}")
    answer = post(event(type="hide", product_id="shop:bread"))
    assert (answer.status_code, answer.json) == (202, {"accepted": 1, "lines": 1, "refused": [], "unlisted": 0})
    consumer.step()
    assert "shop:bread" not in ask(f"user={RAW_USER}")
    assert "shop:bread" in ask("user=somebody else")
    post(event(type="unhide", product_id="shop:bread"))
    consumer.step()
    assert "shop:bread" in ask(f"user={RAW_USER}")


def test_what_a_visitor_looks_at_changes_the_next_answer_of_that_visit(
    post: Post, ask: Callable[[str], list[str]], consumer: Consumer
) -> None:
    """Soup and bread are bought together; tea is bought alone."""
    before = ask("session=cookie 1")
    assert "shop:tea" in before
    post(event(user_id=None, session_id="cookie 1", product_id="shop:soup"))
    consumer.step()
    after = ask("session=cookie 1")
    assert after[0] == "shop:bread"
    assert "shop:soup" not in after
    assert ask("session=cookie 2") == before
    post(event(user_id=None, session_id="cookie 1", type="basket_add", product_id="shop:bread"))
    consumer.step()
    assert not {"shop:soup", "shop:bread"} & set(ask("session=cookie 1"))
    post(event(user_id=None, session_id="cookie 1", type="basket_remove", product_id="shop:bread"))
    consumer.step()
    assert "shop:bread" in ask("session=cookie 1")


def test_what_a_visitor_searches_for_changes_the_next_answer_of_that_visit(
    post: Post, ask: Callable[[str], list[str]], consumer: Consumer
) -> None:
    """Soup and bread sell better; the latest search counts most, and none that looks like an operator breaks it."""
    before = ask("session=cookie 5")
    assert before[0] != "shop:tea"
    post(event(user_id=None, session_id="cookie 5", type="search", product_id=None, query='Green TEA" AND ('))
    consumer.step()
    assert ask("session=cookie 5")[0] == "shop:tea"
    post(event(user_id=None, session_id="cookie 5", type="search", product_id=None, query="bread"))
    consumer.step()
    assert ask("session=cookie 5")[:2] == ["shop:bread", "shop:tea"]
    assert ask("session=cookie 6") == before


def test_a_users_search_is_seen_by_the_next_answer_with_its_reason(
    post: Post, web: Flask, key: str, consumer: Consumer
) -> None:
    def teas() -> list[dict[str, Any]]:
        answer = web.test_client().get(f"/api/v1/recommendations?user={RAW_USER}", headers={"X-API-Key": key})
        return [item for item in answer.json["items"] if item["id"] == "shop:tea"]

    before = teas()
    post(event(type="search", product_id=None, query="tea"))
    consumer.step()
    (tea,) = teas()
    assert "searched_lately" in tea["sources"]
    assert tea["reason"]["text"] == "Its text has what you searched for"
    assert before != [tea]


def test_what_was_rated_badly_is_recommended_again_once_it_is_rated_well(
    post: Post, ask: Callable[[str], list[str]], consumer: Consumer, web: Flask, key: str
) -> None:
    assert "shop:bread" in ask(f"user={RAW_USER}")
    post(event(type="rating", product_id="shop:bread", rating=1, at="2017-12-25T18:00:01Z"))
    consumer.step()
    assert "shop:bread" not in ask(f"user={RAW_USER}")
    assert "shop:bread" in ask("user=somebody else")
    found = web.test_client().get(f"/api/v1/search?q=bread&user={RAW_USER}", headers={"X-API-Key": key})
    assert next(item["id"] for item in found.json["items"]) == "shop:bread"
    post(event(type="rating", product_id="shop:bread", rating=3, at="2017-12-25T18:00:02Z"))
    consumer.step()
    assert "shop:bread" in ask(f"user={RAW_USER}")


def test_all_that_a_visit_looked_at_is_left_out_however_much_it_is(
    post: Post, ask: Callable[[str], list[str]], consumer: Consumer, shop: Graph
) -> None:
    many = [f"shop:extra{number:02}" for number in range(25)]
    shop.driver.execute_query(
        "MATCH (p:Product {id: 'shop:tea'}) UNWIND $ids AS id CREATE (q:Product) SET q += p {.*, id: id}",
        ids=many, database_=shop.database,
    )  # fmt: skip
    try:
        lines = [event(user_id=None, session_id="cookie 3", product_id=product) for product in many]
        assert post("\n".join(lines), "application/x-ndjson").status_code == 202
        consumer.step()
        assert not set(many) & set(ask("session=cookie 3&n=100"))
        assert set(many) & set(ask("session=cookie 4&n=100"))
    finally:
        shop.driver.execute_query(
            "MATCH (q:Product) WHERE q.id IN $ids DETACH DELETE q", ids=many, database_=shop.database
        )


def test_a_bulk_keeps_its_good_lines_and_says_which_are_bad_and_why(post: Post, consumer: Consumer) -> None:
    lines = [event(event_id="1"), "{", "", event(event_id="2", type="buy"), event(event_id="3", product_id="shop:soup")]
    answer = post("\n".join(lines), "application/x-ndjson")
    assert answer.status_code == 202
    assert (answer.json["accepted"], answer.json["lines"]) == (2, 5)
    assert [(bad["line"], bad["field"]) for bad in answer.json["refused"]] == [(2, "event"), (4, "type")]
    assert all(bad["reason"] for bad in answer.json["refused"])
    assert consumer.step() == 2


def test_however_many_lines_are_bad_the_good_ones_are_kept(
    post: Post, consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three megabytes, of which the answer lists as much of what is bad as it may."""
    monkeypatch.setattr(intake, "MOST_REFUSED", 3)
    good = [event(event_id=str(number), text="x" * 200) for number in range(10_000)]
    lines = [*good[:5_000], *["bad"] * 50, *good[5_000:]]
    answer = post("\n".join(lines), "application/x-ndjson").json
    assert (answer["accepted"], answer["lines"], answer["unlisted"]) == (10_000, 10_050, 47)
    assert [bad["line"] for bad in answer["refused"]] == [5_001, 5_002, 5_003]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "event:"),
        ("[]", "event:"),
        (event(type="buy"), "type:"),
        (event(product_id=None), "product_id: missing: a view needs it"),
        (event(at="2999-01-01T00:00:00Z"), "at: in the future"),
        (event(user_id=None), "user_id: missing"),
    ],
)
def test_one_bad_event_is_refused_in_the_one_shape(post: Post, body: str, said: str) -> None:
    answer = post(body)
    assert answer.status_code == 422
    assert answer.json["error"]["code"] == "invalid"
    assert answer.json["error"]["message"].startswith(said)


def test_a_body_that_is_too_large_is_refused(post: Post) -> None:
    answer = post(event(text="x" * 2**20))
    assert (answer.status_code, answer.json["error"]["code"]) == (413, "too_large")


def test_events_ask_for_a_key(web: Flask) -> None:
    assert web.test_client().post("/api/v1/events", data=event()).status_code == 401


def test_events_are_accepted_while_neo4j_does_not_answer(
    settings: Settings, broker: Broker, consumer: Consumer
) -> None:
    away = {"broker_url": broker.url(), "neo4j_uri": f"bolt://127.0.0.1:{free_port(None)}", "neo4j_password": "x"}
    app = create_app(Settings(**{**settings.model_dump(), **away}))
    with app.app_context():
        key = create_key("shop")
    client, headers = app.test_client(), {"X-API-Key": key}
    refused = client.get("/api/v1/recommendations?user=1", headers=headers)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert client.post("/api/v1/events", data=event(event_id="kept"), headers=headers).status_code == 202
    assert consumer.step() == 1


def test_a_broker_that_is_not_there_is_said_and_may_be_tried_again(settings: Settings, serving: Serving) -> None:
    gone = settings.model_copy(update={"broker_url": f"redis://127.0.0.1:{free_port(None)}/0"})
    app = create_app(gone, serving=serving)
    with app.app_context():
        key = create_key("shop")
    answer = app.test_client().post("/api/v1/events", data=event(), headers={"X-API-Key": key})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json["error"]["code"] == "unavailable"


def test_a_broker_that_may_lose_what_it_accepts_is_said_and_may_be_mended(
    settings: Settings, serving: Serving, broker: Broker
) -> None:
    app = create_app(settings.model_copy(update={"broker_url": broker.url()}), serving=serving)
    with app.app_context():
        key = create_key("shop")
    with Redis.from_url(broker.url()) as client:
        client.config_set("appendfsync", "everysec")
        try:
            answer = app.test_client().post("/api/v1/events", data=event(), headers={"X-API-Key": key})
        finally:
            client.config_set("appendfsync", "always")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "appendfsync" in answer.json["error"]["message"]
    assert app.test_client().post("/api/v1/events", data=event(), headers={"X-API-Key": key}).status_code == 202


def test_events_come_in_while_others_wait_for_a_neo4j_that_is_silent(settings: Settings, broker: Broker) -> None:
    """A server that takes connections and says nothing: opening it takes until its timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"bolt://127.0.0.1:{silent.getsockname()[1]}"
        away = {"broker_url": broker.url(), "neo4j_uri": uri, "neo4j_password": "x", "neo4j_timeout_seconds": 3.0}
        app = create_app(Settings(**{**settings.model_dump(), **away}))
        with app.app_context():
            key = create_key("shop")
        headers = {"X-API-Key": key}
        with ThreadPoolExecutor(1) as other:
            asking = other.submit(app.test_client().get, "/api/v1/recommendations?user=1", headers=headers)
            connection, _ = silent.accept()
            assert app.test_client().post("/api/v1/events", data=event(), headers=headers).status_code == 202
            assert not asking.done(), "it was answered before the one who asked first"
            assert asking.result().status_code == 503
            connection.close()


def test_the_description_says_what_an_event_is(web: Flask) -> None:
    described = web.test_client().get("/api/openapi.json").json
    body = described["paths"]["/api/v1/events"]["post"]["requestBody"]["content"]
    assert body["application/json"]["schema"] == {"$ref": "#/components/schemas/Event"}
    assert "application/x-ndjson" in body
    assert set(described["components"]["schemas"]["Event"]["properties"]) >= {"type", "user_id", "product_id", "at"}


def test_the_panel_says_what_events_mean_what_waits_and_what_was_refused(
    web: Flask, post: Post, consumer: Consumer, send_form: Callable
) -> None:
    from shopgraph_web.accounts import add_person

    with web.app_context():
        person = add_person("events@shop.example", "admin")
    client = web.test_client()
    send_form(client, "/login", "/login", email=person.email, password=person.password)
    post(event(product_id="shop:unheard of"))
    consumer.step()
    page = client.get("/events/").text
    assert all(
        name in page for name in ("basket_add", "PUT_IN_BASKET", "shop:unheard of", "no such product in the graph")
    )
    answer = send_form(client, "/events/", "/events/retry")
    assert answer.status_code == 302
    assert "1 events are tried again" in client.get("/events/").text
    assert consumer.step() == 1
