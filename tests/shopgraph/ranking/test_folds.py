from __future__ import annotations

import numpy as np
import pytest

from shopgraph.cli.demo.loop import CUT, TRAIN, VALIDATION
from shopgraph.dataset.purchases import WEEK_MS, Purchases, to_ms
from shopgraph.errors import InputError
from shopgraph.ranking.folds import FoldConfig, make_folds
from shopgraph.ranking.training import RankerConfig

END_MS = 100 * WEEK_MS


def bought(*weeks: float) -> Purchases:
    times = np.array([round(week * WEEK_MS) for week in weeks])
    return Purchases(np.zeros(len(weeks), np.int64), np.arange(len(weeks)), times, 1, len(weeks))


def test_folds_count_back_from_the_end_earliest_first() -> None:
    folds = make_folds(END_MS, FoldConfig((5, 9.5), label_weeks=3, gap_weeks=1))
    assert [fold.moment_ms / WEEK_MS for fold in folds] == [90.5, 95]
    assert [fold.labels_from_ms / WEEK_MS for fold in folds] == [91.5, 96]
    assert [fold.labels_until_ms / WEEK_MS for fold in folds] == [94.5, 99]


def test_a_window_may_touch_the_end_but_not_cross_it() -> None:
    assert make_folds(END_MS, FoldConfig((4,), label_weeks=4))[0].labels_until_ms == END_MS
    with pytest.raises(InputError, match=r"fold 3 weeks before the end .* 1 of them beyond the end"):
        make_folds(END_MS, FoldConfig((8, 3), label_weeks=4))
    with pytest.raises(InputError, match="gap of at least 0"):
        make_folds(END_MS, FoldConfig((4,), gap_weeks=-1))


def test_the_demo_learns_from_moments_up_to_week_40_and_from_no_week_that_selects() -> None:
    assert (TRAIN.stop, VALIDATION.start) == (45, 45)
    moments = [(to_ms(CUT) - fold.moment_ms) / WEEK_MS for fold in make_folds(to_ms(CUT), RankerConfig().folds)]
    windows = [fold.labels_until_ms - to_ms(CUT) for fold in make_folds(to_ms(CUT), RankerConfig().folds)]
    assert [44 - weeks for weeks in moments] == [28, 32, 36, 40]
    assert max(windows) == 0


def test_what_is_sold_in_the_gap_or_after_the_window_is_no_answer() -> None:
    # products 0 to 4: before the moment, in the gap, at the window's two edges, and after it
    purchases = bought(10, 95.5, 96, 98.999, 99)
    settings = make_folds(END_MS, FoldConfig((5,), label_weeks=3, gap_weeks=1))[0].settings(purchases)
    assert settings["cold"].truth.toarray().tolist() == [[False, False, True, True, False]]
    assert settings["all"].candidates.tolist() == [True, False, False, False, False]


def test_a_fold_without_answers_or_without_a_past_is_refused() -> None:
    fold = make_folds(END_MS, FoldConfig((4,)))[0]
    with pytest.raises(InputError, match="no purchase lies from"):
        fold.settings(bought(10, 20))
    with pytest.raises(InputError, match="no purchase lies before"):
        fold.settings(bought(97))
