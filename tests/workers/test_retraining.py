"""A shop of two hundred products is retrained by real workers, which are told to stop, killed, and asked twice."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
from redis import Redis

from shopgraph.dataset.snapshot import open_snapshot
from shopgraph.dataset.split import Holdout
from shopgraph.errors import BusyError
from shopgraph.graph.connection import Graph
from shopgraph.ingest.loading import load_incremental
from shopgraph.ingest.shop_csv import read_shop
from shopgraph.jobs import LEASE_KEY, NIGHTLY, QUEUES, RETRAIN_STEPS, Jobs, RetrainRequest
from shopgraph.privacy.pseudonym import open_pseudonymiser
from shopgraph.publish import serving
from shopgraph.records import SourceInfo
from shopgraph.registry import Registry
from shopgraph.sample import write_sample
from shopgraph.services.broker import Broker
from shopgraph.settings import Settings
from shopgraph.tracking import Run, RunLog
from shopgraph.wiring_serving import build_serving, rank_ahead_now
from shopgraph_workers.run_state import RunFolder, RunState

Found = TypeVar("Found")

LEASE_SECONDS = 2.0
SMALL = {"judged_pairs": 20, "judged_texts": 50, "tuning": {"steps": 4, "batch_pairs": 16}}
RANKER = {"sources": ["popularity", "personal_frequency", "item_knn"], "candidates": {"depth": 40}}
TEXT_ONLY = RetrainRequest(families=["text"], config={"text": SMALL})


@pytest.fixture(scope="module")
def shop(settings: Settings, shared_graph: Graph, broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """The sample shop in the graph, an empty queue, and no run."""
    shared_graph.driver.execute_query(
        "CYPHER 25 MATCH (n) WHERE NOT n:__Neo4jMigration CALL (n) { DETACH DELETE n }", database_=shared_graph.database
    )
    Redis.from_url(broker.url()).flushdb()
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder)
    source = SourceInfo("shop", "A sample shop", "EUR", "made by hand")
    load_incremental(shared_graph, read_shop(folder, source, open_pseudonymiser(settings)), "load-1")
    return shared_graph


@pytest.fixture
def runs(shop: Graph) -> RunLog:
    return RunLog(shop)


@pytest.fixture
def jobs(broker: Broker, runs: RunLog) -> Jobs:
    return Jobs(broker.url(), runs.queue)


def environment(settings: Settings) -> dict[str, str]:
    own = {
        "SHOPGRAPH_HOME": str(settings.home),
        "SHOPGRAPH_CACHE": str(settings.cache),
        "SHOPGRAPH_CLOCK": "data",
        "SHOPGRAPH_DEVICE": "cpu",
        "SHOPGRAPH_TORCH_THREADS": "1",
        "SHOPGRAPH_LEASE_SECONDS": str(LEASE_SECONDS),
        "SHOPGRAPH_RETRAIN_CONFIG": settings.retrain_config or "",
    }
    return {**os.environ, **own}


def shopgraph(settings: Settings, *arguments: str, **more: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from shopgraph.cli import main; main()", *arguments]
    return subprocess.Popen(command, env=environment(settings), text=True, **more)


@contextmanager
def working(settings: Settings, log: Path, *arguments: str) -> Iterator[psutil.Process]:
    """`shopgraph worker` while the block runs; its log is shown when the block fails."""
    with log.open("w") as output:
        supervisor = shopgraph(settings, "worker", *arguments, stdout=output, stderr=output)
        try:
            yield psutil.Process(supervisor.pid)
        except BaseException:
            print(log.read_text())
            raise
        finally:
            supervisor.terminate()
            supervisor.wait(60)


@pytest.fixture
def workers(settings: Settings, shop: Graph, tmp_path: Path) -> Iterator[psutil.Process]:
    with working(settings, tmp_path / "workers.log") as supervisor:
        yield supervisor


def until(look: Callable[[], Found], timeout_seconds: float = 240.0) -> Found:
    deadline = time.monotonic() + timeout_seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)
    return found


def ended(runs: RunLog, run_id: str) -> Run:
    def look() -> Run | None:
        run = runs.get(run_id)
        return run if run is not None and run.status in ("succeeded", "failed") else None

    return until(look)


def state(settings: Settings, run_id: str) -> RunState | None:
    return RunFolder(settings.home / "runs").read(run_id)


def process_of(supervisor: psutil.Process, queue: str) -> psutil.Process:
    return next(child for child in supervisor.children() if child.cmdline()[-2:] == ["worker", queue])


def test_a_retraining_ends_in_a_release(
    settings: Settings, shop: Graph, jobs: Jobs, runs: RunLog, workers: psutil.Process
) -> None:
    until(lambda: all(jobs.ping().values()))
    assert {queue: len(found) for queue, found in jobs.ping().items()} == dict.fromkeys(QUEUES, 1)
    run_id = jobs.retrain(TEXT_ONLY)
    until(jobs.running)
    with pytest.raises(BusyError, match=f"run {run_id} is retraining"):
        jobs.retrain(TEXT_ONLY)
    run = ended(runs, run_id)
    assert (run.status, run.error) == ("succeeded", None)
    release = serving(shop)
    assert run.summary["release"] == release.id
    assert release.families["text"].version == run.summary["text"]
    assert jobs.running() is None
    assert list(state(settings, run_id).outputs) == list(RETRAIN_STEPS)
    assert {path.name for path in (settings.home / "runs" / run_id).iterdir()} == {"run.json", "holdout.parquet"}

    jobs.send_steps(run_id, TEXT_ONLY)  # delivered once more, all of it
    jobs.send_steps(run_id, TEXT_ONLY, "retrain.publish")
    until(lambda: not any(jobs.waiting().values()))
    time.sleep(1.0)
    assert serving(shop) == release
    assert ended(runs, run_id) == run


def test_a_ranker_is_trained_by_the_workers_and_answers(
    settings: Settings, shop: Graph, jobs: Jobs, runs: RunLog, workers: psutil.Process
) -> None:
    if serving(shop) is None:  # where this test runs alone
        ended(runs, jobs.retrain(TEXT_ONLY))
    assert rank_ahead_now(shop, settings) is not None
    run = ended(runs, jobs.retrain(RetrainRequest(families=["ranker"], config={"ranker": RANKER})))
    assert (run.status, run.error) == ("succeeded", None)
    served = serving(shop).families["ranker"]
    listed = until(lambda: found if (found := shop.record("ranked_serving"))["slot"] else None)
    assert listed["release"] == serving(shop).id, "lists of the release before are made anew for the one that serves"
    assert served.version == run.summary["ranker"]
    card = Registry(settings.models).get(served.version)
    assert 0 < card.metrics["novel.ndcg@20"] <= 1
    assert card.config["sources"] == list(RANKER["sources"])
    with build_serving(settings) as answers:
        found = answers.recommender.recommend(answers.pseudonym("user-001"), 5)
    assert found.versions["ranker"] == served.version
    spoken = {source for item in found.items for source in item.sources}
    assert spoken & set(RANKER["sources"])
    assert spoken <= {*RANKER["sources"], "ranker", "session_neighbours"}
    assert len(found.items) == 5


def test_a_killed_training_process_is_started_again_and_goes_on(
    settings: Settings, shop: Graph, jobs: Jobs, runs: RunLog, workers: psutil.Process
) -> None:
    run_id = jobs.retrain(TEXT_ONLY)
    until(lambda: (run := runs.get(run_id)) and run.step == "text: fine-tune" and run.done)
    exported = state(settings, run_id).outputs["retrain.export"]
    killed = process_of(workers, "gpu")
    killed.send_signal(signal.SIGKILL)
    run = ended(runs, run_id)
    assert (run.status, run.error) == ("succeeded", None)
    assert run.summary["snapshot"] == exported["snapshot"]
    assert state(settings, run_id).fence > len(RETRAIN_STEPS)
    assert process_of(workers, "gpu").pid != killed.pid
    assert serving(shop).id == run.summary["release"]


def test_the_graph_model_is_judged_on_held_out_weeks_and_refitted_on_all(
    settings: Settings, shop: Graph, jobs: Jobs, runs: RunLog, workers: psutil.Process
) -> None:
    registry = Registry(settings.models)
    request = RetrainRequest(families=["graph"], config={"graph": {"cuts": {"count": 2}, "loop": {"epochs": 3}}})
    first = ended(runs, jobs.retrain(request))
    assert (first.status, first.error) == ("succeeded", None)
    assert first.summary["metrics"]["candidate.novel.users"] > 50
    assert not any(name.startswith("serving.") for name in first.summary["metrics"])
    outputs = state(settings, first.id).outputs
    exported = outputs["retrain.export"]
    judged = registry.get(outputs["retrain.train_graph"]["version"])
    published = registry.get(first.summary["graph"])
    assert judged.snapshot_id == exported["learned"] != exported["snapshot"] == published.snapshot_id
    assert published.metrics["held_out_version"] == judged.id
    assert published.metrics["best_epoch"] == judged.metrics["best_epoch"]
    learned, whole = (open_snapshot(settings.snapshots, exported[name]) for name in ("learned", "snapshot"))
    later = Holdout.read(Path(exported["holdout"]))
    assert learned.before == whole.before - timedelta(weeks=4)
    assert len(later) == whole.counts["PURCHASED"] - learned.counts["PURCHASED"] > 0
    families = serving(shop).families
    assert families["graph"].version == published.id
    assert "text" in families, "a family that was not trained goes on serving"

    second = ended(runs, jobs.retrain(request))
    assert second.status == "succeeded"
    # The same weeks, config and seed: what serves, before its refit, is as good as the candidate to the last digit.
    assert second.summary["metrics"]["serving.novel.ndcg@20"] == pytest.approx(
        first.summary["metrics"]["candidate.novel.ndcg@20"]
    )
    assert second.summary["metrics"]["difference.novel.ndcg@20"] == pytest.approx(0.0, abs=1e-9)


def test_the_graph_learns_from_texts_where_it_is_asked_to(
    settings: Settings, shop: Graph, jobs: Jobs, workers: psutil.Process
) -> None:
    """From the command line to a vector of a product that has nothing but a title."""
    until(lambda: all(jobs.ping().values()))
    config = json.dumps({"graph": {"text_features": True, "cuts": {"count": 2}, "loop": {"epochs": 2}}})
    options = ("--families", "graph", "--config", config, "--force", "--wait", "--json")
    asked = shopgraph(settings, "retrain", *options, stdout=subprocess.PIPE)
    answer = json.loads(asked.communicate(timeout=300)[0])
    assert (answer["status"], answer["error"]) == ("succeeded", None)
    published = Registry(settings.models).get(answer["summary"]["graph"])
    assert published.config["text_features"] is True
    assert list(settings.text_vectors.glob("*/*.npz"))
    try:
        change(shop, "CREATE (:Product {id: 'shop:titled', title: 'Espresso cup', source: 'shop'})")
        told = shopgraph(settings, "encode", "--json", stdout=subprocess.PIPE)
        encoded = json.loads(told.communicate(timeout=120)[0])
        assert (encoded["release"], encoded["products"]) == (answer["summary"]["release"], 1)
    finally:
        change(shop, "MATCH (p:Product {id: 'shop:titled'}) DETACH DELETE p")


def change(shop: Graph, text: str) -> None:
    shop.driver.execute_query(f"CYPHER 25 {text}", database_=shop.database)


def test_stopped_workers_hand_the_step_back_and_leave_nothing_behind(
    settings: Settings, shop: Graph, jobs: Jobs, runs: RunLog, tmp_path: Path
) -> None:
    tuning = {"steps": 30, "batch_pairs": 16, "frozen_layers": 0}
    slow = RetrainRequest(families=["text"], config={"text": {**SMALL, "tuning": tuning}})
    with working(settings, tmp_path / "first.log") as supervisor:
        run_id = jobs.retrain(slow)
        until(lambda: (run := runs.get(run_id)) and run.step == "text: fine-tune" and run.done)
        children = supervisor.children()
        asked_at = time.monotonic()
    assert time.monotonic() - asked_at < 25
    assert not any(child.is_running() for child in children)
    assert state(settings, run_id).status == "running"
    assert jobs.waiting()["gpu"] == 1
    with working(settings, tmp_path / "second.log"):
        assert ended(runs, run_id).status == "succeeded"


def test_a_run_that_fails_says_why_and_frees_the_way(
    settings: Settings, shop: Graph, jobs: Jobs, runs: RunLog, workers: psutil.Process
) -> None:
    before = serving(shop)
    failing = RetrainRequest.model_validate({"before": "2001-01-01T00:00:00Z", "families": ["text"]})
    run = ended(runs, jobs.retrain(failing))
    assert run.status == "failed"
    assert "has no purchases" in run.error
    assert "\n" not in run.error
    assert jobs.running() is None
    wrong = RetrainRequest(families=["text"], config={"text": {"epoch": 3}})
    assert "TextConfig has no epoch: it has" in ended(runs, jobs.retrain(wrong)).error
    assert serving(shop) == before

    asked = shopgraph(settings, "retrain", "--wait", "--json", "--before", "2001-01-01", stdout=subprocess.PIPE)
    answer = json.loads(asked.communicate(timeout=120)[0])
    assert asked.returncode == 1
    assert answer["status"] == "failed"
    assert runs.get(answer["run"]).error == answer["error"]


def test_a_run_whose_turn_comes_while_another_retrains_is_refused(
    jobs: Jobs, runs: RunLog, broker: Broker, workers: psutil.Process
) -> None:
    valkey = Redis.from_url(broker.url())
    valkey.hset(LEASE_KEY, mapping={"run": "retrain-other", "token": "x"})
    jobs.send_steps("retrain-late", TEXT_ONLY)
    run = ended(runs, "retrain-late")
    valkey.delete(LEASE_KEY)
    assert run.error == "run retrain-other is retraining: wait until it ends, then start another"


def test_the_nightly_task_queues_a_retraining_unless_one_is_under_way(
    settings: Settings, jobs: Jobs, runs: RunLog, broker: Broker, tmp_path: Path
) -> None:
    valkey = Redis.from_url(broker.url())
    before = {run.id for run in runs.recent()}
    told = {"graph": {"encoder": "gat"}}
    usual = settings.model_copy(update={"retrain_config": json.dumps(told)})
    with working(usual, tmp_path / "workers.log", "--queues", "io"):
        valkey.hset(LEASE_KEY, mapping={"run": "retrain-other", "token": "x"})
        jobs._app.send_task(NIGHTLY, queue="io")
        until(lambda: "no nightly retraining: run retrain-other is" in (tmp_path / "workers.log").read_text())
        assert {run.id for run in runs.recent()} == before
        valkey.delete(LEASE_KEY)
        jobs._app.send_task(NIGHTLY, queue="io")
        until(lambda: jobs.waiting()["gpu"] == 1)
        (queued,) = {run.id for run in runs.recent()} - before
        assert runs.get(queued).details == RetrainRequest(config=told).model_dump(mode="json")
        assert jobs.running() == queued
    shutil.rmtree(settings.home / "runs" / queued)
    valkey.flushdb()


def test_the_command_tells_what_the_operator_set_unless_it_is_told_otherwise(
    settings: Settings, runs: RunLog, broker: Broker
) -> None:
    told = {"graph": {"encoder": "gat"}}
    usual = settings.model_copy(update={"retrain_config": json.dumps(told)})
    for options, config in (((), told), (("--config", "{}"), {})):
        asked = shopgraph(usual, "retrain", "--json", *options, stdout=subprocess.PIPE)
        queued = json.loads(asked.communicate(timeout=120)[0])["run"]
        assert runs.get(queued).details["config"] == config
    Redis.from_url(broker.url()).flushdb()
