"""Two ways into the graph that give the same graph: bulk into an empty database, incremental into any."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from shopgraph.graph.bulk_import import import_tables, refuse_filled
from shopgraph.graph.connection import Graph
from shopgraph.graph.wide_tables import Beat
from shopgraph.ingest import batches
from shopgraph.ingest.batches import LINES_A_BATCH
from shopgraph.ingest.completion import completed, newest_event, unknown_end, with_defaults, within
from shopgraph.ingest.difference import CURATORS, changed_nodes, gone_products, relation_difference
from shopgraph.lease import Lease, held
from shopgraph.records import Feed, Reject
from shopgraph.schema import BEHAVIOUR, CATALOGUE, NEVER, NODES, RELATIONS
from shopgraph.services.neo4j_server import Neo4jServer
from shopgraph.settings import Settings, utc_now
from shopgraph.tracking import Progress, silent

SWEPT = tuple(kind for kind in CATALOGUE if RELATIONS[kind].source == "Product")
"""Relation types a full catalogue replaces. A category's parent follows from its id, so `CHILD_OF` never goes stale."""


@dataclass
class LoadReport:
    """What a load did. Counts are by label or relation type."""

    source: str
    run: str
    nodes: dict[str, int] = field(default_factory=dict)
    """Nodes named by the feed."""
    written: dict[str, int] = field(default_factory=dict)
    """Relations written now."""
    present: dict[str, int] = field(default_factory=dict)
    """Relations that were there already and were left alone."""
    swept: bool = False
    """Whether the feed's catalogue was whole, so that what it no longer names was retired or removed."""
    retired: int = 0
    removed: dict[str, int] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    newest_event_at: datetime | None = None
    seconds: float = 0.0
    behaviour_seconds: float = 0.0
    """Of an incremental load: writing behaviour. The rest of `seconds` compares and writes nodes and the catalogue."""
    import_seconds: float | None = None
    """Of a bulk load: from Arrow tables to the store's files. What is left is the server's stop and start."""

    @property
    def catalogue_seconds(self) -> float:
        """Of an incremental load: everything but writing behaviour."""
        return self.seconds - self.behaviour_seconds

    @property
    def relations_per_second(self) -> float:
        seconds = self.seconds if self.import_seconds is None else self.import_seconds
        return (sum(self.written.values()) + sum(self.present.values())) / max(seconds, 1e-9)

    def summary(self) -> dict[str, Any]:
        """What a run record and a script get to see: the rejects as a count."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        newest = self.newest_event_at and self.newest_event_at.isoformat()
        timed = {
            name: round(value, 1) for name, value in found.items() if name.endswith("seconds") and value is not None
        }
        return {**found, "rejects": len(self.rejects), "newest_event_at": newest, **timed}


def load_bulk(
    feed: Feed, server: Neo4jServer, settings: Settings, run_id: str, progress: Progress = silent, *, keep: bool = False
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
    progress("check", 0, 1)
    refuse_filled(server, settings)
    progress("check", 1, 1)
    whole = within(completed(feed, now))
    newest = newest_event(whole)
    nodes = {label: _stamped(with_defaults(label, table), feed, run_id) for label, table in whole.nodes.items()}
    nodes["Source"] = _stamped(_source_table(feed, newest), feed, run_id)
    relations = {kind: _stamped(table, feed, run_id) for kind, table in whole.relations.items()}
    server.stop()
    try:
        progress("import", 0, 1, f"import of {whole.relation_count:,} relations")
        import_started = time.monotonic()
        import_tables(server, nodes, relations, settings.home / "bulk-import")
        import_seconds = time.monotonic() - import_started
        progress("import", 1, 1)
    finally:
        progress("start", 0, 1)
        server.start(keep=keep)
    progress("start", 1, 1)
    return LoadReport(
        feed.source.name,
        run_id,
        nodes={label: table.num_rows for label, table in whole.nodes.items()},
        written={kind: table.num_rows for kind, table in whole.relations.items()},
        rejects=whole.rejects,
        newest_event_at=newest,
        seconds=time.monotonic() - started,
        import_seconds=import_seconds,
    )


def load_incremental(graph: Graph, feed: Feed, run_id: str, progress: Progress = silent) -> LoadReport:
    """Merge a feed into a graph, batch by batch; repeating it changes nothing, so a broken load is resumed that way.

    Order: nodes, catalogue relations, behaviour, then the sweep of a full catalogue, and last the source's own record,
    whose `newest_event_at` therefore never runs ahead of what is loaded.

    Raises:
        BusyError: another load of the same source is running: each would sweep what the other brings.
        ServiceError: the server stopped answering; batches already written stay.
    """
    with held(graph, f"load of {feed.source.name}") as lease:
        return _Incremental(graph, completed(feed, utc_now()), run_id, _keeping(lease, progress)).run()


def _keeping(lease: Lease, progress: Progress) -> Progress:
    """Reports go on to `progress` and renew the lease about once a second."""
    renewed = time.monotonic()

    def report(step: str, done: int, total: int, message: str = "") -> None:
        nonlocal renewed
        if time.monotonic() - renewed > 1:
            lease.keep()
            renewed = time.monotonic()
        progress(step, done, total, message)

    return report


class _Incremental:
    """One incremental load: its steps share the graph, the feed, the stamps and the report."""

    def __init__(self, graph: Graph, feed: Feed, run_id: str, progress: Progress) -> None:
        self.graph = graph
        self.feed = feed
        self.progress = progress
        self.stamps: dict[str, Any] = {"source": feed.source.name, "run": run_id}
        self.whole = feed.source.full_catalogue and "Product" in feed.nodes and not feed.partial
        self.stale: dict[str, pa.Table] = {}
        self.report = LoadReport(
            feed.source.name, run_id, rejects=list(feed.rejects), newest_event_at=newest_event(feed)
        )

    def run(self) -> LoadReport:
        started = time.monotonic()
        feed = self.feed
        for label in (label for label in NODES if label in feed.nodes):
            self.load_nodes(label, feed.nodes[label])
        for kind in (kind for kind in CATALOGUE if kind in feed.relations):
            self.load_catalogue(kind, feed.relations[kind])
        behaviour_started = time.monotonic()
        for kind in (kind for kind in BEHAVIOUR if kind in feed.relations):
            self.load_behaviour(kind, feed.relations[kind])
        self.report.behaviour_seconds = time.monotonic() - behaviour_started
        if self.whole:
            self.sweep()
        self.graph.write("source_saved", **_source(feed, self.report.newest_event_at), run=self.report.run)
        self.report.seconds = time.monotonic() - started
        return self.report

    def reading(self, step: str, total: int) -> Beat:
        """Nothing is done yet while the graph is read, but the load is seen to live."""
        return lambda *_: self.progress(step, 0, total)

    def load_nodes(self, label: str, table: pa.Table) -> None:
        self.progress(label, 0, table.num_rows)
        changed = changed_nodes(self.graph, label, table, self.reading(label, table.num_rows))
        product = label == "Product"
        rows = batches.product_rows(changed) if product else batches.node_rows(changed)
        extra: dict[str, Any] = {"defaults": _product_defaults(table), "never": NEVER} if product else {}
        done = table.num_rows - changed.num_rows
        self.progress(label, done, table.num_rows)
        for sent, _ in self.graph.write_batches(f"load_{batches.snake(label)}", rows, **self.stamps, **extra):
            done += sent
            self.progress(label, done, table.num_rows)
        self.report.nodes[label] = done

    def load_catalogue(self, kind: str, table: pa.Table) -> None:
        self.progress(kind, 0, table.num_rows)
        whole, beat = self.whole and kind in SWEPT, self.reading(kind, table.num_rows)
        found = relation_difference(self.graph, kind, table, self.feed.source.name, beat, whole=whole)
        self.stale[kind] = found.stale
        rows, done, written = batches.columns(found.new), found.present, 0
        self.progress(kind, done, table.num_rows)
        for sent, (record,) in self.graph.write_batches(f"load_{kind.lower()}", rows, LINES_A_BATCH, **self.stamps):
            done += sent
            written += record["written"]
            self.progress(kind, done, table.num_rows)
        self.report.written[kind], self.report.present[kind] = written, found.present

    def load_behaviour(self, kind: str, table: pa.Table) -> None:
        split = batches.order_batches if kind == "PURCHASED" else batches.event_batches
        written, present, unknown = 0, 0, []
        self.progress(kind, 0, table.num_rows)
        for rows in split(table):
            (record,) = self.graph.write(f"load_{kind.lower()}", rows=rows, **self.stamps)
            written += record["written"]
            present += record["present"]
            unknown += record["unknown"]
            self.progress(kind, written + present + len(unknown), table.num_rows)
        self.report.written[kind], self.report.present[kind] = written, present
        for side, label in (("start", RELATIONS[kind].source), ("end", RELATIONS[kind].target)):
            lines = pa.array([line for line, missing in unknown if missing == side], pa.string())
            at = sorted(pc.index_in(lines, table["line_id"].combine_chunks()).to_pylist())
            self.report.rejects += unknown_end(self.feed, kind, at, side, label)

    def sweep(self) -> None:
        """Retire what a whole catalogue no longer names, and remove the relations that it no longer states."""
        report, source = self.report, self.feed.source.name
        self.progress("sweep", 0, 1)
        report.swept = True
        gone = gone_products(self.graph, self.feed.nodes["Product"]["id"], source)
        for _, (record,) in self.graph.write_batches("sweep_product", gone, at=utc_now(), never=NEVER):
            report.retired += record["retired"]
        for kind in (kind for kind in SWEPT if kind in self.stale):
            rows, report.removed[kind] = batches.columns(self.stale[kind]), 0
            target = RELATIONS[kind].target
            for _, (record,) in self.graph.write_batches(
                "sweep_relation", rows, LINES_A_BATCH, type=kind, target=target, source=source
            ):
                report.removed[kind] += record["removed"]
        self.progress("sweep", 1, 1)


def _product_defaults(table: pa.Table) -> dict[str, Any]:
    """Defaults of what some row leaves out or no feed writes: a property is written once, and so is its index."""
    wanted = [item for item in NODES["Product"].properties if item.default is not None]
    return {item.name: item.default for item in wanted if item.name in CURATORS or table[item.name].null_count}


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
