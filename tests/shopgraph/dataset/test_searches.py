"""What followed a search, whose search it was, and which pairs are kept for judging."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from shopgraph.dataset.searches import SearchPairs, SearchPairsConfig, read_search_pairs
from shopgraph.dataset.snapshot import Snapshot, assemble
from shopgraph.records import NODE_TABLES, RELATION_TABLES

START = datetime(2024, 1, 1, tzinfo=UTC)
Event = tuple[str, str, float]
"""User, what it leads to, and hours after the start."""


def shop(searched: list[Event], viewed: Sequence[Event] = (), bought: Sequence[Event] = ()) -> Snapshot:
    def rows(events: Sequence[Event], prefix: str) -> list[dict[str, object]]:
        return [
            {"start": user, "end": end, "line_id": f"{prefix}{n}", "at": START + timedelta(hours=hours)}
            for n, (user, end, hours) in enumerate(events)
        ]

    lines = [{**row, "quantity": 1, "amount": 1.0, "discount": 0.0, "order_id": "o"} for row in rows(bought, "l")]
    tables = {"SEARCHED": rows(searched, "s"), "VIEWED": rows(viewed, "v"), "PURCHASED": lines}
    nodes = {"Product": "abc", "User": "xy"}
    return assemble(
        {
            label: pa.Table.from_pylist([{"id": n} for n in ids], schema=NODE_TABLES[label])
            for label, ids in nodes.items()
        }
        | {
            "SearchTerm": pa.Table.from_pylist(
                [{"id": "tea", "text": "Tea"}, {"id": "wine", "text": None}], schema=NODE_TABLES["SearchTerm"]
            )
        },
        {name: pa.Table.from_pylist(found, schema=RELATION_TABLES[name]) for name, found in tables.items()},
        START + timedelta(days=365),
    )


def named(found: SearchPairs, snapshot: Snapshot, pairs: str = "train") -> list[tuple[str, str]]:
    return [(found.queries[q], snapshot.ids("Product")[p]) for q, p in getattr(found, pairs).tolist()]


def test_views_within_an_hour_and_purchases_within_a_day_belong_to_the_search():
    snapshot = shop(
        [("x", "tea", 0)],
        viewed=[("x", "a", 0.5), ("x", "b", 1.5), ("y", "c", 0.5)],
        bought=[("x", "b", 20), ("x", "c", 30)],
    )
    found = read_search_pairs(snapshot)
    assert named(found, snapshot) == [("Tea", "a"), ("Tea", "b")]
    assert found.snapshot_id == snapshot.id


def test_what_follows_belongs_to_the_last_search_before_it():
    snapshot = shop([("x", "tea", 0), ("x", "wine", 0.2)], viewed=[("x", "a", 0.1), ("x", "b", 0.3), ("x", "c", 0.1)])
    found = read_search_pairs(snapshot, SearchPairsConfig(holdout_share=0.0))
    assert named(found, snapshot) == [("Tea", "a"), ("Tea", "c"), ("wine", "b")]


def test_nothing_before_a_search_is_found_by_it():
    snapshot = shop([("x", "tea", 1)], viewed=[("x", "a", 0.9)])
    assert named(read_search_pairs(snapshot), snapshot) == []


def test_a_search_counts_once_for_a_product_and_searches_add_up():
    snapshot = shop(
        [("x", "tea", 0), ("y", "tea", 0), ("x", "tea", 5)],
        viewed=[("x", "a", 0.1), ("x", "a", 0.2), ("y", "a", 0.1), ("x", "a", 5.1), ("x", "b", 5.2)],
        bought=[("x", "a", 0.3)],
    )
    found = read_search_pairs(snapshot, SearchPairsConfig(holdout_share=0.0))
    assert named(found, snapshot) == [("Tea", "a"), ("Tea", "b")]
    assert found.times.tolist() == [3, 1]


def test_the_latest_new_pairs_judge_and_known_ones_do_not():
    searched = [("x", "tea", 0), ("x", "tea", 50), ("x", "wine", 95), ("y", "tea", 100)]
    viewed = [("x", "a", 0.1), ("x", "b", 50.1), ("x", "c", 95.1), ("y", "a", 100.1)]
    snapshot = shop(searched, viewed)
    found = read_search_pairs(snapshot)
    assert named(found, snapshot) == [("Tea", "a"), ("Tea", "b")]
    assert named(found, snapshot, "holdout") == [("wine", "c")]


def test_without_searches_there_is_nothing():
    found = read_search_pairs(shop([], viewed=[("x", "a", 1)]))
    assert found.train.shape == found.holdout.shape == (0, 2)
    assert len(found.times) == 0
