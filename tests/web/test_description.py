"""The description at /api/openapi.json holds: requests made up from it find no 500, and no answer that breaks it."""

from __future__ import annotations

from pathlib import Path

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from shopgraph.services.broker import Broker
from shopgraph.settings import Settings
from shopgraph.wiring_serving import Serving
from shopgraph_web.application import create_app
from shopgraph_web.keys import create_key

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

PLANTED = {"id": "shop:soup", "user": "household 17"}
PATH = [
    {"label": "Product", "id": "shop:soup"},
    {"type": "IN_CATEGORY", "forward": True},
    {"label": "Category", "id": "FOOD"},
]
EXAMPLES = 20
SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
ADDRESSES = (
    "GET /recommendations", "POST /recommendations/like", "POST /recommendations/batch", "GET /products/{id}",
    "GET /products/{id}/similar", "GET /search", "GET /users/{user}/similar", "POST /events", "POST /reasons/doubts",
    "GET /health",
)  # fmt: skip


@pytest.fixture(scope="module")
def web(settings: Settings, serving: Serving, broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    accounts: Path = tmp_path_factory.mktemp("accounts") / "people.db"
    update = {"broker_url": broker.url(), "accounts_url": f"sqlite:///{accounts}", "api_limit": ""}
    return create_app(settings.model_copy(update=update), serving=serving)


@pytest.fixture(scope="module")
def description(web: Flask) -> BaseSchema:
    return schemathesis.openapi.from_wsgi("/api/openapi.json", web)


@pytest.fixture(scope="module")
def key(web: Flask) -> str:
    with web.app_context():
        return create_key("test")


def aim(case: schemathesis.Case) -> None:
    """Name what is there in place of what was made up, so that more than refusals is read."""
    case.path_parameters.update({name: PLANTED[name] for name in case.path_parameters})
    if isinstance(case.body, dict) and "like" in case.body:
        case.body.update(like=[PLANTED["id"]], unlike=[])
    if isinstance(case.body, dict) and "path" in case.body:
        case.body.update(path=PATH)


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_answer_is_one_that_the_description_says(description: BaseSchema, key: str, address: str) -> None:
    method, path = address.split()
    operation = description[f"/api/v1{path}"][method]
    requests = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

    @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=SLOW)
    @given(st.one_of(requests), st.booleans())
    def asked(case: schemathesis.Case, planted: bool) -> None:
        if planted:
            aim(case)
        case.call_and_validate(headers={"X-API-Key": key}, checks=CHECKS)

    asked()


def test_no_address_is_left_out(web: Flask) -> None:
    paths = web.test_client().get("/api/openapi.json").json["paths"]
    assert {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods} == {
        address.replace(" ", " /api/v1") for address in ADDRESSES
    }
