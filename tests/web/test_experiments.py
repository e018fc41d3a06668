"""Experiments in the panel: begun by a form, judged on a page, stopped and resumed; what answers showed is noted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from shopgraph.events.consumer import Consumer
from shopgraph.events.shown import STREAM as SHOWN
from shopgraph.events.stream import REFUSED, STREAM, EventStream
from shopgraph.experiments.lifecycle import list_experiments
from shopgraph.graph.connection import Graph
from shopgraph.recommend.clock import Clock
from shopgraph.services.broker import Broker
from shopgraph.settings import Settings
from shopgraph.wiring_serving import Serving
from shopgraph_web.accounts import add_person
from shopgraph_web.application import create_app
from shopgraph_web.keys import create_key

RAW_USER = "household 17"
FORM = {"name": "<b>varied</b>", "scenario": "home", "kind": "ab", "control_name": "control", "second_name": "varied",
        "second_diversity": "0.4", "second_ranker": "off"}  # fmt: skip


@pytest.fixture(autouse=True)
def no_experiments(shop: Graph) -> Iterator[None]:
    yield
    shop.driver.execute_query("MATCH (n:Experiment|Recommendation) DELETE n", database_=shop.database)


@pytest.fixture
def app(panel_settings: Settings, serving: Serving, broker: Broker) -> Flask:
    with Redis.from_url(broker.url()) as client:
        client.delete(*client.keys("LIMITS*"), "unused")  # each test signs in: together too often for the broker
    return create_app(panel_settings.model_copy(update={"broker_url": broker.url()}), serving=serving)


@pytest.fixture
def consumer(shop: Graph, broker: Broker, settings: Settings) -> Iterator[Consumer]:
    with Redis.from_url(broker.url()) as client:
        client.delete(STREAM, REFUSED, SHOWN)
    stream = EventStream(broker.url())
    yield Consumer(shop, stream, settings.source, Clock(shop, "data").now)
    stream.close()
    shop.driver.execute_query("MATCH ()-[e {run: 'events'}]->() DELETE e", database_=shop.database)


def test_an_experiment_goes_from_the_form_to_the_report(
    app: Flask, sign_in: Callable, send_form: Callable, shop: Graph, consumer: Consumer
) -> None:
    client: FlaskClient = sign_in("curator")
    assert "No experiments yet" in client.get("/experiments/").text
    assert send_form(client, "/experiments/", "/experiments/", **FORM).status_code == 302
    (node,) = list_experiments(shop)
    varied = json.loads(node["variants"])[1]
    assert varied == {"name": "varied", "weight": 1.0, "changes": {"ranker": False, "diversity": 0.4}}
    page = client.get("/experiments/").text
    assert "&lt;b&gt;varied&lt;/b&gt;" in page
    assert "by curator@shop.example" in page

    with app.app_context():
        key = {"X-API-Key": create_key("shop")}
    asked = f"/api/v1/recommendations?user={RAW_USER}&scenario=home"
    answer = app.test_client().get(asked, headers=key).json
    assert answer["experiment"] == node["id"]
    event = {"type": "purchase", "user_id": RAW_USER, "product_id": answer["items"][0]["id"], "amount": 1.0}
    event["recommendation_id"] = answer["recommendation_id"]
    assert app.test_client().post("/api/v1/events", headers=key, json=event).status_code == 202
    app.extensions["shopgraph"].shown().close()
    consumer.step(0.01)

    report = app.test_client().get(f"/api/v1/experiments/{node['id']}", headers=key).json
    told = {variant["name"]: variant["outcomes"]["bought"]["users"] for variant in report["variants"]}
    assert told == {"control": 0, "varied": 0} | {answer["variant"]: 1}
    detail = client.get(f"/experiments/{node['id']}")
    assert detail.status_code == 200
    assert "100.00 %" in detail.text
    rows = client.get(f"/experiments/{node['id']}/intervals.json").json["rows"]
    assert [row["name"] for row in rows][:2] == ["control, viewed", "varied, viewed"]
    assert sorted(row["value"] for row in rows) == [0, 0, 0, 0, 0, 1]

    stop, resume = (f"/experiments/{node['id']}/{what}" for what in ("stop", "resume"))
    assert send_form(client, "/experiments/", stop).status_code == 302
    assert app.test_client().get(asked, headers=key).json["experiment"] == ""
    assert send_form(client, "/experiments/", resume).status_code == 302
    assert app.test_client().get(asked, headers=key).json["variant"] == answer["variant"]
    assert re.findall(r"(begun|stopped|resumed) 2", client.get("/experiments/").text) == ["begun", "stopped", "resumed"]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"scenario": "nowhere"}, "is no place"),
        ({"second_weight": "two"}, "not a number"),
        ({"second_diversity": "7"}, "varied: diversity: Input should be less than or equal to 1"),
        ({"second_fusion": "{"}, "varied: fusion: no JSON"),
        ({"second_fusion": "3"}, "varied: fusion: Input should be a valid dictionary"),
        ({"second_fusion": '{"navel": {}}'}, "navel"),
        ({"second_name": "control"}, "the name of two variants"),
        ({"second_name": ""}, "2 to 10 variants, this one has 1"),
        ({"kind": "interleaving", "second_weight": "2"}, "two variants of equal weight"),
    ],
)
def test_an_experiment_that_cannot_be_is_refused_and_what_was_typed_stays(
    sign_in: Callable, send_form: Callable, shop: Graph, sent: dict[str, str], said: str
) -> None:
    answer = send_form(sign_in("curator"), "/experiments/", "/experiments/", **{**FORM, **sent})
    assert answer.status_code == 400
    assert said in answer.text
    assert 'value="&lt;b&gt;varied&lt;/b&gt;"' in answer.text
    assert list_experiments(shop) == []


def test_a_second_one_at_a_place_is_refused_by_the_name_of_the_first(
    sign_in: Callable, send_form: Callable, shop: Graph
) -> None:
    client = sign_in("curator")
    send_form(client, "/experiments/", "/experiments/", **FORM)
    refused = send_form(client, "/experiments/", "/experiments/", **{**FORM, "name": "another"})
    assert refused.status_code == 400
    assert "runs at home: stop it first" in refused.text


def test_a_viewer_sees_experiments_and_changes_none(sign_in: Callable, send_form: Callable, shop: Graph) -> None:
    client = sign_in("viewer")
    page = client.get("/experiments/")
    assert page.status_code == 200
    assert 'name="control_name"' not in page.text
    assert client.get("/experiments/none").status_code == 404
    for address in ("/experiments/", "/experiments/none/stop", "/experiments/none/resume"):
        assert send_form(client, "/change", address, **FORM).status_code == 403
    assert list_experiments(shop) == []


def test_only_a_key_that_may_reads_experiments(app: Flask) -> None:
    with app.app_context():
        add_person("a@shop.example", "admin")
        refused, allowed = create_key("shop", scopes=["recommend", "events"]), create_key("it", scopes=["experiments"])
    answers = [app.test_client().get("/api/v1/experiments", headers={"X-API-Key": key}) for key in (refused, allowed)]
    assert [answer.status_code for answer in answers] == [403, 200]
    assert app.test_client().get("/api/v1/search?q=x", headers={"X-API-Key": allowed}).status_code == 403
