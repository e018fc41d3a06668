"""Two ways into the graph that give the same graph: bulk into an empty database, incremental into any."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from shopgraph.graph.bulk_import import import_tables, refuse_filled
from shopgraph.graph.connection import Graph
from shopgraph.ingest import batches
from shopgraph.ingest.completion import completed, newest_event, unknown_end, with_defaults, within
from shopgraph.records import Feed, Reject
from shopgraph.schema import BEHAVIOUR, CATALOGUE, NEVER, NODES, RELATIONS
from shopgraph.services.neo4j_server import Neo4jServer
from shopgraph.settings import Settings, utc_now
from shopgraph.tracking import Progress, silent

SWEPT = tuple(kind for kind in CATALOGUE if RELATIONS[kind].source == "Product")
"""Relation types a full catalogue replaces. A category's parent follows from its id, so `CHILD_OF` never goes stale."""
SWEEP_BATCH = 10_000


@dataclass
class LoadReport:
    """What a load did. Counts are by label or relation type."""

    source: str
    run: str
    nodes: dict[str, int] = field(default_factory=dict)
    """Nodes named by the feed."""
    written: dict[str, int] = field(default_factory=dict)
    """Relations written; of the catalogue also those that were there and were stamped again."""
    present: dict[str, int] = field(default_factory=dict)
    """Behaviour that was there already and was left alone."""
    swept: bool = False
    """Whether the feed's catalogue was whole, so that what it no longer names was retired or removed."""
    retired: int = 0
    removed: dict[str, int] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    newest_event_at: datetime | None = None
    seconds: float = 0.0

    @property
    def relations_per_second(self) -> float:
        return (sum(self.written.values()) + sum(self.present.values())) / max(self.seconds, 1e-9)


def load_bulk(
    feed: Feed, server: Neo4jServer, settings: Settings, run_id: str, progress: Progress = silent, keep: bool = False
) -> LoadReport:
    """Import a feed into the empty managed database; the server is stopped for it and started again.

    The caller opens the graph afterwards and applies the schema. Run records of a database that holds nothing else are
    not kept. An import that is killed leaves a mark, and the next start discards what it left.

    Args:
        keep: let the started server outlive this process.

    Raises:
        ServiceError: the database is not empty, or the import tool failed.
    """
    started, now = time.monotonic(), utc_now()
    progress("check", 0, 3)
    refuse_filled(server, settings)
    whole = within(completed(feed, now))
    newest = newest_event(whole)
    nodes = {label: _stamped(with_defaults(label, table), feed, run_id) for label, table in whole.nodes.items()}
    nodes["Source"] = _stamped(_source_table(feed, newest), feed, run_id)
    relations = {kind: _stamped(table, feed, run_id) for kind, table in whole.relations.items()}
    server.stop()
    try:
        progress("import", 1, 3, f"{whole.relation_count:,} relations")
        import_tables(server, nodes, relations, settings.home / "bulk-import")
    finally:
        progress("start", 2, 3)
        server.start(keep=keep)
    progress("start", 3, 3)
    return LoadReport(
        feed.source.name,
        run_id,
        nodes={label: table.num_rows for label, table in whole.nodes.items()},
        written={kind: table.num_rows for kind, table in whole.relations.items()},
        rejects=whole.rejects,
        newest_event_at=newest,
        seconds=time.monotonic() - started,
    )


def load_incremental(graph: Graph, feed: Feed, run_id: str, progress: Progress = silent) -> LoadReport:
    """Merge a feed into a graph, batch by batch; repeating it changes nothing, so a broken load is resumed by repeating.

    Order: nodes, catalogue relations, behaviour, then the sweep of a full catalogue, and last the source's own record,
    whose `newest_event_at` therefore never runs ahead of what is loaded.

    Raises:
        ServiceError: the server stopped answering; batches already written stay.
    """
    started, now = time.monotonic(), utc_now()
    feed = completed(feed, now)
    report = LoadReport(feed.source.name, run_id, rejects=list(feed.rejects), newest_event_at=newest_event(feed))
    stamps = {"source": feed.source.name, "run": run_id}
    for label in NODES:
        if label in feed.nodes:
            report.nodes[label] = _load_nodes(graph, label, feed.nodes[label], stamps, progress)
    for kind in CATALOGUE:
        if kind in feed.relations:
            report.written[kind] = _load_catalogue(graph, kind, feed.relations[kind], stamps, progress)
    for kind in BEHAVIOUR:
        if kind in feed.relations:
            _load_behaviour(graph, kind, feed, stamps, progress, report)
    if feed.source.full_catalogue and "Product" in feed.nodes and not feed.partial:
        _sweep(graph, feed, stamps, now, progress, report)
    graph.write("source_saved", **_source(feed, report.newest_event_at), run=run_id)
    report.seconds = time.monotonic() - started
    return report


def _load_nodes(graph: Graph, label: str, table: pa.Table, stamps: dict[str, str], progress: Progress) -> int:
    rows = batches.product_rows(table) if label == "Product" else batches.node_rows(table)
    extra = {"defaults": _product_defaults(), "never": NEVER} if label == "Product" else {}
    done = 0
    progress(label, 0, table.num_rows)
    for sent, _ in graph.write_batches(f"load_{batches.snake(label)}", rows, **stamps, **extra):
        done += sent
        progress(label, done, table.num_rows)
    return done


def _load_catalogue(graph: Graph, kind: str, table: pa.Table, stamps: dict[str, str], progress: Progress) -> int:
    written = done = 0
    progress(kind, 0, table.num_rows)
    for sent, records in graph.write_batches(f"load_{kind.lower()}", batches.columns(table), 10_000, **stamps):
        done += sent
        written += records[0]["written"]
        progress(kind, done, table.num_rows)
    return written


def _load_behaviour(
    graph: Graph, kind: str, feed: Feed, stamps: dict[str, str], progress: Progress, report: LoadReport
) -> None:
    table = feed.relations[kind]
    name = f"load_{kind.lower()}"
    written, present, unknown = 0, 0, []
    progress(kind, 0, table.num_rows)
    for rows in _behaviour_batches(kind, table):
        (record,) = graph.write(name, rows=rows, **stamps)
        written += record["written"]
        present += record["present"]
        unknown += record["unknown"]
        progress(kind, written + present + len(unknown), table.num_rows)
    report.written[kind], report.present[kind] = written, present
    for side, label in (("start", RELATIONS[kind].source), ("end", RELATIONS[kind].target)):
        lines = pa.array([line for line, missing in unknown if missing == side], pa.string())
        rows_missing = pc.index_in(lines, table["line_id"].combine_chunks()).to_pylist()
        report.rejects += unknown_end(feed, kind, rows_missing, side, label)


def _behaviour_batches(kind: str, table: pa.Table) -> Iterator[list[Any]]:
    if kind == "PURCHASED":
        return batches.order_batches(table)
    return batches.event_batches(table)


def _sweep(
    graph: Graph, feed: Feed, stamps: dict[str, str], now: datetime, progress: Progress, report: LoadReport
) -> None:
    progress("sweep", 0, 1)
    report.swept = True
    report.retired = graph.write("sweep_product", **stamps, at=now, never=NEVER)[0]["retired"]
    for kind in SWEPT:
        removed = SWEEP_BATCH
        while kind in feed.relations and removed == SWEEP_BATCH:
            removed = graph.write(f"sweep_{kind.lower()}", **stamps, limit=SWEEP_BATCH)[0]["removed"]
            report.removed[kind] = report.removed.get(kind, 0) + removed
    progress("sweep", 1, 1)


def _product_defaults() -> dict[str, Any]:
    return {item.name: item.default for item in NODES["Product"].properties if item.default is not None}


def _source(feed: Feed, newest: datetime | None) -> dict[str, Any]:
    source = feed.source
    return {
        "id": source.name,
        "title": source.title,
        "currency": source.currency,
        "terms": source.terms,
        "full_catalogue": source.full_catalogue,
        "newest_event_at": newest,
    }


def _source_table(feed: Feed, newest: datetime | None) -> pa.Table:
    row = _source(feed, newest)
    newest_column = pa.array([row.pop("newest_event_at")], pa.timestamp("ms", tz="UTC"))
    return pa.table({name: [value] for name, value in row.items()}).append_column("newest_event_at", newest_column)


def _stamped(table: pa.Table, feed: Feed, run_id: str) -> pa.Table:
    for name, value in (("source", feed.source.name), ("run", run_id)):
        table = table.append_column(name, pa.repeat(pa.scalar(value), table.num_rows))
    return table
