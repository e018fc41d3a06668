"""API keys of the programs that ask for recommendations; for admins."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from shopgraph.errors import InputError
from shopgraph_web.accounts import SCOPES
from shopgraph_web.admin.gate import ONLY_ADMINS, panel_pages
from shopgraph_web.keys import create_key, list_keys, revoke_key

pages = panel_pages("keys", "/keys")


@pages.get("/")
@ONLY_ADMINS
def index() -> str:
    return _page()


@pages.post("/")
@ONLY_ADMINS
def add() -> ResponseReturnValue:
    """The key is on the page that answers, and nowhere after."""
    title, scopes = request.form.get("title", ""), request.form.getlist("scope")
    try:
        text = create_key(title, current_user._get_current_object(), scopes)
    except InputError as error:
        return _page(error=str(error)), 400
    return _page(told=text)


@pages.post("/<prefix>/revoke")
@ONLY_ADMINS
def revoke(prefix: str) -> ResponseReturnValue:
    key = revoke_key(prefix)
    flash(f"The key of {key.title} is refused from now on.", "success")
    return redirect(url_for("keys.index"))


def _page(told: str = "", error: str = "") -> str:
    return render_template("admin/keys.html", keys=list_keys(), scopes=SCOPES, told=told, error=error)
