"""Experiments: what is tried at which place, begun and stopped, and what it found."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from flask import Response, abort, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from shopgraph.errors import InputError
from shopgraph.experiments import lifecycle
from shopgraph.experiments.report import OUTCOMES, Report, report_of
from shopgraph.recommend.experiment import MEANINGS, Experiment
from shopgraph_web.admin.gate import ONLY_CURATORS, panel_pages
from shopgraph_web.backend import serving

pages = panel_pages("experiments", "/experiments")

VARIANTS = ("control", "second", "third")
"""Rows of the form; the command takes more."""
RANKER = {"": None, "on": True, "off": False}


@pages.get("/")
def index() -> str:
    return _page()


@pages.post("/")
@ONLY_CURATORS
def begin() -> ResponseReturnValue:
    try:
        experiment = Experiment(
            lifecycle.new_experiment_id(),
            _sent("name"),
            _sent("scenario"),
            _sent("kind"),
            lifecycle.read_variants(_variants()),
        )
        lifecycle.begin(serving().graph, serving().recommender.places, experiment, by=current_user.email)
    except InputError as error:
        return _page(str(error)), 400
    flash(f"{experiment.name} runs: the next answer at {experiment.scenario} follows it.", "success")
    return redirect(url_for("experiments.index"))


@pages.post("/<experiment_id>/stop")
@ONLY_CURATORS
def stop(experiment_id: str) -> ResponseReturnValue:
    try:
        lifecycle.stop(serving().graph, experiment_id, by=current_user.email)
        flash("The experiment is stopped: everybody gets what the place has.", "success")
    except InputError as error:
        flash(str(error), "danger")
    return redirect(url_for("experiments.index"))


@pages.post("/<experiment_id>/resume")
@ONLY_CURATORS
def resume(experiment_id: str) -> ResponseReturnValue:
    try:
        lifecycle.resume(serving().graph, experiment_id, by=current_user.email)
        flash("The experiment runs again: everybody sees the variant they saw.", "success")
    except InputError as error:
        flash(str(error), "danger")
    return redirect(url_for("experiments.index"))


@pages.get("/<experiment_id>")
def detail(experiment_id: str) -> str:
    node = _found(experiment_id)
    return render_template(
        "admin/experiment.html",
        node=node,
        experiment=Experiment.read(node),
        report=report_of(serving().graph, node),
        outcomes=OUTCOMES,
        as_json=json.dumps,
    )


@pages.get("/<experiment_id>/intervals.json")
def intervals(experiment_id: str) -> Response:
    """Rows to draw: `{"rows": [{"name": "control, viewed", "value": 0.1, "low": 0.05, "high": 0.2}, ...]}`."""
    return jsonify(rows=_rows(report_of(serving().graph, _found(experiment_id))))


def _rows(report: Report) -> list[dict[str, Any]]:
    if report.wins:
        return [{"name": f"second, {outcome}", **asdict(won.share)} for outcome, won in report.wins.items()]
    return [
        {"name": f"{variant.name}, {outcome}", **asdict(variant.outcomes[outcome].share)}
        for outcome in OUTCOMES
        for variant in report.variants
    ]


def _found(experiment_id: str) -> dict[str, Any]:
    try:
        return lifecycle.find(serving().graph, experiment_id)
    except InputError as error:
        abort(404, str(error))


def _page(error: str = "") -> str:
    found = [{**node, "read": Experiment.read(node)} for node in lifecycle.list_experiments(serving().graph)]
    return render_template(
        "admin/experiments.html", experiments=found, places=serving().recommender.places.named, meanings=MEANINGS,
        rows=VARIANTS, ranker=RANKER, error=error, sent=request.form,
    )  # fmt: skip


def _variants() -> dict[str, dict[str, Any]]:
    """What the form says, as `read_variants` takes it; a row without a name is none."""
    found: dict[str, dict[str, Any]] = {}
    for row in VARIANTS:
        name = _sent(f"{row}_name")
        if not name:
            continue
        if name in found:
            raise InputError(f"{name!r} is the name of two variants")
        changes: dict[str, Any] = {"weight": _number(_sent(f"{row}_weight") or "1", f"{name}: weight")}
        ranker = RANKER.get(_sent(f"{row}_ranker"))
        if ranker is not None:
            changes["ranker"] = ranker
        if _sent(f"{row}_diversity"):
            changes["diversity"] = _number(_sent(f"{row}_diversity"), f"{name}: diversity")
        if _sent(f"{row}_fusion"):
            changes["fusion"] = _object(_sent(f"{row}_fusion"), f"{name}: fusion")
        found[name] = changes
    return found


def _sent(name: str) -> str:
    return request.form.get(name, "").strip()[:2000]


def _number(text: str, named: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"{named} = {text!r}: not a number") from None


def _object(text: str, named: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{named}: no JSON: {error}") from None
