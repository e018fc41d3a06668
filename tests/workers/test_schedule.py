import subprocess
import sys
import time
import warnings
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from celery.exceptions import DuplicateTaskNameWarning

from shopgraph.errors import BusyError
from shopgraph.graph.connection import Graph
from shopgraph.jobs import CPU, ENCODE_NEW, IO, NIGHTLY, RANK_AHEAD, RETRAIN_STEPS
from shopgraph.services.broker import Broker
from shopgraph.settings import Settings
from shopgraph_workers.__main__ import only_one
from shopgraph_workers.app import create_app
from shopgraph_workers.schedule import beat_schedule, local_zone


def test_the_night_is_the_shops_own(
    settings: Settings, broker: Broker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("shopgraph_workers.app.local_zone", lambda: "America/New_York")
    app = create_app(settings.model_copy(update={"retrain_hour": 3}))
    entry = app.conf.beat_schedule["nightly retraining"]
    assert (entry["task"], entry["options"]["queue"]) == (NIGHTLY, IO)
    schedule = entry["schedule"]
    schedule.app = app
    zone = ZoneInfo("America/New_York")
    schedule.nowfun = lambda: datetime(2026, 1, 10, 2, 59, tzinfo=zone)
    assert schedule.is_due(datetime(2026, 1, 9, 3, 0, tzinfo=zone)).is_due is False
    schedule.nowfun = lambda: datetime(2026, 1, 10, 3, 0, 1, tzinfo=zone)
    assert schedule.is_due(datetime(2026, 1, 9, 3, 0, tzinfo=zone)).is_due is True
    assert ZoneInfo(local_zone())
    assert beat_schedule(23)["nightly retraining"]["schedule"].hour == {23}


def test_a_second_beat_is_refused_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    lock = tmp_path / "run" / "beat.lock"
    code = (
        "import sys, time; from pathlib import Path; from shopgraph_workers.__main__ import only_one\n"
        "with only_one(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(BusyError, match="a beat runs already"), only_one(lock):
        pass
    holder.kill()
    holder.communicate()
    with only_one(lock):
        time.sleep(0)


def test_newcomers_are_looked_for_every_other_second_and_looks_do_not_pile_up(
    settings: Settings, broker: Broker, graph: Graph, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(settings)
    entry = app.conf.beat_schedule["newcomers"]
    assert (entry["task"], entry["options"]["queue"]) == (ENCODE_NEW, IO)
    assert entry["schedule"] == entry["options"]["expires"] == 2.0
    look = app.tasks[ENCODE_NEW]
    assert look.apply().state == "SUCCESS"  # before the first release there is nothing to look for
    graph.driver.execute_query(
        "CYPHER 25 CREATE (:Release {id: 'r', active: true, created_at: datetime()})"
        "-[:NAMES {family: 'graph', slot: 'blue'}]->(:ModelVersion {id: 'graph-gone', before: datetime()})",
        database_=graph.database,
    )
    for _ in range(2):
        assert look.apply().state == "SUCCESS"
    said = [record for record in caplog.records if "no model version 'graph-gone'" in record.getMessage()]
    assert len(said) == 1


def test_lists_are_ranked_ahead_after_the_nights_retraining(
    settings: Settings, broker: Broker, graph: Graph, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(settings)
    entry = app.conf.beat_schedule["lists ranked ahead"]
    assert (entry["task"], entry["options"]["queue"]) == (RANK_AHEAD, CPU)
    assert beat_schedule(23)["lists ranked ahead"]["schedule"].hour == {2}
    caplog.set_level("INFO")
    assert app.tasks[RANK_AHEAD].apply().state == "SUCCESS"  # before the first release there is nothing to rank by
    graph.driver.execute_query(
        "CYPHER 25 CREATE (:Release {id: 'r', active: true, created_at: datetime()})", database_=graph.database
    )
    assert app.tasks[RANK_AHEAD].apply().state == "SUCCESS"
    assert "r: lists for 0 users and 0 products" in caplog.text
    runs = graph.driver.execute_query("MATCH (r:Run {kind: 'ranked'}) RETURN r.status", database_=graph.database)
    assert [record[0] for record in runs.records] == ["succeeded", "succeeded"]


def test_every_app_has_tasks_of_its_own(settings: Settings, broker: Broker) -> None:
    first = create_app(settings)
    with warnings.catch_warnings(action="error", category=DuplicateTaskNameWarning):
        second = create_app(settings)
        assert {ENCODE_NEW, NIGHTLY, RANK_AHEAD, *RETRAIN_STEPS} <= second.tasks.keys()
    for name in (ENCODE_NEW, NIGHTLY, RANK_AHEAD, *RETRAIN_STEPS):
        assert second.tasks[name].app is second
        assert first.tasks[name].app is first


def test_an_app_takes_json_alone_and_brings_no_torch(settings: Settings, broker: Broker) -> None:
    app = create_app(settings)
    assert app.conf.accept_content == ["json"]
    assert (app.conf.task_acks_late, app.conf.task_reject_on_worker_lost) == (True, True)
    code = "import sys, shopgraph_workers.app; print('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
