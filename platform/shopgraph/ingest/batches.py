"""Turns Arrow tables into the rows that the load queries take: plain lists, times as milliseconds since 1970."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shopgraph.ingest.difference import CURATORS

LINES_A_BATCH = 10_000


def snake(label: str) -> str:
    """`SearchTerm` becomes `search_term`, the name of its query file."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", label).lower()


def node_rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """One `{id, values}` a node; nulls are left out, since a source that does not say changes nothing."""
    for row in table.to_pylist():
        key = row.pop("id")
        yield {"id": key, "values": {name: value for name, value in row.items() if value is not None}}


def product_rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """As `node_rows`, with `first_seen` apart and without what no feed writes."""
    seen = _plain(table["first_seen"])
    rest = table.drop_columns(["first_seen", *CURATORS])
    for row, first_seen in zip(node_rows(rest), seen, strict=True):
        row["first_seen"] = first_seen
        yield row


def columns(table: pa.Table) -> Iterator[list[Any]]:
    """One list a row, its values in the table's order."""
    return (list(row) for row in zip(*(_plain(column) for column in table.columns), strict=True))


def event_batches(table: pa.Table) -> Iterator[list[list[Any]]]:
    """Rows in the table's order, in batches."""
    for start in range(0, table.num_rows, LINES_A_BATCH):
        yield list(columns(table.slice(start, LINES_A_BATCH)))


def order_batches(table: pa.Table) -> Iterator[list[list[Any]]]:
    """Purchase lines grouped by order: `[user, at, order_id, [[line_id, product, quantity, amount, discount], ...]]`.

    An order whose lines differ in time becomes a group for each time. A batch ends at the first group's end beyond
    `LINES_A_BATCH` lines.
    """
    table = table.sort_by([("start", "ascending"), ("at", "ascending"), ("order_id", "ascending")])
    lines = table.select(["line_id", "end", "quantity", "amount", "discount"])
    starts = _group_starts(table)
    ends = np.append(starts[1:], table.num_rows)
    heads = list(columns(table.select(["start", "at", "order_id"]).take(pa.array(starts))))
    first = 0
    while first < len(starts):
        last = max(first + 1, int(np.searchsorted(ends, starts[first] + LINES_A_BATCH, side="right")))
        offset = int(starts[first])
        flat = list(columns(lines.slice(offset, int(ends[last - 1]) - offset)))
        yield [
            [*heads[group], flat[int(starts[group]) - offset : int(ends[group]) - offset]]
            for group in range(first, last)
        ]
        first = last


def _group_starts(table: pa.Table) -> np.ndarray:
    """Row numbers where user, time or order differ from the row before.

    Shapes:
        result: (groups,), int64
    """
    if table.num_rows == 0:
        return np.empty(0, dtype=np.int64)
    new = np.zeros(table.num_rows - 1, dtype=bool)
    for name in ("start", "at", "order_id"):
        column = table[name].combine_chunks()
        new |= pc.not_equal(column[1:], column[:-1]).to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.flatnonzero(new) + 1])


def _plain(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()).to_pylist()
    return column.to_pylist()
