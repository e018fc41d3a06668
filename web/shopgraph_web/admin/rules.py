"""Rules: what merchandisers decide about answers, put in force and taken out again."""

from __future__ import annotations

from datetime import datetime

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from shopgraph.errors import InputError
from shopgraph.recommend.rules import LABELS, MEANINGS, Rule, add_rule, end_rule, list_rules, new_rule_id
from shopgraph.settings import as_utc
from shopgraph_web.admin.gate import ONLY_CURATORS, panel_pages
from shopgraph_web.backend import serving

pages = panel_pages("rules", "/rules")


@pages.get("/")
def index() -> str:
    return _page()


@pages.post("/")
@ONLY_CURATORS
def add() -> ResponseReturnValue:
    try:
        rule = Rule(
            new_rule_id(), _sent("kind"), _sent("label"), _sent("target"), _number(_sent("amount") or "0", "amount")
        )
        starts, ends = _moment("starts"), _moment("ends")
        add_rule(serving().graph, rule, by=current_user.email, scenario=_sent("scenario"), starts=starts, ends=ends)
    except InputError as error:
        return _page(str(error)), 400
    flash("The rule is in force: the next answer follows it.", "success")
    return redirect(url_for("rules.index"))


@pages.post("/<rule_id>/end")
@ONLY_CURATORS
def end(rule_id: str) -> ResponseReturnValue:
    try:
        end_rule(serving().graph, rule_id, by=current_user.email)
        flash("The rule is no longer in force.", "success")
    except InputError as error:
        flash(str(error), "danger")
    return redirect(url_for("rules.index"))


def _page(error: str = "") -> str:
    return render_template(
        "admin/rules.html", rules=list_rules(serving().graph), meanings=MEANINGS, labels=LABELS, error=error,
        places=serving().recommender.places.named, sent=request.form,
    )  # fmt: skip


def _sent(name: str) -> str:
    return request.form.get(name, "").strip()[:200]


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{name} = {text!r}: not a number") from None


def _moment(name: str) -> datetime | None:
    text = _sent(name)
    try:
        return as_utc(datetime.fromisoformat(text)) if text else None
    except ValueError:
        raise InputError(f"{name} = {text!r}: not a date") from None
