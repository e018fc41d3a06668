from __future__ import annotations

from shopgraph.learning.dotted import dotted


def test_nested_names_are_joined_by_dots() -> None:
    assert dotted({"a": 1, "b": {"c": [2], "d": {"e": None}}, "f": {}}) == {"a": 1, "b.c": [2], "b.d.e": None}
