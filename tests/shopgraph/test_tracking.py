import pytest

from shopgraph.graph.connection import Graph
from shopgraph.tracking import RunLog


def test_a_run_is_begun_advanced_and_closed(graph: Graph) -> None:
    log = RunLog(graph)
    with log.recorded("ingest", {"source": "cj"}) as (run_id, summary):
        log.progress(run_id)("purchases", 5, 10, "half")
        live = log.get(run_id)
        summary["loaded"] = 10
    assert (live.status, live.step, live.done, live.total, live.message) == ("running", "purchases", 5, 10, "half")
    closed = log.get(run_id)
    assert (closed.status, closed.summary, closed.details) == ("succeeded", {"loaded": 10}, {"source": "cj"})
    assert closed.finished_at >= closed.started_at


def test_a_run_that_raises_is_closed_as_failed_with_its_reason(graph: Graph) -> None:
    log = RunLog(graph)
    with pytest.raises(ValueError, match="disk full"), log.recorded("export"):
        raise ValueError("disk full")
    assert [(run.status, run.error) for run in log.recent()] == [("failed", "disk full")]


def test_the_end_of_a_run_is_told_once(graph: Graph) -> None:
    log = RunLog(graph)
    run_id = log.begin("retrain")
    log.finish(run_id, "failed", error="disk full")
    ended = log.get(run_id)
    log.finish(run_id, "succeeded", {"release": "release-7"})
    assert log.get(run_id) == ended
    log.begin("retrain", run_id=run_id)
    log.finish(run_id, "succeeded", {"release": "release-7"})
    assert log.get(run_id).status == "succeeded", "a run that was begun again ends again"
