"""Fills an empty managed database from Arrow tables by `neo4j-admin database import full`, the fastest way in."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from shopgraph.errors import ServiceError
from shopgraph.graph.connection import Graph
from shopgraph.schema import RELATIONS
from shopgraph.services.neo4j_server import Neo4jServer
from shopgraph.settings import Settings
from shopgraph_cypher import load_queries

_OPTIONS = ("--id-type=actual", "--overwrite-destination=true", "--bad-tolerance=0", "--multiline-fields=true")
"""Nodes are numbered here, by Arrow's hash tables: the tool's own map from strings to numbers takes longer."""


def refuse_filled(server: Neo4jServer, settings: Settings) -> None:
    """Refuse a database that holds more than bookkeeping (migrations, runs, the key's fingerprint).

    Raises:
        ServiceError: it holds something an import would erase.
    """
    if not (server.home / "data" / "databases" / settings.neo4j_database).exists():
        return
    server.start()
    auth = (settings.neo4j_user, server.password())
    with Graph(server.uri(), auth, settings.neo4j_database, load_queries(), settings.neo4j_timeout_seconds) as graph:
        filled = graph.record("graph_filled")
    if filled and filled["filled"]:
        raise ServiceError(
            f"the managed Neo4j in {server.home} is not empty and a bulk import would erase it: "
            "load without --bulk, or use another SHOPGRAPH_HOME"
        )


def import_tables(
    server: Neo4jServer, nodes: Mapping[str, pa.Table], relations: Mapping[str, pa.Table], folder: Path
) -> str:
    """Write the tables as CSV into `folder` and import them into the stopped server's database; the tool's report.

    Args:
        nodes: by label, each with a unique `id`; relations: by type, each with `start` and `end` ids that exist.
            Further columns become properties; a null becomes no property.
        folder: a scratch folder of the import's own, made and removed here.

    Raises:
        ServiceError: the server runs, an id is there twice or missing, or the tool refused the data.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        arguments = [*_OPTIONS, f"--report-file={folder / 'bad-rows.txt'}"]
        numbering = _Numbering()
        for label, table in nodes.items():
            numbered = table.add_column(0, ":ID", numbering.add(label, table["id"]))
            arguments.append(f"--nodes={label}={_write(numbered, folder / f'{label}.csv')}")
        for kind, table in relations.items():
            shape = RELATIONS[kind]
            starts = numbering.numbers(shape.source, table["start"], kind)
            ends = numbering.numbers(shape.target, table["end"], kind)
            rest = table.drop_columns(["start", "end"])
            ended = rest.add_column(0, ":START_ID", starts).add_column(1, ":END_ID", ends)
            arguments.append(f"--relationships={kind}={_write(ended, folder / f'{kind}.csv')}")
        return server.bulk_import(arguments)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Numbering:
    """Numbers every node, label by label, and finds the numbers of a relation's ends."""

    def __init__(self) -> None:
        self._ids: dict[str, pa.Array] = {}
        self._first: dict[str, int] = {}
        self._next = 0

    def add(self, label: str, ids: pa.ChunkedArray) -> pa.Array:
        if pc.count_distinct(ids).as_py() != len(ids):
            raise ServiceError(f"{label} has an id twice: nothing was imported")
        self._ids[label], self._first[label] = ids.combine_chunks(), self._next
        self._next += len(ids)
        return pa.array(range(self._first[label], self._next), pa.int64())

    def numbers(self, label: str, ids: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
        found = pc.index_in(ids, self._ids[label])
        if found.null_count:
            missing = ids.filter(pc.is_null(found))[0].as_py()
            raise ServiceError(f"{kind} names the {label} {missing!r}, which is not there: nothing was imported")
        return pc.add(found.cast(pa.int64()), self._first[label])


def _write(table: pa.Table, path: Path) -> Path:
    columns = [_column(table[field.name]) for field in table.schema]
    header = [field.name if field.name.startswith(":") else field.name + _suffix(field.type) for field in table.schema]
    written = pa.table(columns, names=header)
    with contextlib.suppress(pa.ArrowInvalid):  # a value that can't do without quotes is refused
        # The tool reads plain values faster than quoted ones, and an empty one without quotes as none at all.
        if not any(_has_empty_text(column) for column in columns):
            csv.write_csv(written, path, csv.WriteOptions(quoting_style="none"))
            return path
    csv.write_csv(written, path)
    return path


def _has_empty_text(values: pa.ChunkedArray) -> bool:
    return pa.types.is_string(values.type) and bool(pc.any(pc.equal(values, "")).as_py())


def _suffix(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return ":datetime"
    if pa.types.is_integer(kind):
        return ":long"
    if pa.types.is_floating(kind):
        return ":double"
    return ":boolean" if pa.types.is_boolean(kind) else ""


def _column(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_timestamp(values.type):
        return values
    coded = values.cast(pa.timestamp("ms")).combine_chunks().dictionary_encode()
    return pa.chunked_array([pc.strftime(coded.dictionary, format="%Y-%m-%dT%H:%M:%SZ").take(coded.indices)])
