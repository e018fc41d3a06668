"""People who may sign in, and what each may do; for admins."""

from __future__ import annotations

from collections.abc import Callable

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from shopgraph.errors import InputError
from shopgraph_web import accounts
from shopgraph_web.admin.gate import ONLY_ADMINS, panel_pages

pages = panel_pages("people", "/people")


@pages.get("/")
@ONLY_ADMINS
def index() -> str:
    return _page()


@pages.post("/")
@ONLY_ADMINS
def add() -> ResponseReturnValue:
    try:
        person = accounts.add_person(request.form.get("email", ""), request.form.get("role", ""))
    except InputError as error:
        return _page(error=str(error)), 400
    return _page(told=person)


@pages.post("/<int:person_id>/role")
@ONLY_ADMINS
def set_role(person_id: int) -> ResponseReturnValue:
    return _change(person_id, lambda person: accounts.set_role(person, request.form.get("role", "")))


@pages.post("/<int:person_id>/deactivate")
@ONLY_ADMINS
def deactivate(person_id: int) -> ResponseReturnValue:
    return _change(person_id, lambda person: accounts.set_active(person, False))


@pages.post("/<int:person_id>/activate")
@ONLY_ADMINS
def activate(person_id: int) -> ResponseReturnValue:
    return _change(person_id, lambda person: accounts.set_active(person, True))


@pages.post("/<int:person_id>/password")
@ONLY_ADMINS
def new_password(person_id: int) -> str:
    """Shown on the page that answers: never stored, and not in a cookie."""
    return _page(told=accounts.new_password(_person(person_id)))


def _change(person_id: int, change: Callable[[accounts.User], None]) -> ResponseReturnValue:
    person = _person(person_id)
    try:
        change(person)
    except InputError as error:
        return _page(error=str(error)), 400
    flash(f"{person.email} is changed.", "success")
    return redirect(url_for("people.index"))


def _person(person_id: int) -> accounts.User:
    person = accounts.db.session.get(accounts.User, person_id)
    if person is None:
        abort(404, "this person is not there")
    return person


def _page(told: accounts.Person | None = None, error: str = "") -> str:
    return render_template("admin/people.html", people=accounts.people(), roles=accounts.ROLES, told=told, error=error)
