import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from shopgraph.errors import OverdueError
from shopgraph.graph.connection import Graph
from shopgraph.services.local_process import free_port
from shopgraph.settings import Settings
from shopgraph_web.accounts import add_person
from shopgraph_web.application import create_app
from shopgraph_web.backend import Backend
from shopgraph_web.failures import RETRY_AFTER_SECONDS
from shopgraph_web.keys import create_key


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    """A panel whose Neo4j does not answer."""
    settings = Settings(home=tmp_path, neo4j_uri=f"bolt://127.0.0.1:{free_port(None)}", neo4j_password="x")
    return create_app(settings)


def test_pages_say_that_neo4j_is_not_reachable_and_what_to_do(app: Flask, send_form: Callable) -> None:
    client = app.test_client()
    with app.app_context():
        person = add_person("admin@shop.example", "admin")
    send_form(client, "/login", "/login", email=person.email, password=person.password)
    for page in ("/", "/products/", "/jobs/"):
        answer = client.get(page)
        assert answer.status_code == 503
        assert "Neo4j is not reachable" in answer.text
        assert "shopgraph services start" in answer.text
    fragment = client.get("/jobs/rows", headers={"HX-Request": "true"})
    assert fragment.status_code == 503
    assert "<html" not in fragment.text
    assert client.get("/people/").status_code == 200


def test_the_api_says_so_in_its_one_shape(app: Flask) -> None:
    with app.app_context():
        key = create_key("shop")
    client = app.test_client()
    for address in ("/api/v1/health", "/api/v1/recommendations?user=1"):
        answer = client.get(address, headers={"X-API-Key": key})
        assert answer.status_code == 503
        assert answer.json["error"]["code"] == "unavailable"
        assert "can't be reached" in answer.json["error"]["message"]


def test_who_waits_too_long_takes_the_connection_from_nobody(settings: Settings, shop: Graph) -> None:
    app = create_app(settings)

    @app.get("/api/v1/slow")
    def slow() -> str:
        raise OverdueError("Neo4j took longer than 5 s for slow: try again")

    client, backend = app.test_client(), app.extensions["shopgraph"]
    held = backend.serving()
    answer = client.get("/api/v1/slow")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, str(RETRY_AFTER_SECONDS))
    assert backend.serving() is held
    assert held.graph.record("run_detail", id="nobody") is None
    close(backend)


def close(backend: Backend) -> None:
    """A Neo4j that answers is kept: here it is let go as if it were lost."""
    backend.serving().graph._lost = True
    backend.forget()


def test_a_broker_that_does_not_answer_takes_the_graph_from_nobody(
    settings: Settings, shop: Graph, tmp_path: Path
) -> None:
    nowhere = f"redis://127.0.0.1:{free_port(None)}/0"
    accounts = f"sqlite:///{tmp_path / 'people.db'}"
    app = create_app(settings.model_copy(update={"broker_url": nowhere, "api_limit": "", "accounts_url": accounts}))
    with app.app_context():
        headers = {"X-API-Key": create_key("shop")}
    client, backend = app.test_client(), app.extensions["shopgraph"]
    held = backend.serving()
    event = {"type": "view", "user_id": "1", "product_id": "shop:tea"}
    answer = client.post("/api/v1/events", json=event, headers=headers)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, str(RETRY_AFTER_SECONDS))
    assert backend.serving() is held
    assert client.get("/api/v1/recommendations?user=1", headers=headers).status_code == 200
    close(backend)
    assert backend.serving() is not held, "what was lost is opened anew"
    close(backend)


def test_a_body_nested_too_deeply_is_refused(settings: Settings, shop: Graph, tmp_path: Path) -> None:
    accounts = f"sqlite:///{tmp_path / 'people.db'}"
    app = create_app(settings.model_copy(update={"api_limit": "", "accounts_url": accounts}))
    with app.app_context():
        headers = {"X-API-Key": create_key("shop"), "Content-Type": "application/json"}
    answer = app.test_client().post("/api/v1/recommendations/like", data="[" * 100_000 + "]" * 100_000, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.json["error"]["message"]
    close(app.extensions["shopgraph"])


def test_it_serves_again_once_neo4j_is_back(settings: Settings, shop: Graph, tmp_path: Path) -> None:
    home = tmp_path / "home"
    client = create_app(settings.model_copy(update={"home": home})).test_client()
    assert client.get("/api/v1/health").status_code == 503
    shutil.copytree(settings.secrets, home / "secrets", dirs_exist_ok=True)
    (home / "run").mkdir(exist_ok=True)
    shutil.copy(settings.home / "run" / "neo4j.json", home / "run")
    assert client.get("/api/v1/health").json["status"] == "ok"
