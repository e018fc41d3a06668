"""What an answer stands on: the release that serves, what is known of who asks, the rules in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from shopgraph.errors import InputError
from shopgraph.graph.connection import Graph, Record
from shopgraph.ranking.own_lines import OwnLines
from shopgraph.recommend.candidate import UNDERIVED
from shopgraph.recommend.experiment import Experiment
from shopgraph.recommend.filters import Filters
from shopgraph.recommend.fusion import Blend
from shopgraph.recommend.rules import CAP, FILTER, Rule
from shopgraph.recommend.scenario import IN_SEARCHES, IN_SESSION
from shopgraph.schema import EVENTS, RANKER

MEANING = {
    event.relation: {"weight": event.weight, "seconds": int(event.steers.total_seconds())}
    for event in EVENTS.values()
    if event.steers is not None
}
"""By relation type, what an event weighs and how long it steers."""


@dataclass(frozen=True)
class Standing:
    """Read once an answer, see `serving_state.cypher`."""

    as_of: datetime
    """The moment before which events count."""
    release: str | None
    slots: dict[str, str]
    versions: dict[str, str]
    """Slots and model versions by family."""
    newest: datetime | None
    """The newest event that derived values and the vectors of the release carry."""
    known: bool
    active: bool
    """Whether the user is known, and has bought or viewed anything."""
    interest: list[str]
    """The products that the user or the visit shows most interest in, strongest first: they steer."""
    seen: list[str]
    """All that either shows interest in: they are not shown again."""
    searches: list[str]
    """What either typed lately, latest first."""
    disliked: list[str]
    """What either rated below 3, if that was its last rating."""
    hidden: list[str]
    has_variants: bool
    """Whether any product says what it is a variant of."""
    has_newcomers: bool
    """Whether products were encoded since the release serves: its ranker can't know them."""
    own: OwnLines
    wrong: frozenset[str]
    """Relations that were judged wrong reasons, as `relation_id` names them."""
    rules: list[Rule]
    experiment: Experiment | None = None
    """What runs at the place."""

    @property
    def may_lose(self) -> bool:
        """Whether what is chosen may lose products afterwards, so that more are to be chosen from."""
        return self.has_variants or any(rule.kind == CAP for rule in self.rules)

    def within(self, filters: Filters, new_only: bool = False) -> Filters:
        """A caller's filters with those of the rules in force and, where that is asked, of what nobody bought yet."""
        denied = [(rule.label, rule.target) for rule in self.rules if rule.kind == FILTER]
        return replace(filters, denied=denied, unbought_before=self.as_of if new_only else filters.unbought_before)

    def without(self, exclude_owned: bool) -> list[str]:
        """What is not recommended to the user: the hidden, the disliked and, where that is asked, the owned."""
        return list(dict.fromkeys([*self.hidden, *self.disliked, *(self.own.products if exclude_owned else [])]))

    def ranked_by(self, ranker: bool | str) -> Standing:
        """With the ranker of a `Scenario` where that is a version."""
        return replace(self, versions={**self.versions, RANKER: ranker}) if isinstance(ranker, str) else self

    def of_visit(self, session: Sequence[str]) -> list[str]:
        """The sources of a visit that have something to start from.

        Args:
            session: products that the visit shows interest in.
        """
        return [name for name, start in ((IN_SESSION, session), (IN_SEARCHES, self.searches)) if start]

    def steps(
        self, exclude_owned: bool, session: Sequence[str], in_categories: bool = False, new_only: bool = False
    ) -> list[tuple[str, str]]:
        """The chain for who asks, see `Recommendations.step`, each with the setting whose blend answers it.

        Args:
            session: products that the visit shows interest in.
            in_categories: whether some categories are asked for.
            new_only: what is asked for is what nobody has bought yet.
        """
        if new_only:
            return [*([("personal", "new")] if self.active else []), ("arrivals", "arrivals")]
        steps: list[tuple[str, str]] = []
        if self.active:
            steps.append(("personal", "novel" if exclude_owned else "repeat"))
        if self.of_visit(session):
            steps.append(("session", "session"))
        if self.known:
            steps.append(("segment", "segment"))
        if in_categories:
            steps.append(("category", "category"))
        return [*steps, ("popular", "popular")]

    def require_honest(self, as_of: datetime | None, blend: Blend) -> None:
        """Refuse a moment at which a source of the blend would see the future.

        Raises:
            InputError: it is not after an event that a derived value or a vector carries.
        """
        derived = sorted(set(blend.sources) - UNDERIVED)
        if as_of is not None and self.newest is not None and as_of <= self.newest and derived:
            raise InputError(
                f"as_of {as_of.isoformat()} is not after {self.newest.isoformat()}, the newest event that derived "
                f"values and vectors carry: {', '.join(derived)} would see the future"
            )


NO_LIST: Mapping[str, Any] = {
    "kind": "",
    "limit": 0,
    "without": [],
    "categories": [],
    "min_price": None,
    "max_price": None,
}
"""What `serving_state` is asked with where no list will do."""


def read_standing(
    graph: Graph, as_of: datetime | None, user_id: str = "", session_id: str = "", scenario: str = ""
) -> Standing:
    """Of a user, of a visit, or of neither, at a place.

    Args:
        as_of: None: just after the newest event.
    """
    return standing_of(read_state(graph, as_of, user_id, session_id, scenario))


def read_state(
    graph: Graph,
    as_of: datetime | None,
    user_id: str = "",
    session_id: str = "",
    scenario: str = "",
    of_list: Mapping[str, Any] = NO_LIST,
) -> Record:
    """The record of `serving_state`.

    Args:
        of_list: which list would do in place of what is told of the user.
    """
    asked = {"user": user_id, "session": session_id, "scenario": scenario, **of_list}
    return graph.wide("serving_state", **asked, as_of=as_of, meaning=MEANING)


def standing_of(found: Record) -> Standing:
    return Standing(
        as_of=moment(found["as_of"]),
        release=found["release"],
        slots=dict(found["slots"]),
        versions=dict(found["versions"]),
        newest=moment(found["known_until"]) if found["known_until"] else None,
        known=found["known"],
        active=found["active"],
        interest=found["interest"],
        seen=found["seen"],
        searches=found["searches"],
        disliked=found["disliked"],
        hidden=found["hidden"],
        has_variants=found["has_variants"],
        has_newcomers=found["has_newcomers"],
        own=OwnLines(**found["own"]),
        wrong=frozenset(found["wrong"]),
        rules=[Rule(**rule) for rule in found["rules"]],
        experiment=next((Experiment.read(node) for node in found["experiments"]), None),
    )


def moment(told: Sequence[int]) -> datetime:
    """Of seconds since 1970 UTC and nanoseconds: the driver takes ten times as long to make a moment of its own."""
    seconds, nanoseconds = told
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanoseconds // 1000)
