"""What `make bench-serving` says of its aims."""

from __future__ import annotations

import pytest
from serving_aims import compared


@pytest.mark.parametrize(
    ("figure", "measured", "met"),
    [
        ("served.all.gain_over_best_peer", 0.06, "yes"),
        ("served.all.gain_over_best_peer", 0.05998, "NO"),
        ("served.all.gain_over_best_peer", float("nan"), "NO"),
        ("serving.worker_rss_mb", 300.0, "yes"),
        ("serving.worker_rss_mb", 300.1, "NO"),
    ],
)
def test_an_aim_is_met_at_its_bound_and_missed_beyond(figure: str, measured: float, met: str) -> None:
    (row,) = compared({figure: measured, "serving.rank_ahead_s": 1.0})
    assert (row["figure"], row["met"]) == (figure, met)
