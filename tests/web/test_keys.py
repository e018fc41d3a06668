from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shopgraph_web.accounts import ApiKey, db
from shopgraph_web.keys import create_key, revoke_key

ASK = "/api/v1/products/shop:soup"


def _told(page: str) -> str:
    return page.partition('<code class="told">')[2].partition("<")[0]


def test_a_key_is_told_once_kept_as_a_hash_and_refused_once_revoked(
    app: Flask, admin: FlaskClient, send_form: Callable
) -> None:
    key = _told(send_form(admin, "/keys/", "/keys/", title="web shop").text)
    assert key not in admin.get("/keys/").text
    with app.app_context():
        stored = db.session.query(ApiKey).one()
        assert key not in (stored.hash, stored.prefix, stored.title)
        assert key.startswith(stored.prefix)
        prefix = stored.prefix
    client = app.test_client()
    assert client.get(ASK, headers={"X-API-Key": key}).status_code == 200
    send_form(admin, "/keys/", f"/keys/{prefix}/revoke")
    refused = client.get(ASK, headers={"X-API-Key": key})
    assert (refused.status_code, refused.json["error"]["code"]) == (401, "unauthorized")
    assert "revoked" in admin.get("/keys/").text


@pytest.mark.parametrize("address", [ASK, "/api/v1/recommendations?user=1", f"{ASK}/similar"])
def test_without_a_key_in_force_nothing_is_answered(reading_app: Flask, address: str) -> None:
    for headers in ({}, {"X-API-Key": ""}, {"X-API-Key": "sg_guess"}):
        answer = reading_app.test_client().get(address, headers=headers)
        assert answer.status_code == 401
        assert set(answer.json) == {"error"}
        assert set(answer.json["error"]) == {"code", "message"}


def test_a_session_does_not_open_the_api_and_a_key_does_not_open_the_panel(app: Flask, admin: FlaskClient) -> None:
    assert admin.get(ASK).status_code == 401
    with app.app_context():
        key = create_key("shop")
    assert app.test_client().get("/products/", headers={"X-API-Key": key}).status_code == 302


def test_a_key_needs_a_title(admin: FlaskClient, send_form: Callable) -> None:
    assert send_form(admin, "/keys/", "/keys/", title="  ").status_code == 400


def test_revoking_twice_keeps_the_first_moment(app: Flask) -> None:
    with app.app_context():
        prefix = create_key("shop")[:9]
        first = revoke_key(prefix).revoked_at
        assert revoke_key(prefix).revoked_at == first
