import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from shopgraph.settings import Settings
from shopgraph_web.accounts import ApiKey, db
from shopgraph_web.application import create_app
from shopgraph_web.keys import create_key, list_keys, revoke_key

ASK = "/api/v1/products/shop:soup"


def _told(page: str) -> str:
    return page.partition('<code class="told">')[2].partition("<")[0]


def test_a_key_is_told_once_kept_as_a_hash_and_refused_once_revoked(
    app: Flask, admin: FlaskClient, send_form: Callable
) -> None:
    key = _told(send_form(admin, "/keys/", "/keys/", title="web shop", scope="recommend").text)
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


def _ask(app: Flask, key: str) -> tuple[TestResponse, TestResponse]:
    """What a key is answered where products are read, and where events are taken: 503 where there is no broker."""
    client, headers = app.test_client(), {"X-API-Key": key}
    return client.get(ASK, headers=headers), client.post("/api/v1/events", data="{", headers=headers)


def test_a_key_does_what_its_scopes_say_and_is_told_which_one_is_missing(app: Flask) -> None:
    with app.app_context():
        keys = {scopes: create_key("shop", scopes=scopes) for scopes in (("recommend",), ("events",))}
        both = create_key("shop")
    for scopes, key in keys.items():
        (missing,) = {"recommend", "events"} - set(scopes)
        read, told = _ask(app, key)
        refused, let_in = (read, told) if missing == "recommend" else (told, read)
        assert refused.status_code == 403
        assert refused.json == {
            "error": {
                "code": "forbidden",
                "message": f"this API key lacks the scope {missing!r}: it has {scopes[0]}",
            }
        }
        assert let_in.status_code in (200, 503)
    assert [answer.status_code for answer in _ask(app, both)] == [200, 503]


def test_a_key_made_before_there_were_scopes_may_do_everything(app: Flask, panel_settings: Settings) -> None:
    """Accounts of before have no such table; it is added to them, and their keys have no row in it."""
    with app.app_context():
        key = create_key("shop")
        db.session.execute(text("DROP TABLE key_scope"))
        db.session.commit()
    after = create_app(panel_settings, serving=app.extensions["shopgraph"].serving())
    assert [answer.status_code for answer in _ask(after, key)] == [200, 503]
    with after.app_context():
        assert [each.scopes for each in list_keys()] == [["recommend", "events"]]


def test_the_page_sets_scopes_and_shows_them(app: Flask, admin: FlaskClient, send_form: Callable) -> None:
    page = send_form(admin, "/keys/", "/keys/", title="till", scope="events").text
    assert "<td>events</td>" in page
    assert _ask(app, _told(page))[0].status_code == 403
    refused = send_form(admin, "/keys/", "/keys/", title="till")
    assert (refused.status_code, "a key needs a scope" in refused.text) == (400, True)
    unknown = send_form(admin, "/keys/", "/keys/", title="till", scope="everything")
    assert (unknown.status_code, "is not a scope" in unknown.text) == (400, True)


def test_the_command_makes_keys_of_scopes_and_lists_them(tmp_path: Path) -> None:
    def said(*arguments: str) -> str:
        environment = {**os.environ, "SHOPGRAPH_HOME": str(tmp_path), "COLUMNS": "200"}
        command = [sys.executable, "-m", "shopgraph_web", "keys", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        return done.stdout + done.stderr

    said("create", "web shop")
    key = said("create", "till", "--scope", "events").strip()
    listed = {row["title"]: row for row in json.loads(said("list", "--json"))}
    assert listed["web shop"]["scopes"] == ["recommend", "events"]
    assert listed["till"]["scopes"] == ["events"]
    assert key.startswith(listed["till"]["prefix"])
    assert "recommend, events" in said("list")
    assert "'all' is not a scope: choose from recommend, events" in said("create", "till", "--scope", "all")
