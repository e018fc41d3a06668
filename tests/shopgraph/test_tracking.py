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
