"""Rules: what merchandisers decide about answers, as data in the graph, from a day to a day, for a place or for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shopgraph.errors import InputError
from shopgraph.graph.connection import Graph
from shopgraph.recommend.fusion import Fused
from shopgraph.recommend.rerank import one_of_each
from shopgraph.settings import utc_now
from shopgraph.tracking import new_run_id

FILTER, BOOST, BURY, PIN, CAP = KINDS = ("filter", "boost", "bury", "pin", "cap")
LABELS = ("Product", "Brand", "Category")
MOST_FACTOR = 100.0
MEANINGS = {
    FILTER: "never shown",
    BOOST: "its places in the list are divided by the amount",
    BURY: "its places in the list are multiplied by the amount",
    PIN: "a product, at the place that the amount says",
    CAP: "at most so many of a brand or category; of each one, where no target is named",
}


@dataclass(frozen=True)
class Rule:
    """One rule in force."""

    id: str
    kind: str
    label: str
    """Of the target: `Product`, `Brand` or `Category`."""
    target: str
    """Its id; "" in a cap on each of them."""
    amount: float
    """A factor above 1 of a boost or bury, a place from 1 of a pin, a number of products of a cap; 0 of a filter."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"a rule is one of {', '.join(KINDS)}, not {self.kind!r}")
        if self.label not in LABELS:
            raise InputError(f"a rule is about one of {', '.join(LABELS)}, not {self.label!r}")
        if self.kind == PIN and self.label != "Product":
            raise InputError("only a product can be pinned")
        if self.kind == CAP and self.label == "Product":
            raise InputError("a cap is on a brand or a category")
        if not self.target and self.kind != CAP:
            raise InputError(f"a {self.kind} needs a target")
        if self.kind in (BOOST, BURY) and not 1 < self.amount <= MOST_FACTOR:
            raise InputError(f"amount = {self.amount:g}: a {self.kind} is a factor above 1, at most {MOST_FACTOR:g}")
        if self.kind in (PIN, CAP) and not (1 <= self.amount <= MOST_FACTOR and self.amount == int(self.amount)):
            raise InputError(f"amount = {self.amount:g}: a {self.kind} is a whole number from 1 to {MOST_FACTOR:g}")

    @property
    def moves(self) -> bool:
        """Whether it gives products other places."""
        return self.kind in (BOOST, BURY)

    def applies(self, fact: Mapping[str, Any]) -> bool:
        """Whether a product is what the rule is about.

        Args:
            fact: an entry of the query `rule_facts`.
        """
        if self.label == "Product":
            return bool(fact["id"] == self.target)
        if self.label == "Brand":
            return bool(fact["brand"] == self.target)
        return self.target in fact["categories"]


def ruled(
    fused: Sequence[Fused],
    rules: Sequence[Rule],
    facts: Mapping[str, Mapping[str, Any]],
    barred: Collection[str] = (),
    groups: Mapping[str, str] = {},
    taken: Collection[str] = (),
) -> list[Fused]:
    """What rules make of a list: filters, then boosts and buries, one of each group of variants, then caps, then pins.

    Places are moved, not scores: those of a ranker and of rank fusion have no common scale. A product moves to its
    place divided by all boosts and multiplied by all buries that apply to it, equal places in the order that was.

    Args:
        facts: by product; one that is not there may not be shown.
        barred: what must not be shown to this user, pinned or not.
        groups, taken: see `one_of_each`; what is pinned speaks for its group.
    """
    kept = [item for item in fused if item.id in facts and not _any(rules, FILTER, facts[item.id])]
    moved = sorted(enumerate(kept, start=1), key=lambda placed: placed[0] / _lift(rules, facts[placed[1].id]))
    pins = [
        rule
        for rule in sorted((rule for rule in rules if rule.kind == PIN), key=lambda rule: (rule.amount, rule.id))
        if rule.target not in barred and rule.target in facts and not _any(rules, FILTER, facts[rule.target])
    ]
    pinned_ids = {rule.target for rule in pins}
    shown = {*taken, *(groups[target] for target in pinned_ids if target in groups)}
    apart = {product: group for product, group in groups.items() if product not in pinned_ids}
    kept = _capped(one_of_each([item for _, item in moved], apart, shown), rules, facts)
    for rule in pins:
        present = next((item for item in kept if item.id == rule.target), None)
        rest = [item for item in kept if item.id != rule.target]
        place = min(int(rule.amount) - 1, len(rest))
        pinned = present or Fused(rule.target, rest[min(place, len(rest) - 1)].score if rest else 0.0, (PIN,), None)
        kept = [*rest[:place], pinned, *rest[place:]]
    return kept


def nothing_left(before: Sequence[Fused], after: Sequence[Fused], rules: Sequence[Rule]) -> str:
    """What is said where rules leave nothing of a list that held something."""
    if after or not before:
        return ""
    at_work = ", ".join(rule.id for rule in rules if rule.kind == FILTER)
    return f"all {len(before)} products that were chosen are filtered out by rules: {at_work}"


def add_rule(
    graph: Graph,
    rule: Rule,
    *,
    by: str,
    scenario: str = "",
    starts: datetime | None = None,
    ends: datetime | None = None,
) -> None:
    """Put a rule in force.

    Args:
        by: who decides it.
        scenario: the one place that it is for; "" for all.
        starts, ends: from and until when, UTC; by default from now on, and until it is ended.

    Raises:
        InputError: its target is not in the graph, or it ends before it starts.
    """
    starts = starts or utc_now()
    if ends is not None and ends <= starts:
        raise InputError(f"it ends {ends:%Y-%m-%d %H:%M}, before it starts")
    written = graph.write(
        "rule_written", **vars(rule), scenario=scenario, starts=starts, ends=ends, by=by, at=utc_now()
    )
    if not written:
        raise InputError(f"no {rule.label.lower()} has the id {rule.target!r}")


def new_rule_id() -> str:
    return new_run_id("rule")


def end_rule(graph: Graph, rule_id: str, *, by: str) -> None:
    """Take a rule out of force; it stays listed.

    Raises:
        InputError: no rule in force has that id.
    """
    if not graph.write("rule_ended", id=rule_id, by=by, at=utc_now()):
        raise InputError(f"no rule in force has the id {rule_id!r}")


def list_rules(graph: Graph) -> list[dict[str, Any]]:
    """All rules, those in force first, then by when they were made, latest first."""
    return list(graph.single("rules_listed", now=utc_now())["rules"])


def _any(rules: Sequence[Rule], kind: str, fact: Mapping[str, Any]) -> bool:
    return any(rule.kind == kind and rule.applies(fact) for rule in rules)


def _lift(rules: Sequence[Rule], fact: Mapping[str, Any]) -> float:
    lift = 1.0
    for rule in rules:
        if rule.kind in (BOOST, BURY) and rule.applies(fact):
            lift *= rule.amount if rule.kind == BOOST else 1 / rule.amount
    return lift


def _capped(kept: Sequence[Fused], rules: Sequence[Rule], facts: Mapping[str, Mapping[str, Any]]) -> list[Fused]:
    caps, counts, found = [rule for rule in rules if rule.kind == CAP], Counter[tuple[str, str]](), list[Fused]()
    for item in kept:
        counted = [(rule, (rule.id, value)) for rule in caps if (value := _value(rule, facts[item.id]))]
        if all(counts[key] < rule.amount for rule, key in counted):
            counts.update(key for _, key in counted)
            found.append(item)
    return found


def _value(rule: Rule, fact: Mapping[str, Any]) -> str:
    """What of the product a cap counts; "" where it is not about it."""
    if rule.target:
        return rule.target if rule.applies(fact) else ""
    return str(fact["brand"] if rule.label == "Brand" else next(iter(fact["categories"]), ""))
