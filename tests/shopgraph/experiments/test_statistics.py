"""Intervals and tests against published examples and hand arithmetic."""

from __future__ import annotations

import pytest

from shopgraph.experiments.statistics import Estimate, difference, sample_ratio, share, wins


def near(estimate: Estimate, value: float, low: float, high: float) -> bool:
    return (estimate.value, estimate.low, estimate.high) == pytest.approx((value, low, high), abs=5e-5)


def test_a_share_has_wilsons_interval() -> None:
    """81 of 263 is Newcombe's own example (1998, part I): .2553 to .3662."""
    assert near(share(81, 263), 81 / 263, 0.2553, 0.3662)
    assert near(share(0, 10), 0.0, 0.0, 0.2775)
    assert near(share(0, 0), 0.0, 0.0, 1.0)


def test_a_difference_has_newcombes_interval() -> None:
    """56 of 70 less 48 of 80 (1998, part II, method 10): .2, from .0524 to .3339."""
    assert near(difference(share(56, 70), share(48, 80)), 0.2, 0.0524, 0.3339)
    apart = difference(share(48, 80), share(56, 70))
    assert near(apart, -0.2, -0.3339, -0.0524)


def test_users_dealt_out_otherwise_than_the_weights_say_are_told() -> None:
    """5,100 and 4,900 of equal weights: chi-square = 2 * 100^2 / 5,000 = 4, one degree of freedom, p = .0455."""
    assert sample_ratio([5_100, 4_900], [0.5, 0.5]) == pytest.approx(0.0455, abs=5e-5)
    assert sample_ratio([250, 500, 250], [0.25, 0.5, 0.25]) == 1.0
    assert sample_ratio([550, 450], [0.5, 0.5]) == pytest.approx(0.00157, abs=5e-6)
    assert sample_ratio([0, 0], [0.5, 0.5]) == 1.0


def test_wins_are_judged_by_the_sign_test() -> None:
    """Nine of ten: 2 * (1 + 10) / 2^10."""
    judged = wins(1, 9, 5)
    assert judged.p_value == pytest.approx(22 / 1024)
    assert (judged.first, judged.second, judged.ties) == (1, 9, 5)
    assert near(judged.share, 0.9, 0.5958, 0.9821)
    assert wins(0, 0, 3).p_value == 1.0
    assert near(wins(0, 0, 3).share, 0.5, 0.0, 1.0)
