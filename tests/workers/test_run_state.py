from pathlib import Path

import pytest

from shopgraph.jobs import RETRAIN_STEPS, RetrainRequest
from shopgraph_workers.lease import LeaseLostError
from shopgraph_workers.run_state import RunFolder


def test_a_run_is_found_again_where_it_stopped(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    state = folder.open("retrain-1", RetrainRequest(holdout_weeks=2), fence=1)
    assert state.next_step == "retrain.export"
    folder.record(state, "retrain.export", {"snapshot": "snapshot-a"}, fence=1)
    again = RunFolder(tmp_path).open("retrain-1", RetrainRequest(holdout_weeks=2), fence=2)
    assert again.output("retrain.export", "snapshot") == "snapshot-a"
    assert (again.next_step, again.fence) == ("retrain.train_graph", 2)
    assert RetrainRequest.model_validate(again.request).holdout_weeks == 2
    assert [state.id for state in folder.open_ends()] == ["retrain-1"]


def test_who_was_overtaken_writes_nothing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    paused = folder.open("retrain-1", RetrainRequest(), fence=1)
    folder.open("retrain-1", RetrainRequest(), fence=2)
    with pytest.raises(LeaseLostError, match="taken over"):
        folder.record(paused, "retrain.export", {"snapshot": "late"}, fence=1)
    assert folder.read("retrain-1").outputs == {}


def test_a_run_that_ended_and_was_told_is_left_alone(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    state = folder.close(folder.open("retrain-1", RetrainRequest(), fence=1), "failed", 1, "disk full")
    assert [(entry.status, entry.error) for entry in folder.open_ends()] == [("failed", "disk full")]
    folder.mark_reported(state)
    assert folder.open_ends() == []


def test_a_finished_run_has_no_next_step(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    state = folder.open("retrain-1", RetrainRequest(), fence=1)
    for step in RETRAIN_STEPS:
        state = folder.record(state, step, {}, fence=1)
    assert state.next_step is None
