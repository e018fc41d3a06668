"""What counts of users say: shares with intervals, differences, and whether users were dealt out as they should be.

scipy's statistics are imported where a report is made: a web process that makes none does without them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

LEVEL = 0.95
"""Of all intervals."""


@dataclass(frozen=True)
class Estimate:
    """A share or a difference of shares, with its interval."""

    value: float
    low: float
    high: float


def share(hits: int, users: int) -> Estimate:
    """How many of the users, with Wilson's score interval (1927); of nobody, anything from 0 to 1."""
    from scipy.stats import binomtest

    if not users:
        return Estimate(0.0, 0.0, 1.0)
    interval = binomtest(hits, users).proportion_ci(LEVEL, method="wilson")
    return Estimate(hits / users, float(interval.low), float(interval.high))


def difference(tried: Estimate, control: Estimate) -> Estimate:
    """Of two shares of different users, with Newcombe's hybrid score interval.

    Args:
        tried, control: as `share` gives them.

    Source: Newcombe, "Interval estimation for the difference between independent proportions", Statistics in Medicine
        1998, method 10.
    """
    found = tried.value - control.value
    return Estimate(
        found,
        found - hypot(tried.value - tried.low, control.high - control.value),
        found + hypot(tried.high - tried.value, control.value - control.low),
    )


def sample_ratio(users: Sequence[int], shares: Sequence[float]) -> float:
    """The probability that chance alone deals users out at least so unlike the shares (Pearson's chi-square).

    Args:
        shares: of the users, by variant; they sum to 1.
    """
    from scipy.stats import chisquare

    total = sum(users)
    if not total:
        return 1.0
    return float(chisquare(users, [total * share for share in shares]).pvalue)


@dataclass(frozen=True)
class Wins:
    """How many users chose more from each of two lists."""

    first: int
    second: int
    ties: int
    """Who chose as much of both, and something."""
    share: Estimate
    """Of the second, among those who chose more of one."""
    p_value: float
    """Of the sign test, two-sided: that chance alone parts them so unevenly."""


def wins(first: int, second: int, ties: int) -> Wins:
    """Of users who chose more of one list, of the other, and as much of both."""
    from scipy.stats import binomtest

    decided = first + second
    p_value = float(binomtest(second, decided).pvalue) if decided else 1.0
    return Wins(first, second, ties, share(second, decided) if decided else Estimate(0.5, 0.0, 1.0), p_value)
