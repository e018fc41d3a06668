"""Reads nodes and relations into Arrow tables in few wide records: a million values a second, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from shopgraph.graph.connection import Graph, batched
from shopgraph.schema import RelationType

PAGES_AT_ONCE = 2
"""Reads that run at the same time: while one page is unpacked here, the server makes the next."""
NODES_A_RECORD = 10_000
USERS_A_RECORD = 50
"""About 30,000 purchases a record where a user has 600: a server just started is quicker with many short queries."""

Beat = Callable[[int, int], None]
"""Called after each record with nodes done and their total."""


def no_beat(done: int, total: int) -> None:
    """For reading that nobody watches."""


def all_ids(graph: Graph, label: str) -> list[str]:
    """The ids of every node of a label, sorted."""
    return sorted(graph.wide("export_ids", label=label)["ids"])


def node_table(graph: Graph, label: str, ids: Sequence[str], schema: pa.Schema, beat: Beat = no_beat) -> pa.Table:
    """The nodes that are there of `ids`, in that order; a null where one has no such property."""
    keys, times = _split(schema)

    def read(page: list[str]) -> pa.Table:
        return _table(graph.wide("export_nodes", label=label, ids=page, keys=keys, times=times)["columns"], schema)

    return paged(ids, NODES_A_RECORD, read, schema, beat)


def relation_table(
    graph: Graph,
    relation: RelationType,
    ids: Sequence[str],
    keys: Sequence[pa.Field],
    before: datetime,
    beat: Beat = no_beat,
) -> pa.Table:
    """The relations of a type that leave the nodes `ids`: `start`, `end`, then the properties `keys`.

    Args:
        before: one that carries a time counts only when it happened earlier.
    """
    properties = pa.schema(keys)
    schema = pa.schema([("start", pa.string()), ("end", pa.string()), *keys])
    named, times = _split(properties)

    def read(page: list[str]) -> pa.Table:
        found = graph.wide(
            "export_relations", label=relation.source, ids=page, type=relation.type, target=relation.target,
            keys=named, times=times, before=before,
        )  # fmt: skip
        ends = [chosen(page, found["starts"]), pa.array(found["ends"], pa.string())]
        return pa.table([*ends, *_table(found["columns"], properties).columns], schema=schema)

    return paged(ids, USERS_A_RECORD if relation.behaviour else NODES_A_RECORD, read, schema, beat)


def catalogue_tables(
    graph: Graph, source: str, types: Sequence[str], ids: Sequence[str], beat: Beat = no_beat
) -> dict[str, pa.Table]:
    """`start` and `end` of the relations that leave the nodes `ids` of the label `source`, by type.

    Args:
        types: relation types without times.
    """
    schema = pa.schema([("type", pa.string()), ("start", pa.string()), ("end", pa.string())])

    def read(page: list[str]) -> pa.Table:
        found = graph.wide("export_catalogue", label=source, ids=page, types=types)
        each = zip(found["types"], found["starts"], found["ends"], strict=True)
        tables = (
            pa.table([pa.repeat(name, len(ends)), chosen(page, starts), pa.array(ends, pa.string())], schema=schema)
            for name, starts, ends in each
        )
        return pa.concat_tables([schema.empty_table(), *tables])

    table = paged(ids, NODES_A_RECORD, read, schema, beat)
    return {name: table.filter(pc.equal(table["type"], name)).drop_columns("type") for name in types}


def paged(
    ids: Sequence[str], size: int, read: Callable[[list[str]], pa.Table], schema: pa.Schema, beat: Beat
) -> pa.Table:
    """The tables of all pages of `ids` as one, in order; two pages are under way at a time."""
    pages = list(batched(ids, size))
    tables, done = [schema.empty_table()], 0
    with ThreadPoolExecutor(PAGES_AT_ONCE) as pool:
        for page, table in zip(pages, pool.map(read, pages), strict=True):
            tables.append(table)
            done += len(page)
            beat(done, len(ids))
    return pa.concat_tables(tables).combine_chunks()


def chosen(ids: Sequence[str], positions: Sequence[int]) -> pa.Array:
    """`ids` at the positions that a record numbers them by."""
    return pa.array(ids, pa.string()).take(pa.array(positions, pa.int64()))


def _split(schema: pa.Schema) -> tuple[list[str], list[str]]:
    """Names of plain columns and of times: times travel as numbers, a time on the wire costing dozens of them."""
    times = [field.name for field in schema if pa.types.is_timestamp(field.type)]
    return [name for name in schema.names if name not in times], times


def _table(columns: list[list[Any]], schema: pa.Schema) -> pa.Table:
    """Plain columns first, times last, as a table in the schema's order."""
    names, times = _split(schema)
    found = dict(zip([*names, *times], columns, strict=True))
    arrays = [
        pa.array(found[field.name], pa.int64()).cast(field.type)
        if field.name in times
        else pa.array(found[field.name], field.type)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)
