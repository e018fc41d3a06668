"""A snapshot: the catalogue as it stands and behaviour before a moment, as row-numbered tables under a content id."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shopgraph.dataset.graph_reading import read_nodes, read_relations
from shopgraph.errors import InputError
from shopgraph.graph.connection import Graph
from shopgraph.records import ARROW_TYPES, NODE_TABLES
from shopgraph.schema import RELATIONS
from shopgraph.tracking import Progress, silent

MANIFEST = "manifest.json"

LOAD_TIMES = frozenset({"first_seen"})
"""Depends on when a graph was loaded, not on what it says: kept in the tables, left out of the id."""

SNAPSHOT_RELATIONS: dict[str, pa.Schema] = {
    name: pa.schema(
        [
            pa.field("start", pa.int64()),
            pa.field("end", pa.int64()),
            *(
                pa.field(item.name, ARROW_TYPES[item.kind])
                for item in relation.properties
                if item.kind in ("datetime", "integer", "float")
            ),
            *([pa.field("order", pa.int64())] if name == "PURCHASED" else []),
        ]
    )
    for name, relation in RELATIONS.items()
    if not relation.derived
}
"""Columns of each relation: row numbers into the node tables of its ends, time, numbers, and a dense basket number."""


@dataclass(frozen=True)
class Snapshot:
    """What a learner may see.

    Every label and relation type of the schema has a table, some of them empty. Node tables are sorted by id, relation
    tables by their columns, so that the same graph gives the same tables whatever the order it was loaded in.

    Shapes:
        nodes[label]: columns of `NODE_TABLES`, one row a node
        relations[type]: columns of `SNAPSHOT_RELATIONS`; `start` and `end` number rows of the node tables
    """

    id: str
    before: datetime
    nodes: dict[str, pa.Table]
    relations: dict[str, pa.Table]
    path: Path | None = None
    """Its folder; None for one that was never written, such as the earlier part of a split."""
    _ids: dict[str, list[str]] = field(default_factory=dict, repr=False, compare=False)

    def ids(self, label: str) -> list[str]:
        """The ids of a label in the order of its rows."""
        if label not in self._ids:
            self._ids[label] = self.nodes[label]["id"].to_pylist()
        return self._ids[label]

    @property
    def counts(self) -> dict[str, int]:
        return {name: table.num_rows for name, table in (*self.nodes.items(), *self.relations.items())}

    def until(self, moment: datetime) -> Snapshot:
        """The part before `moment`: what an export at that moment would have given, the catalogue aside."""
        relations = {name: earlier(table, moment) for name, table in self.relations.items()}
        relations["PURCHASED"] = _dense_orders(relations["PURCHASED"])
        return _identified(moment, self.nodes, relations)


def earlier(table: pa.Table, moment: datetime) -> pa.Table:
    """The rows that happened before `moment`; a row without a time is older than any."""
    if "at" not in table.column_names:
        return table
    kept = pc.less(table["at"], pa.scalar(moment, table.schema.field("at").type))
    return table.filter(pc.fill_null(kept, True))


def assemble(nodes: Mapping[str, pa.Table], relations: Mapping[str, pa.Table], before: datetime) -> Snapshot:
    """Make a snapshot of tables as sources write them, with node ids in `start` and `end`.

    Args:
        nodes: by label, columns of `NODE_TABLES`.
        relations: by type, columns of `RELATION_TABLES`; `line_id` and texts may be absent.

    Raises:
        InputError: a relation names a node that is not there.
    """
    sorted_nodes = {
        label: nodes[label].sort_by("id").combine_chunks() if label in nodes else schema.empty_table()
        for label, schema in NODE_TABLES.items()
    }
    ids = {label: table["id"].combine_chunks() for label, table in sorted_nodes.items()}
    numbered = {
        name: _numbered(name, relations[name], ids, before) if name in relations else schema.empty_table()
        for name, schema in SNAPSHOT_RELATIONS.items()
    }
    return _identified(before, sorted_nodes, numbered)


def export_snapshot(graph: Graph, before: datetime, folder: Path, progress: Progress = silent) -> Snapshot:
    """Export the catalogue and the behaviour before `before` into `folder/<id>`.

    A snapshot is whole or absent: it is written aside and renamed. The same graph gives the same id, and its folder is
    then reused.

    Raises:
        InputError: the graph has no products, or `before` names no time zone.
    """
    if before.tzinfo is None:
        raise InputError(f"before={before.isoformat()}: a snapshot's time needs a zone, e.g. {before.isoformat()}Z")
    nodes = read_nodes(graph, progress)
    if nodes["Product"].num_rows == 0:
        raise InputError("the graph holds no products: ingest a source before exporting")
    relations = read_relations(graph, nodes, before, progress)
    return write_snapshot(assemble(nodes, relations, before), folder)


def write_snapshot(snapshot: Snapshot, folder: Path) -> Snapshot:
    """Keep a snapshot as `folder/<id>`; a folder that is there already is left as it is."""
    target = folder / snapshot.id
    if not (target / MANIFEST).exists():
        draft = folder / f".{snapshot.id}-{secrets.token_hex(4)}"
        draft.mkdir(parents=True)
        try:
            for name, table in (*snapshot.nodes.items(), *snapshot.relations.items()):
                pq.write_table(table, draft / f"{name}.parquet", compression="zstd")
            manifest = {"id": snapshot.id, "before": snapshot.before.isoformat(), "counts": snapshot.counts}
            (draft / MANIFEST).write_text(json.dumps(manifest, indent=2))
            _rename(draft, target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return replace(snapshot, path=target)


def open_snapshot(folder: Path, snapshot_id: str) -> Snapshot:
    """Read a kept snapshot.

    Raises:
        InputError: there is no such snapshot, or a file of it is missing or unreadable.
    """
    path = folder / snapshot_id
    if not (path / MANIFEST).exists():
        raise InputError(f"no snapshot {snapshot_id!r} in {folder}: 'shopgraph export' makes one")
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        nodes = {label: pq.read_table(path / f"{label}.parquet") for label in NODE_TABLES}
        relations = {name: pq.read_table(path / f"{name}.parquet") for name in SNAPSHOT_RELATIONS}
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"snapshot {path} is damaged ({error}): delete the folder and export again") from None
    return Snapshot(snapshot_id, datetime.fromisoformat(manifest["before"]), nodes, relations, path)


def _rename(draft: Path, target: Path) -> None:
    try:
        draft.rename(target)
    except OSError:
        if not (target / MANIFEST).exists():
            raise


def _numbered(name: str, table: pa.Table, ids: Mapping[str, pa.Array], before: datetime) -> pa.Table:
    relation, schema = RELATIONS[name], SNAPSHOT_RELATIONS[name]
    table = earlier(table, before)
    columns = {column: table[column] for column in schema.names if column in table.column_names}
    for end, label in (("start", relation.source), ("end", relation.target)):
        rows = pc.index_in(table[end], ids[label])
        if rows.null_count:
            missing = table[end].filter(pc.is_null(rows))[0].as_py()
            raise InputError(f"{name} names the {label} {missing!r}, which is not there: load the catalogue first")
        columns[end] = pc.cast(rows, pa.int64())
    if "order" in schema.names:
        columns["order"] = _rank(table["order_id"])
    numbered = pa.table({column: columns[column] for column in schema.names}, schema=schema)
    return numbered.sort_by([(column, "ascending") for column in schema.names]).combine_chunks()


def _rank(values: pa.ChunkedArray) -> pa.Array:
    """The position of each value among the distinct values in order."""
    distinct = pc.unique(values)
    distinct = distinct.take(pc.sort_indices(distinct))
    return pc.cast(pc.index_in(values, distinct), pa.int64())


def _dense_orders(purchased: pa.Table) -> pa.Table:
    position = purchased.column_names.index("order")
    return purchased.set_column(position, "order", _rank(purchased["order"]))


def _identified(before: datetime, nodes: dict[str, pa.Table], relations: dict[str, pa.Table]) -> Snapshot:
    before = before.astimezone(UTC)
    digest = hashlib.sha256(before.isoformat().encode())
    for name, table in (*nodes.items(), *relations.items()):
        for column in table.column_names:
            if column not in LOAD_TIMES:
                digest.update(f"\n{name}.{column}:{table.num_rows}\n".encode())
                _digest(digest, table[column].combine_chunks())
    return Snapshot(f"snapshot-{digest.hexdigest()[:16]}", before, nodes, relations)


def _digest(digest: hashlib._Hash, array: pa.Array) -> None:
    """Feed a column's values, not its buffers: padding and offsets differ between equal arrays."""
    digest.update(np.packbits(pc.is_null(array).to_numpy(zero_copy_only=False)).tobytes())
    if pa.types.is_string(array.type):
        text = pc.fill_null(array, "")
        digest.update(pc.binary_length(text).to_numpy(zero_copy_only=False).tobytes())
        digest.update("".join(text.to_pylist()).encode())
    else:
        plain = pc.cast(array, pa.int64()) if pa.types.is_timestamp(array.type) else array
        digest.update(
            pc.fill_null(plain, False if pa.types.is_boolean(array.type) else 0)
            .to_numpy(zero_copy_only=False)
            .tobytes()
        )
