"""What an experiment found: by variant what users did with what they were shown, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter

from shopgraph.events.consumer import FORGET_AFTER
from shopgraph.experiments.statistics import Estimate, Wins, difference, sample_ratio, share, wins
from shopgraph.graph.connection import Graph
from shopgraph.recommend.experiment import INTERLEAVING, Experiment
from shopgraph.settings import utc_now

WINDOW = timedelta(hours=24)
"""How long after an answer an event that names none still counts for a product that it showed."""
OUTCOMES = ("viewed", "basket", "bought")
MISMATCH_BELOW = 0.001
"""The p-value under which users were not dealt out as they should be."""


@dataclass(frozen=True)
class Conversion:
    """Users of a variant who did something with a product that it showed them."""

    products: int
    """Counted once an answer."""
    users: int
    share: Estimate
    """Of the users who were shown anything."""
    difference: Estimate | None
    """To the control's share; None of the control itself."""


@dataclass(frozen=True)
class VariantReport:
    """One variant; of an interleaving, one line for both."""

    name: str
    share: float
    """Of the users that it should have."""
    users: int
    answers: int
    outcomes: dict[str, Conversion]
    """By `OUTCOMES`."""


@dataclass(frozen=True)
class Report:
    """What an experiment found until now."""

    id: str
    name: str
    scenario: str
    kind: str
    begun_at: datetime
    ended_at: datetime | None
    until: datetime
    variants: list[VariantReport]
    sample_ratio_p: float | None
    """See `sample_ratio`; None of an interleaving, which shows everybody both."""
    wins: dict[str, Wins]
    """By `OUTCOMES`, of an interleaving; `first` is the control."""
    warnings: list[str]


@dataclass
class Counts:
    """Of one variant, added up over its users.

    Shapes:
        products, converted: (outcomes,)
    """

    users: int = 0
    answers: int = 0
    products: Sequence[int] = (0, 0, 0)
    converted: Sequence[int] = (0, 0, 0)

    def add(self, counts: Sequence[int], users: int, answers: int) -> None:
        self.users += users
        self.answers += answers
        self.products = [old + count * users for old, count in zip(self.products, counts, strict=False)]
        self.converted = [old + users * (count > 0) for old, count in zip(self.converted, counts, strict=False)]


def report_of(graph: Graph, node: Mapping[str, Any]) -> Report:
    """What an experiment found; once what it showed is forgotten, what it had found when it was stopped.

    Args:
        node: as `find` gives it.
    """
    begun_at, ended_at, now = _native(node["begun_at"]), _native(node.get("ended_at")), utc_now()
    if node.get("report") and now - begun_at > FORGET_AFTER:
        return TypeAdapter(Report).validate_json(node["report"])
    hours = WINDOW // timedelta(hours=1)
    rows = graph.wide("experiment_outcomes", experiment=node["id"], window_hours=hours)["rows"]
    return judged(Experiment.read(node), rows, begun_at, ended_at, now)


def judged(
    experiment: Experiment,
    rows: Iterable[Sequence[Any]],
    begun_at: datetime,
    ended_at: datetime | None,
    now: datetime,
) -> Report:
    """A report from counts of users.

    Args:
        rows: as `experiment_outcomes` gives them.
    """
    rows = list(rows)
    interleaved = experiment.kind == INTERLEAVING
    names = [""] if interleaved else [variant.name for variant in experiment.variants]
    counted = {name: Counts() for name in names}
    for variant, counts, users, answers in rows:
        if variant in counted:
            counted[variant].add(counts[: len(OUTCOMES)], users, answers)
    shares = [1.0] if interleaved else experiment.shares
    ratio = None if interleaved else sample_ratio([counted[name].users for name in names], shares)
    warnings = []
    if ratio is not None and ratio < MISMATCH_BELOW:
        warnings.append(
            f"users were not dealt out as the weights say (p = {ratio:.1e}): trust no figure before you know why"
        )
    if now - begun_at > FORGET_AFTER:
        warnings.append(f"what was shown is kept for {FORGET_AFTER.days} days: older answers are not counted any more")
    return Report(
        experiment.id, experiment.name, experiment.scenario, experiment.kind, begun_at, ended_at, now,
        variants=_variants(names, shares, counted, " and ".join(v.name for v in experiment.variants)),
        sample_ratio_p=ratio,
        wins=_wins(rows) if interleaved else {},
        warnings=warnings,
    )  # fmt: skip


def _variants(
    names: Sequence[str], shares: Sequence[float], counted: Mapping[str, Counts], both: str
) -> list[VariantReport]:
    found: list[VariantReport] = []
    for name, wanted in zip(names, shares, strict=True):
        counts, outcomes = counted[name], {}
        for number, outcome in enumerate(OUTCOMES):
            converted = share(counts.converted[number], counts.users)
            apart = difference(converted, found[0].outcomes[outcome].share) if found else None
            outcomes[outcome] = Conversion(counts.products[number], counts.converted[number], converted, apart)
        found.append(VariantReport(name or both, wanted, counts.users, counts.answers, outcomes))
    return found


def _wins(rows: Iterable[Sequence[Any]]) -> dict[str, Wins]:
    """A user's win is the list that more of what they chose came from (the unit is the user, not the click)."""
    rows, width, found = list(rows), len(OUTCOMES), {}
    for number, outcome in enumerate(OUTCOMES):
        first = second = ties = 0
        for _, counts, users, _ in rows:
            one, other = counts[width + number], counts[2 * width + number]
            first += users * (one > other)
            second += users * (other > one)
            ties += users * (one == other > 0)
        found[outcome] = wins(first, second, ties)
    return found


def _native(moment: Any) -> Any:
    return moment.to_native() if hasattr(moment, "to_native") else moment
