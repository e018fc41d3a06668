"""What `make bench-accuracy` says of the figures its jobs left."""

from __future__ import annotations

import json
from pathlib import Path

import accuracy
import numpy as np
import pytest

USERS = 200


def left(results: Path, name: str, novel: float, validation: float, **timed: float) -> None:
    """The figures of a job whose every user has the same NDCG, but for a tenth who have none."""
    some = np.where(np.arange(USERS) % 10 == 0, 0.0, 1.0)
    arrays = {
        f"{window}.novel.{metric}": some * value
        for window, value in (("validation", validation), ("test", novel))
        for metric in accuracy.METRICS
    }
    np.savez(results / f"{name}.npz", **arrays)
    (results / f"{name}.json").write_text(json.dumps({"train_s": 2.0, "users_per_s": 50.0, **timed}))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    left(tmp_path, "popularity", novel=0.3, validation=0.4, peak_gib=1.0)
    left(tmp_path, "ease", novel=0.5, validation=0.2, peak_gib=1.0)
    left(tmp_path, "gcn", novel=0.7, validation=0.3, peak_gib=1.0)
    left(tmp_path, "graphsage", novel=0.6, validation=0.6, peak_gib=1.0)
    left(tmp_path, "ours-novel", novel=0.8, validation=0.8, peak_gib=1.0)
    left(tmp_path, "ours_without_graph-novel", novel=0.64, validation=0.7, peak_gib=1.0)
    return tmp_path


def test_the_bar_is_the_best_peer_of_the_test_and_ours_is_chosen_by_the_validation_weeks(results: Path) -> None:
    figures = accuracy.keys(list(accuracy.read(results)))
    assert figures["novel.ndcg@20.best_peer"] == pytest.approx(0.9 * 0.5)
    assert figures["novel.ndcg@20.encoder_alone"] == pytest.approx(0.9 * 0.6)
    assert figures["novel.ndcg@20.ours"] == pytest.approx(0.9 * 0.8)


def test_gains_are_shares_of_what_they_are_over_with_the_interval_of_the_difference(results: Path) -> None:
    figures = accuracy.keys(list(accuracy.read(results)))
    for name, gain, difference in (
        ("ours_over_best_peer", 0.6, 0.3),
        ("ours_over_without_graph", 0.25, 0.16),
        ("encoder_alone_over_best_peer", 0.2, 0.1),
    ):
        key = f"novel.ndcg@20.{name}"
        assert figures[f"{key}.gain"] == pytest.approx(gain)
        assert 0 < figures[f"{key}.low"] < 0.9 * difference < figures[f"{key}.high"] < difference


def test_a_job_that_did_not_end_well_is_not_shown(results: Path) -> None:
    left(results, "ease", novel=0.9, validation=0.9)
    assert [row.model for row in accuracy.read(results)] == [
        "popularity", "gcn", "graphsage", "ours", "ours_without_graph",
    ]  # fmt: skip


def test_a_table_starts_with_the_best(results: Path) -> None:
    lines = list(accuracy.lines(list(accuracy.read(results)), "novel"))
    assert [line["model"] for line in lines] == [
        "ours", "gcn", "ours_without_graph", "graphsage", "ease", "popularity",
    ]  # fmt: skip
    assert [line["to the best peer"] for line in lines if line["model"] == "ease"] == [""]


def test_a_whole_run_is_the_sum_of_its_jobs_and_untold_while_one_is_missing(tmp_path: Path) -> None:
    names = [f"{kind} {name}" for kind, name in accuracy.jobs()]
    path = tmp_path / accuracy.SECONDS
    assert accuracy.whole_run(path) == {}
    path.write_text(json.dumps(dict.fromkeys(names[1:], 2.0)))
    assert accuracy.whole_run(path) == {}
    path.write_text(json.dumps({**dict.fromkeys(names, 2.0), "peer of old": 99.0}))
    assert accuracy.whole_run(path) == {"accuracy.total_s": 2.0 * len(names)}
