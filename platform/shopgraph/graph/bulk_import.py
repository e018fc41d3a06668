"""Fills an empty managed database from Arrow tables by `neo4j-admin database import full`, the fastest way in."""

from __future__ import annotations

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

_OPTIONS = ("--id-type=string", "--overwrite-destination=true", "--bad-tolerance=0", "--multiline-fields=true")


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
        ServiceError: the server runs, or the tool refused the data.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        arguments = [*_OPTIONS, f"--report-file={folder / 'bad-rows.txt'}"]
        for label, table in nodes.items():
            names = {"id": f"id:ID({label})"}
            arguments.append(f"--nodes={label}={_write(table, names, folder / f'{label}.csv')}")
        for kind, table in relations.items():
            shape = RELATIONS[kind]
            names = {"start": f":START_ID({shape.source})", "end": f":END_ID({shape.target})"}
            arguments.append(f"--relationships={kind}={_write(table, names, folder / f'{kind}.csv')}")
        return server.bulk_import(arguments)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(table: pa.Table, names: Mapping[str, str], path: Path) -> Path:
    columns = [_column(table[field.name]) for field in table.schema]
    header = [names.get(field.name) or field.name + _suffix(field.type) for field in table.schema]
    csv.write_csv(pa.table(columns, names=header), path)
    return path


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
