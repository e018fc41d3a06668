"""Writes derived relations and values as differences: what the graph already says is not written again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shopgraph.derivation.neighbours import Neighbours
from shopgraph.graph.connection import Graph
from shopgraph.tracking import Progress


def write_neighbours(
    graph: Graph, relation: str, ids: list[str], pairs: Neighbours, progress: Progress
) -> tuple[int, int]:
    """Make the relations of a derived type what `pairs` says; how many were written and removed.

    Args:
        relation: the name its three queries begin with: `_stored`, `_written`, `_removed`.
        ids: of the rows of `pairs`.
    """
    stored = {
        record["id"]: dict(zip(record["ids"], record["weights"], strict=True))
        for record in graph.read(f"{relation}_stored")
    }
    wanted: dict[str, dict[str, float]] = {}
    for start, end, weight in zip(pairs.start.tolist(), pairs.end.tolist(), pairs.weight.tolist(), strict=True):
        wanted.setdefault(ids[start], {})[ids[end]] = weight
    changed, gone = [], []
    for node, new in wanted.items():
        old = stored.get(node, {})
        moved = [other for other, weight in new.items() if old.get(other) != weight]
        if moved:
            changed.append({"id": node, "ids": moved, "weights": [new[other] for other in moved]})
    for node, old in stored.items():
        lost = [other for other in old if other not in wanted.get(node, {})]
        if lost:
            gone.append({"id": node, "ids": lost})
    removed = _send(graph, f"{relation}_removed", "removed", gone, progress)
    return _send(graph, f"{relation}_written", "written", changed, progress), removed


def write_popularity(graph: Graph, wanted: dict[str, int], progress: Progress) -> int:
    """Make each product's popularity what is wanted, 0 where it is not named; how many changed."""
    stored = graph.wide("popularity_stored")
    rows = [
        {"id": product, "count": wanted.get(product, 0)}
        for product, count in zip(stored["ids"], stored["counts"], strict=True)
        if max(count, 0) != wanted.get(product, 0)
    ]
    return _send(graph, "popularity_written", "written", rows, progress)


def _send(graph: Graph, query: str, column: str, rows: list[dict[str, Any]], progress: Progress) -> int:
    total, sent = 0, 0
    for count, records in graph.write_batches(query, _in_order(rows), batch_size=1000):
        sent += count
        total += records[0][column]
        progress(query.replace("_", " "), sent, len(rows))
    return total


def _in_order(rows: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """One order of locking for all writers: by id."""
    return sorted(rows, key=lambda row: row["id"])
