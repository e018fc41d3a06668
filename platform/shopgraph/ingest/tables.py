"""Builds the Arrow tables of a feed: whole columns, the schema's types, and the nodes that names imply."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from shopgraph.records import NODE_TABLES, RELATION_TABLES

PATH_SEPARATOR = " > "


def table(name: str, columns: Mapping[str, Any] | pd.DataFrame) -> pa.Table:
    """A table of one label or relation type.

    Args:
        name: a label or relation type of the schema.
        columns: arrays of one length by column name; a column left out is null ("the source does not say").
    """
    schema = NODE_TABLES.get(name) or RELATION_TABLES[name]
    unknown = set(columns) - set(schema.names)
    if unknown:
        raise ValueError(f"{name} has no columns {sorted(unknown)}")
    length = len(columns[next(iter(columns))])
    arrays = [
        _array(columns[field.name], field.type) if field.name in columns else pa.nulls(length, field.type)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)


def _array(values: Any, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values.cast(kind)
    if isinstance(values, pd.Series):
        return pa.array(values, from_pandas=True).cast(kind)
    return pa.array(values, type=kind, from_pandas=True)


def normalised(name: str) -> str:
    """The id of a brand, author or search term: one spelling for case, width and spacing (Unicode NFKC, casefold)."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def named_nodes(label: str, names: Iterable[str]) -> pa.Table:
    """Brand or Author nodes, one per normalised name, shown as first written."""
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(normalised(name), name)
    return table(label, {"id": list(first), "name": list(first.values())})


def category_nodes(paths: Iterable[str]) -> tuple[pa.Table, pa.Table]:
    """`Category` and `CHILD_OF` tables of the given paths and of every path above them."""
    known: dict[str, list[str]] = {}
    for path in paths:
        parts = path.split(PATH_SEPARATOR)
        for level in range(1, len(parts) + 1):
            known.setdefault(PATH_SEPARATOR.join(parts[:level]), parts[:level])
    nodes = table(
        "Category",
        {"id": list(known), "name": [p[-1] for p in known.values()], "level": [len(p) for p in known.values()]},
    )
    below = [path for path, parts in known.items() if len(parts) > 1]
    tree = table("CHILD_OF", {"start": below, "end": [PATH_SEPARATOR.join(known[path][:-1]) for path in below]})
    return nodes, tree


def attribute_nodes(ids: pa.Array | pa.ChunkedArray) -> pa.Table:
    """Attribute nodes of `key=value` ids."""
    distinct = pc.unique(ids)
    parts = [item.split("=", 1) for item in distinct.to_pylist()]
    return table("Attribute", {"id": distinct, "key": [p[0] for p in parts], "value": [p[1] for p in parts]})


def stacked(name: str, parts: Iterable[pa.Table]) -> pa.Table:
    """Tables of one name below each other."""
    schema = NODE_TABLES.get(name) or RELATION_TABLES[name]
    return pa.concat_tables([schema.empty_table(), *parts])
