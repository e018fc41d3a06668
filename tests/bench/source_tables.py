"""A data set's files as the tables that a snapshot is assembled of; what every reader of this folder shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from shopgraph.errors import InputError
from shopgraph.records import NODE_TABLES

_ENDS = pa.schema([("start", pa.string()), ("end", pa.string())])


def read_columns(path: Path, columns: Sequence[str], types: Mapping[str, pa.DataType]) -> pa.Table:
    """Some columns of a CSV file, gzipped or not; an empty field of a text is an empty text.

    Raises:
        InputError: the file can't be read, a value is not of its column's type, or a column is missing.
    """
    try:
        table = pyarrow.csv.read_csv(
            path,
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=False),
        )
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} can't be read: {error}") from None
    if missing := [name for name in columns if name not in table.column_names]:
        raise InputError(f"{path} has no column {missing[0]!r}: it needs {', '.join(columns)}")
    return table.select(list(columns))


def node_table(label: str, **columns: Sequence[object]) -> pa.Table:
    """The nodes of a label; `id` has to be given, other columns may be left out."""
    schema, rows = NODE_TABLES[label], len(columns["id"])
    return pa.table(
        {
            field.name: pa.array(columns[field.name], field.type)
            if field.name in columns
            else pa.nulls(rows, field.type)
            for field in schema
        },
        schema=schema,
    )


def ends_table(found: Sequence[tuple[str, str]]) -> pa.Table:
    """A catalogue relation by the ids of its ends."""
    return pa.table({"start": [a for a, _ in found], "end": [b for _, b in found]}, schema=_ENDS)


def purchase_table(
    nodes: Mapping[str, pa.Table],
    users: np.ndarray,
    products: np.ndarray,
    at_ms: np.ndarray,
    order_ids: Sequence[str],
) -> pa.Table:
    """One unit a purchase, at no stated price.

    Shapes:
        users, products: (purchases,), rows of the node tables; at_ms: (purchases,), milliseconds since 1970 UTC
    """
    count = len(users)
    return pa.table(
        {
            "start": nodes["User"]["id"].combine_chunks().take(pa.array(users)),
            "end": nodes["Product"]["id"].combine_chunks().take(pa.array(products)),
            "at": pa.array(at_ms).cast(pa.timestamp("ms", tz="UTC")),
            "quantity": pa.array(np.ones(count, dtype=np.int64)),
            "amount": pa.nulls(count, pa.float64()),
            "discount": pa.array(np.zeros(count)),
            "order_id": pa.array(order_ids, pa.string()),
        }
    )
