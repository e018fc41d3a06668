from collections.abc import Callable

from flask import Flask
from flask.testing import FlaskClient

from shopgraph.settings import Settings
from shopgraph_web.accounts import add_person, first_admin, people

PAGES = (
    "/", "/products/", "/products/shop:soup", "/users/", "/neighbourhood/", "/neighbourhood/around.json?id=shop:soup",
    "/jobs/", "/releases/", "/people/", "/keys/", "/purchases-by-week.json",
)  # fmt: skip


def test_every_page_asks_for_a_sign_in(app: Flask) -> None:
    for page in PAGES:
        answer = app.test_client().get(page)
        assert answer.status_code == 302, page
        assert answer.location.startswith("/login?next="), page


def test_a_fragment_asked_for_after_the_session_ended_reloads_its_page(app: Flask) -> None:
    answer = app.test_client().get("/jobs/rows", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Refresh"]) == (401, "true")


def test_the_first_admin_signs_in_with_the_password_told_once(app: Flask, send_form: Callable) -> None:
    with app.app_context():
        told = first_admin("owner@shop.example")
        assert first_admin("owner@shop.example") is None
        assert told.password not in str([person.password for person in people()])
    client = app.test_client()
    answer = send_form(client, "/login", "/login", email=told.email, password=told.password)
    assert (answer.status_code, answer.location) == (302, "/")
    assert "owner@shop.example" in client.get("/").text


def test_a_wrong_password_and_an_unknown_address_read_the_same(app: Flask, send_form: Callable) -> None:
    with app.app_context():
        add_person("viewer@shop.example", "viewer")
    client = app.test_client()
    wrong = send_form(client, "/login", "/login", email="viewer@shop.example", password="guess")
    unknown = send_form(client, "/login", "/login", email="nobody@shop.example", password="guess")
    assert (wrong.status_code, unknown.status_code) == (200, 200)
    alert = 'class="alert alert-danger" role="alert">'
    assert wrong.text.split(alert)[1].split("<")[0] == unknown.text.split(alert)[1].split("<")[0]
    assert client.get("/").status_code == 302


def test_guessing_is_stopped_after_ten_tries_a_minute(app: Flask, send_form: Callable) -> None:
    client = app.test_client()
    statuses = [
        send_form(client, "/login", "/login", email="a@shop.example", password="guess").status_code for _ in range(11)
    ]
    assert statuses == [200] * 10 + [429]


def test_a_form_without_its_token_is_refused(app: Flask, admin: FlaskClient) -> None:
    assert app.test_client().post("/login", data={"email": "a@shop.example", "password": "x"}).status_code == 400
    for address in ("/people/", "/keys/", "/jobs/retrain", "/logout"):
        assert admin.post(address, data={"email": "a@shop.example", "title": "x"}).status_code == 400


def test_signing_out_ends_the_session(admin: FlaskClient, send_form: Callable) -> None:
    assert send_form(admin, "/", "/logout").status_code == 302
    assert admin.get("/").status_code == 302


def test_a_changed_password_replaces_the_old_one(app: Flask, send_form: Callable) -> None:
    with app.app_context():
        person = add_person("viewer@shop.example", "viewer")
    client = app.test_client()
    send_form(client, "/login", "/login", email=person.email, password=person.password)
    changed = {
        "password": person.password,
        "new_password": "a longer password",
        "new_password_confirm": "a longer password",
    }
    assert send_form(client, "/change", "/change", **changed).status_code == 302
    fresh = app.test_client()
    old = send_form(fresh, "/login", "/login", email=person.email, password=person.password)
    new = send_form(fresh, "/login", "/login", email=person.email, password="a longer password")
    assert (old.status_code, new.status_code) == (200, 302)


def test_secrets_and_accounts_are_readable_by_their_owner_alone(app: Flask, panel_settings: Settings) -> None:
    for path in (
        panel_settings.secrets / "web.secret_key",
        panel_settings.secrets / "web.password_salt",
        panel_settings.home / "accounts.sqlite",
    ):
        assert path.stat().st_mode & 0o777 == 0o600, path


def test_every_answer_carries_the_security_headers(admin: FlaskClient) -> None:
    headers = admin.get("/").headers
    assert "script-src 'self';" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    cookie = admin.get_cookie("session")
    assert (cookie.http_only, cookie.same_site) == (True, "Lax")


def test_no_page_holds_an_inline_script_or_style(admin: FlaskClient) -> None:
    for page in (*PAGES, "/login", "/change"):
        text = admin.get(page).text
        assert "<script>" not in text, page
        assert " style=" not in text, page
        assert " onclick=" not in text, page
