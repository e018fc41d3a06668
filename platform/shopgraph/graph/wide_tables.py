"""Reads nodes and relations into Arrow tables in few wide records: a million values a second, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from shopgraph.graph.connection import Graph, batched
from shopgraph.schema import RelationType

NODES_A_RECORD = 10_000
USERS_A_RECORD = 200
"""About 100,000 purchases a record where a user has 500: large enough for speed, small enough for memory."""

Beat = Callable[[int, int], None]
"""Called after each record with nodes done and their total."""


def no_beat(done: int, total: int) -> None:
    """For reading that nobody watches."""


def all_ids(graph: Graph, label: str) -> list[str]:
    """The ids of every node of a label, sorted."""
    return sorted(graph.wide("export_ids", label=label)["ids"])


def node_table(graph: Graph, label: str, ids: Sequence[str], schema: pa.Schema, beat: Beat = no_beat) -> pa.Table:
    """The nodes that are there of `ids`, in that order; a null where one has no such property."""
    tables, done = [schema.empty_table()], 0
    for batch in batched(ids, NODES_A_RECORD):
        rows = graph.wide("export_nodes", label=label, ids=batch, keys=schema.names)["rows"]
        tables.append(_table(rows, schema))
        done += len(batch)
        beat(done, len(ids))
    return pa.concat_tables(tables).combine_chunks()


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
    schema = pa.schema([("start", pa.string()), ("end", pa.string()), *keys])
    page = USERS_A_RECORD if relation.behaviour else NODES_A_RECORD
    tables, done = [schema.empty_table()], 0
    for batch in batched(ids, page):
        rows = graph.wide(
            "export_relations", label=relation.source, ids=batch, type=relation.type, target=relation.target,
            keys=[key.name for key in keys], before=before,
        )["rows"]  # fmt: skip
        tables.append(_table(rows, schema))
        done += len(batch)
        beat(done, len(ids))
    return pa.concat_tables(tables).combine_chunks()


def _table(rows: list[list[Any]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [
        pa.array(
            [value and value.to_native() for value in column] if pa.types.is_timestamp(field.type) else column,
            field.type,
        )
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.table(arrays, schema=schema)
