"""Satisfaction by hand, and what it must not know."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from shopgraph.dataset.satisfaction import SatisfactionConfig, read_satisfaction
from shopgraph.dataset.snapshot import Snapshot, assemble
from shopgraph.records import NODE_TABLES, RELATION_TABLES

START = datetime(2024, 1, 1, 9, tzinfo=UTC)
Event = tuple[str, str, int]
"""User, product, and days after the start."""


def shop(
    bought: list[tuple[str, str, int, str]],
    viewed: Sequence[Event] = (),
    rated: Sequence[tuple[str, str, int, float]] = (),
) -> Snapshot:
    """bought: user, product, day, basket; rated: user, product, day, rating."""

    def at(day: int) -> datetime:
        return START + timedelta(days=day)

    lines = [
        {"start": user, "end": product, "line_id": f"l{n}", "at": at(day), "quantity": 1, "amount": 1.0,
         "discount": 0.0, "order_id": basket}
        for n, (user, product, day, basket) in enumerate(bought)
    ]  # fmt: skip
    views = [{"start": u, "end": p, "line_id": f"v{n}", "at": at(day)} for n, (u, p, day) in enumerate(viewed)]
    ratings = [
        {"start": u, "end": p, "line_id": f"r{n}", "at": at(day), "rating": stars, "text": ""}
        for n, (u, p, day, stars) in enumerate(rated)
    ]
    tables = {"PURCHASED": lines, "VIEWED": views, "RATED": ratings}
    return assemble(
        {
            "Product": pa.Table.from_pylist([{"id": p} for p in "abc"], schema=NODE_TABLES["Product"]),
            "User": pa.Table.from_pylist([{"id": u} for u in "xy"], schema=NODE_TABLES["User"]),
        },
        {name: pa.Table.from_pylist(rows, schema=RELATION_TABLES[name]) for name, rows in tables.items()},
        START + timedelta(days=100),
    )


def value(snapshot: Snapshot) -> float:
    found = read_satisfaction(snapshot)
    assert (found.users.tolist(), found.products.tolist()) == ([0], [0])
    return found.values.item()


def test_a_single_purchase_is_half_satisfied():
    assert value(shop([("x", "a", 0, "1")])) == pytest.approx(0.5)


def test_each_further_basket_halves_the_doubt():
    assert value(shop([("x", "a", 0, "1"), ("x", "a", 7, "2"), ("x", "a", 9, "3")])) == pytest.approx(1 - 0.5 * 0.25)


def test_two_lines_of_one_basket_are_one_purchase():
    assert value(shop([("x", "a", 0, "1"), ("x", "a", 0, "1")])) == pytest.approx(0.5)


def test_only_later_days_are_a_return_and_each_counts_once():
    viewed = [("x", "a", -3), ("x", "a", 0), ("x", "a", 2), ("x", "a", 2), ("x", "a", 5), ("y", "a", 6), ("x", "b", 6)]
    assert value(shop([("x", "a", 0, "1")], viewed)) == pytest.approx(1 - 0.5 * 0.75**2)


@pytest.mark.parametrize(("stars", "expected"), [(1, 0.25), (3, 0.5), (5, 0.75)])
def test_a_rating_is_half_of_it(stars: float, expected: float):
    assert value(shop([("x", "a", 0, "1")], rated=[("x", "a", 3, stars)])) == pytest.approx(expected)


def test_the_newest_rating_counts_and_one_of_what_was_not_bought_does_not():
    rated = [("x", "a", 9, 1.0), ("x", "a", 4, 5.0), ("x", "b", 1, 5.0), ("y", "a", 1, 5.0)]
    assert value(shop([("x", "a", 0, "1")], rated=rated)) == pytest.approx(0.25)


def test_the_future_is_not_known():
    whole = shop([("x", "a", 0, "1"), ("x", "a", 50, "2")], viewed=[("x", "a", 51)], rated=[("x", "a", 52, 5.0)])
    assert value(whole.until(START + timedelta(days=40))) == pytest.approx(0.5)


def test_pairs_come_in_order_and_signs_are_configurable():
    snapshot = shop([("y", "a", 0, "1"), ("x", "c", 0, "2"), ("x", "b", 0, "3"), ("x", "b", 1, "4")])
    found = read_satisfaction(snapshot, SatisfactionConfig(bought=0.2, again=0.1))
    assert found.users.tolist() == [0, 0, 1]
    assert found.products.tolist() == [1, 2, 0]
    assert found.values.tolist() == pytest.approx([1 - 0.8 * 0.1, 0.2, 0.2])
    assert found.values.dtype == np.float32


def test_without_purchases_there_is_nothing():
    found = read_satisfaction(shop([], viewed=[("x", "a", 1)], rated=[("x", "a", 2, 5.0)]))
    assert len(found.values) == len(found.users) == 0
