"""How often a key may ask: counted in a real broker, over applications, and in memory without one."""

import time
from collections.abc import Callable

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from shopgraph.errors import ConfigurationError
from shopgraph.services.broker import Broker
from shopgraph.services.local_process import free_port
from shopgraph.settings import Settings
from shopgraph.wiring_serving import Serving
from shopgraph_web.application import create_app
from shopgraph_web.keys import create_key

ASK = "/api/v1/products/shop:soup"
Panel = Callable[..., Flask]


@pytest.fixture
def panel(panel_settings: Settings, serving: Serving, broker: Broker) -> Panel:
    """A panel with a limit, counted in the broker."""

    def made(limit: str, **changes: object) -> Flask:
        update = {"broker_url": broker.url(), "api_limit": limit, **changes}
        return create_app(panel_settings.model_copy(update=update), serving=serving)

    return made


def key_of(app: Flask) -> str:
    with app.app_context():
        return create_key("shop")


def asked(app: Flask, key: str, address: str = ASK) -> TestResponse:
    return app.test_client().get(address, headers={"X-API-Key": key})


def test_a_key_that_asks_too_often_is_told_when_to_come_back_and_others_are_served(panel: Panel) -> None:
    app = panel("3 per hour")
    key, other = key_of(app), key_of(app)
    answers = [asked(app, key) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"3"}
    assert 0 < int(answers[0].headers["X-RateLimit-Reset"]) - time.time() <= 3601
    assert "Retry-After" not in answers[0].headers
    refused = answers[3]
    assert 0 < int(refused.headers["Retry-After"]) <= 3601
    assert refused.json["error"]["code"] == "too_many_requests"
    assert "3 per hour" in refused.json["error"]["message"]
    assert asked(app, other).status_code == 200


def test_all_processes_and_all_addresses_count_together(panel: Panel) -> None:
    first, second = panel("3 per hour"), panel("3 per hour")
    key = key_of(first)
    asked(first, key)
    asked(second, key, f"{ASK}/similar")
    assert asked(first, key).headers["X-RateLimit-Remaining"] == "0"
    assert asked(second, key).status_code == 429


def test_each_user_of_a_batch_counts(panel: Panel) -> None:
    app = panel("5 per hour")
    headers = {"X-API-Key": key_of(app)}

    def batch(users: int) -> TestResponse:
        body = {"users": ["nobody"] * users, "n": 1}
        return app.test_client().post("/api/v1/recommendations/batch", json=body, headers=headers)

    assert batch(4).headers["X-RateLimit-Remaining"] == "1"
    assert batch(3).status_code == 429


def test_what_no_key_lets_in_counts_for_none_and_health_never_does(panel: Panel) -> None:
    app = panel("1 per hour")
    key = key_of(app)
    assert asked(app, "sg_guess").status_code == 401
    for _ in range(3):
        answer = asked(app, key, "/api/v1/health")
        assert answer.status_code == 200
        assert "X-RateLimit-Limit" not in answer.headers
    assert asked(app, key).status_code == 200


def test_without_a_broker_a_process_counts_for_itself(panel: Panel) -> None:
    app = panel("1 per hour", broker_url=f"redis://127.0.0.1:{free_port(None)}/0")
    key = key_of(app)
    assert [asked(app, key).status_code for _ in range(2)] == [200, 429]


def test_no_limit_is_no_limit(panel: Panel) -> None:
    app = panel("")
    answer = asked(app, key_of(app))
    assert answer.status_code == 200
    assert "X-RateLimit-Limit" not in answer.headers


@pytest.mark.parametrize("limit", ["often", "6000", "0 per minute", "5 per minute; many per hour"])
def test_a_limit_that_is_none_stops_the_start(panel: Panel, limit: str) -> None:
    with pytest.raises(ConfigurationError, match="SHOPGRAPH_API_LIMIT"):
        panel(limit)
