"""The client against a real server, with a real Neo4j and a real broker behind it."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis
from werkzeug.serving import make_server

import shopgraph_client
from shopgraph.events.stream import STREAM
from shopgraph.services.broker import Broker
from shopgraph.services.local_process import free_port
from shopgraph.settings import Settings
from shopgraph.wiring_serving import Serving
from shopgraph_client import ApiError, Client, Event
from shopgraph_client import client as client_module
from shopgraph_web.application import create_app
from shopgraph_web.keys import create_key

ROOT = Path(__file__).parents[2]
RAW_USER = "household 17"


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """The address of a server that runs meanwhile."""
    server = make_server("127.0.0.1", free_port(None), app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()


@pytest.fixture(scope="module")
def web(settings: Settings, serving: Serving, broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    accounts = f"sqlite:///{tmp_path_factory.mktemp('accounts') / 'people.db'}"
    return create_app(
        settings.model_copy(update={"broker_url": broker.url(), "accounts_url": accounts}), serving=serving
    )


@pytest.fixture(scope="module")
def key(web: Flask) -> str:
    with web.app_context():
        return create_key("client")


@pytest.fixture(scope="module")
def address(web: Flask) -> Iterator[str]:
    with served(web) as found:
        yield found


@pytest.fixture
def client(address: str, key: str) -> Iterator[Client]:
    with Client(address, key) as opened:
        yield opened


@pytest.fixture
def stream(broker: Broker) -> Iterator[Redis]:
    """What waits to be written; empty before and after."""
    with Redis.from_url(broker.url()) as opened:
        opened.delete(STREAM)
        yield opened
        opened.delete(STREAM)


def test_the_example_of_the_readme_does_what_it_says(address: str, key: str, stream: Redis) -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    assert len([line for line in section.splitlines() if line.strip()]) <= 10
    planted = {
        "http://127.0.0.1:8080": address, "sg_...": key, "user-001": RAW_USER, "myshop:b005": "shop:soup",
        "myshop:b001": "shop:tea",
    }  # fmt: skip
    for named, there in planted.items():
        assert named in section
        section = section.replace(named, there)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(section, {})  # noqa: S102  the README's own lines
    assert "shop:bread Dark bread" in said.getvalue()
    assert "Often bought together with Dry tomato soup" in said.getvalue()
    assert stream.xlen(STREAM) == 9


def test_there_is_a_method_for_every_address(client: Client) -> None:
    assert client.health().status == "ok"
    assert client.product("shop:soup").brand == "Kettle & Co"
    assert [item.id for item in client.similar("shop:soup", n=3).items] == ["shop:bread"]
    assert [item.id for item in client.search("tomato", exclude=["shop:bread"]).items] == ["shop:soup"]
    assert [item.id for item in client.like(["shop:soup"], ["shop:tea"]).items] == ["shop:bread"]
    assert client.similar_users(RAW_USER, n=2).users[0].shared_count == 2
    first = client.recommend(RAW_USER, n=1, category=["FOOD"], min_price=1, exclude_owned=True)
    assert [item.id for item in first.items] == ["shop:tea"]
    assert client.recommend(session="a visit", n=1, offset=1).next_offset == 2
    told = client.recommend(RAW_USER, n=1, explain="full").items[0]
    assert told.score == pytest.approx(sum(told.detail.sources.values()))
    assert client.similar("shop:soup", user=RAW_USER, scenario="product").recommendation_id.startswith("r_")
    assert client.experiments() == []
    assert client.doubt(told.reason, "not for me").id.endswith(told.id)


def test_models_are_those_of_the_description(web: Flask) -> None:
    schemas = web.test_client().get("/api/openapi.json").json["components"]["schemas"]
    models = [each for each in vars(shopgraph_client).values() if hasattr(each, "model_fields")]
    assert len(models) == 21
    for model in models:
        assert set(model.model_fields) == set(schemas[model.__name__]["properties"]), model


def test_many_users_are_asked_for_as_they_are_read(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "BATCH_USERS", 2)
    read: list[str] = []

    def users() -> Iterator[str]:
        for user in (RAW_USER, "", "nobody"):
            read.append(user)
            yield user

    answers = client.recommend_many(users(), n=2)
    assert next(answers).answer.items == client.recommend(RAW_USER, n=2).items
    assert read == [RAW_USER, ""]
    assert next(answers).error.code == "invalid"
    assert next(answers).answer.step == "popular"
    (in_full,) = client.recommend_many([RAW_USER], n=2, explain="full")
    assert all(item.detail is not None for item in in_full.answer.items)


def test_events_are_sent_some_a_request_and_refused_ones_keep_their_place(
    client: Client, stream: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "BULK_EVENTS", 3)
    events = [Event(type="view", event_id=str(i), user_id="1", product_id="shop:tea") for i in range(8)]
    events[4] = events[4].model_copy(update={"product_id": None})
    receipt = client.send_all(iter(events))
    assert (receipt.accepted, receipt.lines) == (7, 8)
    assert [(bad.line, bad.field) for bad in receipt.refused] == [(5, "product_id")]
    assert stream.xlen(STREAM) == 7
    assert client.send(events[0]).accepted == 1


def test_an_event_of_now_has_a_name_before_it_is_sent(client: Client, stream: Redis) -> None:
    """A request that is repeated, because its answer was lost, counts nothing twice."""
    event = Event(type="view", user_id="1", product_id="shop:tea")
    client.send(event)
    client.send_all([event, event.model_copy(update={"event_id": "mine"})])
    lines = [json.loads(told[b"event"])[4] for _, told in stream.xrange(STREAM)]
    assert len(set(lines)) == 3
    assert [len(line.removeprefix("shop:")) for line in lines[:2]] == [32, 32]
    assert lines[2] == "shop:mine"


def test_a_refusal_is_one_error_with_code_message_and_status(client: Client, address: str) -> None:
    def refused(ask: Callable[[], object]) -> tuple[int, str]:
        with pytest.raises(ApiError) as caught:
            ask()
        assert caught.value.message
        return caught.value.status, caught.value.code

    assert refused(lambda: client.product("shop:none")) == (404, "not_found")
    assert refused(lambda: client.experiment("none")) == (404, "not_found")
    assert refused(client.recommend) == (422, "invalid")
    assert refused(lambda: client.like(["shop:none"])) == (422, "invalid")
    assert refused(lambda: Client(address).search("tea")) == (401, "unauthorized")
    assert refused(lambda: Client(f"{address}/panel").health()) == (404, "unreadable")
    gone = Client(f"http://127.0.0.1:{free_port(None)}", retries=0)
    assert refused(gone.health) == (0, "unreachable")


def test_a_server_that_does_not_answer_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        asked = Client(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_seconds=0.2)
        with pytest.raises(ApiError, match="unreachable"):
            asked.health()


def test_what_is_refused_for_now_is_asked_again_when_the_server_says(
    panel_settings: Settings, serving: Serving, broker: Broker
) -> None:
    app = create_app(
        panel_settings.model_copy(update={"broker_url": broker.url(), "api_limit": "2 per 2 second"}), serving=serving
    )
    with app.app_context():
        key = create_key("client")
    with served(app) as address:
        patient, hasty = Client(address, key), Client(address, key, retries=0)
        assert [patient.product("shop:soup").id for _ in range(5)] == ["shop:soup"] * 5
        with pytest.raises(ApiError) as caught:
            [hasty.product("shop:soup") for _ in range(5)]
    assert (caught.value.status, caught.value.code) == (429, "too_many_requests")
