"""Doubts: relations that were called wrong reasons, for people to judge."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from shopgraph.curation.doubt import RIGHT, WRONG, judge_doubt, list_doubts, reopen_doubt
from shopgraph.errors import InputError
from shopgraph_web.admin.gate import ONLY_CURATORS, panel_pages
from shopgraph_web.backend import serving

pages = panel_pages("doubts", "/doubts")


@pages.get("/")
def index() -> str:
    return render_template("admin/doubts.html", doubts=list_doubts(serving().graph), verdicts=(RIGHT, WRONG))


@pages.post("/judge")
@ONLY_CURATORS
def judge() -> ResponseReturnValue:
    verdict = request.form.get("verdict", "")
    try:
        judge_doubt(serving().graph, request.form.get("doubt", ""), verdict, by=current_user.email)
        flash(f"Judged: it is {verdict}.", "success")
    except InputError as error:
        flash(str(error), "danger")
    return redirect(url_for("doubts.index"))


@pages.post("/reopen")
@ONLY_CURATORS
def reopen() -> ResponseReturnValue:
    try:
        reopen_doubt(serving().graph, request.form.get("doubt", ""), by=current_user.email)
        flash("The verdict is taken back.", "success")
    except InputError as error:
        flash(str(error), "danger")
    return redirect(url_for("doubts.index"))
