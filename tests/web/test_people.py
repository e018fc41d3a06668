from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shopgraph_web.accounts import people


def _id(app: Flask, email: str) -> int:
    with app.app_context():
        return next(person.id for person in people() if person.email == email)


@pytest.mark.parametrize("role", ["viewer", "curator"])
def test_only_admins_reach_people_keys_and_retraining(sign_in: Callable, send_form: Callable, role: str) -> None:
    client = sign_in(role)
    assert client.get("/products/").status_code == 200
    assert [client.get(page).status_code for page in ("/people/", "/keys/")] == [403, 403]
    assert "Ask an admin" in client.get("/people/").text
    for address in ("/jobs/retrain", "/people/", "/keys/"):
        assert send_form(client, "/", address, email="x@shop.example", role="admin", title="x").status_code == 403
    assert "Retrain" not in client.get("/jobs/").text
    assert 'href="/people/"' not in client.get("/").text


def test_an_admin_lets_a_person_in_who_then_signs_in(app: Flask, admin: FlaskClient, send_form: Callable) -> None:
    page = send_form(admin, "/people/", "/people/", email="new@shop.example", role="curator")
    password = page.text.partition('<code class="told">')[2].partition("<")[0]
    assert password not in admin.get("/people/").text
    client = app.test_client()
    assert send_form(client, "/login", "/login", email="new@shop.example", password=password).status_code == 302
    assert client.get("/people/").status_code == 403


@pytest.mark.parametrize(
    ("email", "role", "said"),
    [("no address", "viewer", "is not an e-mail address"), ("x@shop.example", "owner", "is not a role"),
     ("admin@shop.example", "viewer", "is there already")],
)  # fmt: skip
def test_a_person_who_cannot_be_added_is_refused_in_one_line(
    admin: FlaskClient, send_form: Callable, email: str, role: str, said: str
) -> None:
    page = send_form(admin, "/people/", "/people/", email=email, role=role)
    assert page.status_code == 400
    assert said in page.text


def test_locking_out_ends_the_session_at_once(app: Flask, sign_in: Callable, send_form: Callable) -> None:
    admin, viewer = sign_in("admin"), sign_in("viewer")
    assert viewer.get("/").status_code == 200
    person = _id(app, "viewer@shop.example")
    assert send_form(admin, "/people/", f"/people/{person}/deactivate").status_code == 302
    assert viewer.get("/").status_code == 302
    assert "locked out" in admin.get("/people/").text


def test_a_role_takes_effect_at_once(app: Flask, sign_in: Callable, send_form: Callable) -> None:
    admin, viewer = sign_in("admin"), sign_in("viewer")
    person = _id(app, "viewer@shop.example")
    send_form(admin, "/people/", f"/people/{person}/role", role="admin")
    assert viewer.get("/people/").status_code == 200


def test_the_only_admin_can_neither_leave_nor_step_down(app: Flask, admin: FlaskClient, send_form: Callable) -> None:
    person = _id(app, "admin@shop.example")
    for change, fields in (("deactivate", {}), ("role", {"role": "viewer"})):
        page = send_form(admin, "/people/", f"/people/{person}/{change}", **fields)
        assert page.status_code == 400
        assert "is the only active admin" in page.text
    assert admin.get("/people/").status_code == 200


def test_a_new_password_replaces_a_forgotten_one(app: Flask, sign_in: Callable, send_form: Callable) -> None:
    admin, viewer = sign_in("admin"), sign_in("viewer")
    page = send_form(admin, "/people/", f"/people/{_id(app, 'viewer@shop.example')}/password")
    password = page.text.partition('<code class="told">')[2].partition("<")[0]
    assert viewer.get("/").status_code == 302
    answer = send_form(viewer, "/login", "/login", email="viewer@shop.example", password=password)
    assert answer.status_code == 302
