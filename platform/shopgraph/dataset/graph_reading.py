"""Reads the graph into Arrow tables in few wide records: a million numbers a second, in bounded memory."""

from __future__ import annotations

from datetime import datetime
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shopgraph.graph.connection import Graph, batched
from shopgraph.records import ARROW_TYPES, NODE_TABLES
from shopgraph.schema import NODES, RELATIONS, RelationType
from shopgraph.tracking import Progress

NODES_A_RECORD = 10_000
USERS_A_RECORD = 200
"""About 100,000 purchases a record where a user has 500: large enough for speed, small enough for memory."""


def read_nodes(graph: Graph, progress: Progress) -> dict[str, pa.Table]:
    """All nodes by label, rows sorted by id; learned properties and stamps are not read."""
    return {label: _nodes(graph, label, progress) for label in NODES}


def read_relations(
    graph: Graph, nodes: dict[str, pa.Table], before: datetime, progress: Progress
) -> dict[str, pa.Table]:
    """All stated relations by type with ids at both ends: behaviour before `before`, the catalogue as it stands."""
    tables = {}
    for name, relation in RELATIONS.items():
        if not relation.derived:
            ids = nodes[relation.source]["id"].to_pylist()
            read = _purchases if name == "PURCHASED" else _relations
            tables[name] = read(graph, relation, ids, before, progress)
    return tables


def _nodes(graph: Graph, label: str, progress: Progress) -> pa.Table:
    schema = NODE_TABLES[label]
    ids = sorted(graph.wide("export_ids", label=label)["ids"])
    tables = [schema.empty_table()]
    for batch in batched(ids, NODES_A_RECORD):
        rows = graph.wide("export_nodes", label=label, ids=batch, keys=schema.names)["rows"]
        tables.append(_table(rows, schema))
        progress(f"export {label}", sum(table.num_rows for table in tables), len(ids))
    return pa.concat_tables(tables).combine_chunks()


def _relations(graph: Graph, relation: RelationType, ids: list[str], before: datetime, progress: Progress) -> pa.Table:
    kept = [item for item in relation.properties if item.kind != "string"]
    schema = pa.schema(
        [("start", pa.string()), ("end", pa.string()), *((item.name, ARROW_TYPES[item.kind]) for item in kept)]
    )
    keys = [item.name for item in kept]
    page = USERS_A_RECORD if relation.behaviour else NODES_A_RECORD
    tables, done = [schema.empty_table()], 0
    for batch in batched(ids, page):
        rows = graph.wide(
            "export_relations", label=relation.source, ids=batch, type=relation.type, target=relation.target,
            keys=keys, before=before,
        )["rows"]  # fmt: skip
        tables.append(_table(rows, schema))
        done += len(batch)
        progress(f"export {relation.type}", done, len(ids))
    return pa.concat_tables(tables).combine_chunks()


def _purchases(graph: Graph, relation: RelationType, ids: list[str], before: datetime, progress: Progress) -> pa.Table:
    tables, done = [_purchase_columns([], _NO_PURCHASES)], 0
    for batch in batched(ids, USERS_A_RECORD):
        tables.append(_purchase_columns(batch, graph.wide("export_purchases", ids=batch, before=before)))
        done += len(batch)
        progress(f"export {relation.type}", done, len(ids))
    return pa.concat_tables(tables).combine_chunks()


_PURCHASE_COLUMNS = {
    "end": ("products", pa.string()),
    "at": ("times_ms", pa.int64()),
    "quantity": ("quantities", pa.float64()),
    "amount": ("amounts", pa.float64()),
    "discount": ("discounts", pa.float64()),
    "order_id": ("orders", pa.string()),
}
_NO_PURCHASES: dict[str, Any] = {"counts": [], **{name: [] for name, _ in _PURCHASE_COLUMNS.values()}}


def _purchase_columns(users: list[str], record: dict[str, Any]) -> pa.Table:
    owners = pa.array(users, pa.string()).take(pa.array(np.repeat(np.arange(len(users)), record["counts"])))
    flat = {
        column: pa.array(chain.from_iterable(record[name]), kind, from_pandas=True)
        for column, (name, kind) in _PURCHASE_COLUMNS.items()
    }
    flat["at"] = pc.cast(flat["at"], ARROW_TYPES["datetime"])
    flat["quantity"] = pc.cast(flat["quantity"], ARROW_TYPES["integer"])
    return pa.table({"start": owners, **flat})


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
