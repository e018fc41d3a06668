from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from shopgraph.dataset.segments import user_segments
from shopgraph.dataset.snapshot import assemble
from shopgraph.records import NODE_TABLES, RELATION_TABLES

AT = datetime(2026, 1, 5, tzinfo=UTC)


def bought(counts: dict[str, int], **stated: dict[str, str]):
    users = [{"id": user, **{name: values.get(user) for name, values in stated.items()}} for user in counts]
    products = [{"id": f"p{number}"} for number in range(max(counts.values()) + 1)]
    lines = [
        {"start": user, "end": f"p{number}", "at": AT, "quantity": 1, "amount": 1.0, "order": f"{user}-{repeat}"}
        for user, count in counts.items()
        for number in range(count)
        for repeat in range(2)
    ]
    nodes = {"User": users, "Product": products}
    tables = {label: pa.Table.from_pylist(nodes.get(label, []), schema=table) for label, table in NODE_TABLES.items()}
    relations = {
        name: pa.Table.from_pylist(lines if name == "PURCHASED" else [], schema=table)
        for name, table in RELATION_TABLES.items()
    }
    return assemble(tables, relations, datetime(2026, 2, 1, tzinfo=UTC))


def members(counts: dict[str, int], **stated: dict[str, str]) -> dict[str, list[str]]:
    snapshot = bought(counts, **stated)
    ids = snapshot.ids("User")
    return {name: [ids[row] for row in rows.nonzero()[0]] for name, rows in user_segments(snapshot).items()}


def test_histories_fall_into_thirds_and_repeats_do_not_count() -> None:
    assert members({"a": 1, "b": 2, "c": 5, "d": 6, "e": 9, "f": 12, "none": 0}) == {
        "bought 1 to 2 products": ["a", "b"],
        "bought 3 to 6 products": ["c", "d"],
        "bought 7 to 12 products": ["e", "f"],
    }


def test_equal_histories_are_one_group() -> None:
    assert members({"a": 3, "b": 3, "c": 3}) == {"bought 1 to 3 products": ["a", "b", "c"]}


def test_a_stated_segment_is_a_group_and_a_missing_one_is_none() -> None:
    found = members({"a": 1, "b": 1, "c": 1}, age={"a": "45-54", "b": "25-34"})
    assert found["age 45-54"] == ["a"]
    assert found["age 25-34"] == ["b"]


def test_without_purchases_there_are_no_histories() -> None:
    assert members({"a": 0}) == {}
