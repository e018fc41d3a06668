"""A study of a function whose peak is known: how it begins, goes on after an interruption, and ends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from search_space import Choice, Number
from study import Budget, Study

from shopgraph.errors import InputError

SPACE = {"x": Number(0.1, 100.0, log=True), "n": Number(1, 9), "by": Choice(("left", "right"))}
COMMITTED = {"x": 40.123456, "n": 2, "by": "left"}
PLENTY = 1e9


class Peak:
    """Highest at x = 10, n = 5, right; remembers what it was asked."""

    def __init__(self, interrupted_at: int | None = None) -> None:
        self.asked: list[dict[str, Any]] = []
        self._interrupted_at = interrupted_at

    def __call__(self, values: Mapping[str, Any]) -> float:
        if len(self.asked) == self._interrupted_at:
            raise KeyboardInterrupt
        self.asked.append(dict(values))
        return -abs(values["x"] - 10) / 10 - abs(values["n"] - 5) - (values["by"] == "left")


def study(folder: Path, committed: Mapping[str, Any] = COMMITTED, identity: object = "weeks 1 to 44") -> Study:
    return Study(folder, "peak", "all", SPACE, committed, identity)


def test_the_first_trial_is_the_committed_configuration_to_the_last_digit(tmp_path: Path) -> None:
    peak = Peak()
    tuned = study(tmp_path).run(peak, Budget(PLENTY, 1))
    assert peak.asked == [COMMITTED]
    assert tuned.before == tuned.after == Peak()(COMMITTED)
    assert tuned.values is None


def test_what_is_found_is_better_and_is_what_was_judged(tmp_path: Path) -> None:
    peak = Peak()
    tuned = study(tmp_path).run(peak, Budget(PLENTY, 25))
    assert tuned.after > tuned.before
    assert tuned.values in peak.asked
    assert Peak()(tuned.values) == tuned.after == max(map(Peak(), peak.asked))


@pytest.mark.parametrize("interrupted_at", [0, 1, 11])
def test_an_interrupted_study_goes_on_as_if_it_had_not_been(tmp_path: Path, interrupted_at: int) -> None:
    whole, first, second = Peak(), Peak(interrupted_at), Peak()
    study(tmp_path / "whole").run(whole, Budget(PLENTY, 13))
    with pytest.raises(KeyboardInterrupt):
        study(tmp_path / "cut").run(first, Budget(PLENTY, 13))
    tuned = study(tmp_path / "cut").run(second, Budget(PLENTY, 13))
    assert len(first.asked) == interrupted_at
    assert first.asked + second.asked == whole.asked
    assert tuned.trials == 13


def test_trials_of_earlier_runs_count_towards_the_budget(tmp_path: Path) -> None:
    asked = []
    for trials in (3, 5, 5):
        peak = Peak()
        study(tmp_path).run(peak, Budget(PLENTY, trials))
        asked.append(len(peak.asked))
    assert asked == [3, 2, 0]


def test_seconds_of_earlier_runs_count_towards_the_budget(tmp_path: Path) -> None:
    spent = study(tmp_path).run(Peak(), Budget(PLENTY, 4)).seconds
    peak = Peak()
    tuned = study(tmp_path).run(peak, Budget(spent, 100))
    assert spent > 0
    assert peak.asked == []
    assert tuned.trials == 4


def test_a_configuration_committed_meanwhile_is_judged_whatever_the_budget(tmp_path: Path) -> None:
    study(tmp_path).run(Peak(), Budget(PLENTY, 5))
    best = {"x": 10.0, "n": 5, "by": "right"}
    peak = Peak()
    tuned = study(tmp_path, best).run(peak, Budget(PLENTY, 5))
    assert peak.asked == [best]
    assert tuned.before == tuned.after == 0
    assert tuned.values is None


def test_trials_on_other_weeks_count_for_nothing(tmp_path: Path) -> None:
    study(tmp_path).run(Peak(), Budget(PLENTY, 5))
    peak = Peak()
    study(tmp_path, identity="weeks 1 to 40").run(peak, Budget(PLENTY, 2))
    assert len(peak.asked) == 2


def test_a_trial_that_fails_is_none_of_the_best_and_its_reason_is_kept(tmp_path: Path) -> None:
    def narrow(values: Mapping[str, Any]) -> float:
        if values["by"] == "left":
            raise InputError("nothing lies to the left")
        return -abs(values["x"] - 10)

    tuned = study(tmp_path).run(narrow, Budget(PLENTY, 12))
    again = study(tmp_path).tuned()
    assert tuned.before is None
    assert tuned.values["by"] == "right"
    assert 0 < len(tuned.failed) < 12
    assert set(tuned.failed) == {"nothing lies to the left"}
    assert again == tuned


def test_an_error_of_the_program_is_no_failed_trial(tmp_path: Path) -> None:
    def broken(values: Mapping[str, Any]) -> float:
        return values["missing"]

    with pytest.raises(KeyError, match="missing"):
        study(tmp_path).run(broken, Budget(PLENTY, 2))
    assert study(tmp_path).tuned().trials == 0
