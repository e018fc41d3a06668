import json
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shopgraph.jobs import CPU, GPU, IO, Jobs
from shopgraph.services.broker import Broker
from shopgraph.settings import Settings
from shopgraph.tracking import RunLog
from shopgraph.wiring_serving import Serving
from shopgraph_web.application import create_app


@pytest.fixture
def runs(serving: Serving) -> RunLog:
    return RunLog(serving.graph)


@pytest.fixture
def jobs(broker: Broker, serving: Serving) -> Iterator[Jobs]:
    found = Jobs(broker.url(), announce=serving.runs.queue)
    yield found
    found.close()


@pytest.fixture
def app(panel_settings: Settings, serving: Serving, jobs: Jobs) -> Flask:
    return create_app(panel_settings, serving=serving, jobs=jobs)


def test_a_running_job_shows_how_far_it_is_and_asks_again(admin: FlaskClient, runs: RunLog) -> None:
    run_id = runs.begin("retrain", {"holdout_weeks": 4})
    runs.progress(run_id)("train_graph", 3, 12, "loss 0.41")
    live = admin.get(f"/jobs/{run_id}/progress").text
    assert "Train graph" in live
    assert "3 of 12" in live
    assert "loss 0.41" in live
    assert 'hx-trigger="every 2s"' in live
    assert 'hx-trigger="every 2s"' in admin.get("/jobs/rows").text
    runs.finish(run_id, "succeeded", {"release": "release-7", "recall@20": 0.25})
    ended = admin.get(f"/jobs/{run_id}").text
    assert "succeeded" in ended
    assert "release-7" in ended
    assert "hx-trigger" not in ended


def test_a_failed_job_shows_its_one_line(admin: FlaskClient, runs: RunLog) -> None:
    run_id = runs.begin("retrain")
    runs.finish(run_id, "failed", error="no purchase before 2017-01-01: load a source first")
    assert "no purchase before 2017-01-01: load a source first" in admin.get(f"/jobs/{run_id}").text


def test_an_admin_starts_a_retraining_that_waits_in_the_queue(
    app: Flask, admin: FlaskClient, jobs: Jobs, runs: RunLog, send_form: Callable
) -> None:
    before = sum(jobs.waiting()[queue] for queue in (IO, CPU, GPU))
    told = {"graph": {"encoder": "gat"}}
    backend = app.extensions["shopgraph"]
    backend.settings = backend.settings.model_copy(update={"retrain_config": json.dumps(told)})
    answer = send_form(admin, "/jobs/", "/jobs/retrain")
    run_id = answer.location.removeprefix("/jobs/")
    assert runs.get(run_id).status == "queued"
    assert runs.get(run_id).details["config"] == told
    assert sum(jobs.waiting()[queue] for queue in (IO, CPU, GPU)) == before + 1
    assert "It waits for a worker" in admin.get(answer.location).text


def test_without_a_broker_the_button_says_so(panel_settings: Settings, serving: Serving, sign_in: Callable, app: Flask,
                                              send_form: Callable) -> None:  # fmt: skip
    admin = sign_in("admin")
    app.extensions["shopgraph"]._given_jobs = None
    page = admin.get(send_form(admin, "/jobs/", "/jobs/retrain").location).text
    assert "the managed broker is not running: start it with &#39;shopgraph services start&#39;" in page


def test_an_unknown_run_is_a_404(admin: FlaskClient) -> None:
    assert admin.get("/jobs/none").status_code == 404
