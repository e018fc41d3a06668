"""Reads the graph for a snapshot: every label, every stated relation, purchases column by column."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from shopgraph.graph.connection import Graph
from shopgraph.graph.wide_tables import (
    USERS_A_RECORD,
    all_ids,
    catalogue_tables,
    chosen,
    node_table,
    paged,
    relation_table,
)
from shopgraph.records import ARROW_TYPES, NODE_TABLES
from shopgraph.schema import NODES, RELATIONS, Property, RelationType
from shopgraph.tracking import Progress


def read_nodes(graph: Graph, progress: Progress) -> dict[str, pa.Table]:
    """All nodes by label, rows sorted by id; learned properties and stamps are not read."""
    return {
        label: node_table(graph, label, all_ids(graph, label), NODE_TABLES[label], partial(progress, f"export {label}"))
        for label in NODES
    }


def read_relations(
    graph: Graph, nodes: dict[str, pa.Table], before: datetime, progress: Progress
) -> dict[str, pa.Table]:
    """All stated relations by type with ids at both ends: behaviour before `before`, the catalogue as it stands."""
    counts = graph.single("graph_counts")["relations"]
    # a type that nobody uses costs a look at every node it could leave
    used = {name: relation for name, relation in RELATIONS.items() if not relation.derived and counts[name]}
    ids = {label: nodes[label]["id"].to_pylist() for label in {relation.source for relation in used.values()}}
    plain: dict[str, list[str]] = {}
    tables = {}
    for name, relation in used.items():
        if name == "PURCHASED":
            tables[name] = _purchases(graph, relation, ids["User"], before, progress)
        elif keys := [pa.field(item.name, ARROW_TYPES[item.kind]) for item in relation.properties if _is_read(item)]:
            beat = partial(progress, f"export {name}")
            tables[name] = relation_table(graph, relation, ids[relation.source], keys, before, beat)
        else:
            plain.setdefault(relation.source, []).append(name)
    for label, types in plain.items():
        tables |= catalogue_tables(graph, label, types, ids[label], partial(progress, f"export {', '.join(types)}"))
    return tables


def _is_read(item: Property) -> bool:
    return item.kind != "string"


def _purchases(graph: Graph, relation: RelationType, ids: list[str], before: datetime, progress: Progress) -> pa.Table:
    def read(users: list[str]) -> pa.Table:
        return _purchase_columns(users, graph.wide("export_purchases", ids=users, before=before))

    schema = _purchase_columns([], _NO_PURCHASES).schema
    return paged(ids, USERS_A_RECORD, read, schema, partial(progress, f"export {relation.type}"))


_PURCHASE_COLUMNS = {
    "end": ("products", pa.string()),
    "at": ("times_ms", pa.int64()),
    "quantity": ("quantities", pa.float64()),
    "amount": ("amounts", pa.float64()),
    "discount": ("discounts", pa.float64()),
    "order_id": ("orders", pa.string()),
}
_NO_PURCHASES: dict[str, Any] = {"starts": [], **{name: [] for name, _ in _PURCHASE_COLUMNS.values()}}


def _purchase_columns(users: list[str], record: dict[str, Any]) -> pa.Table:
    columns = {
        column: pa.array(record[name], kind, from_pandas=True) for column, (name, kind) in _PURCHASE_COLUMNS.items()
    }
    columns["at"] = pc.cast(columns["at"], ARROW_TYPES["datetime"])
    columns["quantity"] = pc.cast(columns["quantity"], ARROW_TYPES["integer"])
    return pa.table({"start": chosen(users, record["starts"]), **columns})
