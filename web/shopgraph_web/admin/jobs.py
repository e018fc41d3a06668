"""Runs: what is under way, how far it is, how it ended; and the button that starts a retraining."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from shopgraph.errors import BusyError, ConfigurationError, ServiceError
from shopgraph.jobs import RetrainRequest, usual_config
from shopgraph.tracking import Run
from shopgraph_web.admin.gate import ONLY_ADMINS, panel_pages
from shopgraph_web.backend import backend, serving

pages = panel_pages("jobs", "/jobs")

RUNS = 50
LIVE = ("queued", "running")


@pages.get("/")
def index() -> str:
    return render_template("admin/jobs.html", runs=serving().runs.recent(RUNS), live=LIVE)


@pages.get("/rows")
def rows() -> str:
    """The fragment of the list, which asks for itself again while something is under way."""
    return render_template("admin/_runs.html", runs=serving().runs.recent(RUNS), live=LIVE)


@pages.get("/<run_id>")
def detail(run_id: str) -> str:
    return render_template("admin/job.html", run=_run(run_id), live=LIVE)


@pages.get("/<run_id>/progress")
def progress(run_id: str) -> str:
    """The fragment of one run, which asks for itself again until the run has ended."""
    return render_template("admin/_run.html", run=_run(run_id), live=LIVE)


@pages.post("/retrain")
@ONLY_ADMINS
def retrain() -> ResponseReturnValue:
    try:
        run_id = backend().jobs().retrain(RetrainRequest(config=usual_config(backend().settings)))
    except (BusyError, ConfigurationError, ServiceError) as error:
        flash(str(error), "danger")
        return redirect(url_for("jobs.index"))
    return redirect(url_for("jobs.detail", run_id=run_id))


def _run(run_id: str) -> Run:
    run = serving().runs.get(run_id)
    if run is None:
        abort(404, f"no run has the id {run_id!r}")
    return run
