"""Moments inside the training weeks at which a ranker is asked what comes next, and the weeks that answer."""

from __future__ import annotations

from dataclasses import dataclass

from shopgraph.dataset.purchases import WEEK_MS, Purchases
from shopgraph.errors import InputError
from shopgraph.evaluation import Setting, pairs, protocol


@dataclass(frozen=True)
class FoldConfig:
    """Where the folds lie, counted back from the end of the training data."""

    weeks_before_end: tuple[float, ...] = (4.0, 8.0, 12.0, 16.0)
    """The moment of each fold; everything a feature is made of lies before it."""
    label_weeks: float = 4.0
    """Length of the window whose purchases are the right answers."""
    gap_weeks: float = 0.0
    """Weeks between the moment and the window, for a ranker that will be asked about weeks further ahead."""


@dataclass(frozen=True)
class Fold:
    """A moment and the window that answers it, in milliseconds since 1970 UTC; the window's end is not in it."""

    moment_ms: int
    labels_from_ms: int
    labels_until_ms: int

    def settings(self, purchases: Purchases) -> dict[str, Setting]:
        """The protocol's settings of the window as it would have been judged at the moment.

        Raises:
            InputError: nobody bought anything in the window, or nobody before the moment.
        """
        past = purchases.before(self.moment_ms)
        later = purchases.since(self.labels_from_ms).before(self.labels_until_ms)
        for part, place in ((past, f"before {self.moment_ms}"), (later, self._window)):
            if not len(part):
                raise InputError(f"no purchase lies {place} ms since 1970: move the folds or load more weeks")
        return protocol(*(pairs(part.users, part.products, purchases.shape) for part in (past, later)))

    @property
    def _window(self) -> str:
        return f"from {self.labels_from_ms} until {self.labels_until_ms}"


def make_folds(end_ms: int, config: FoldConfig = FoldConfig()) -> list[Fold]:
    """The folds of training data that end at a moment, earliest first.

    Raises:
        InputError: there is no fold, or a window is empty, begins before its moment or reaches beyond the end.
    """
    if not config.weeks_before_end or config.label_weeks <= 0 or config.gap_weeks < 0:
        raise InputError("a ranker needs a fold, a window longer than 0 weeks and a gap of at least 0 weeks")
    ahead_weeks = config.gap_weeks + config.label_weeks
    for weeks in config.weeks_before_end:
        if ahead_weeks > weeks:
            raise InputError(
                f"the fold {weeks:g} weeks before the end needs answers from the {ahead_weeks:g} weeks after it, "
                f"{ahead_weeks - weeks:g} of them beyond the end: move it to {ahead_weeks:g} weeks before the end"
            )
    return [_fold(end_ms - _ms(weeks), config) for weeks in sorted(config.weeks_before_end, reverse=True)]


def _fold(moment_ms: int, config: FoldConfig) -> Fold:
    labels_from_ms = moment_ms + _ms(config.gap_weeks)
    return Fold(moment_ms, labels_from_ms, labels_from_ms + _ms(config.label_weeks))


def _ms(weeks: float) -> int:
    return round(weeks * WEEK_MS)
