"""The demo's stages: load a year but its last weeks, learn, publish, score on what comes next, catch up."""

from __future__ import annotations

import time
from datetime import datetime

import pyarrow as pa
from rich.console import Console

from shopgraph.cli.bars import Bars
from shopgraph.cli.demo.companions import Companions
from shopgraph.cli.demo.journal import Figures
from shopgraph.cli.demo.scoring import score_release
from shopgraph.dataset.snapshot import export_snapshot
from shopgraph.dataset.split import Holdout
from shopgraph.derivation.derive import derive
from shopgraph.errors import ShopgraphError
from shopgraph.graph.connection import Graph
from shopgraph.ingest.journey import WEEK_STARTS, read_journey
from shopgraph.ingest.loading import load_bulk, load_incremental
from shopgraph.jobs import Jobs, RetrainRequest
from shopgraph.privacy.pseudonym import open_pseudonymiser
from shopgraph.registry import Registry
from shopgraph.schema import FAMILIES
from shopgraph.services.neo4j_server import Neo4jServer
from shopgraph.settings import Settings
from shopgraph.tracking import RunLog, new_run_id
from shopgraph.wiring_serving import broker_url, build_serving

TRAIN = range(1, 45)
VALIDATION = range(45, 49)
TEST = range(49, 54)
LATER = range(45, 54)
CUT = WEEK_STARTS[TRAIN.stop]
RUN_POLL_SECONDS = 0.5


def load(settings: Settings, console: Console) -> Figures:
    """Bulk-load the catalogue and the purchases of weeks 1 to 44 into the empty managed database."""
    server = Neo4jServer(settings)
    server.stop()
    feed = read_journey(open_pseudonymiser(settings), weeks=TRAIN)
    console.print(f"  [dim]{feed.source.title}: {feed.source.terms}[/dim]")
    with Bars(console) as bars:
        report = load_bulk(feed, server, settings, new_run_id("ingest"), bars)
    return {
        "purchases": feed.relations["PURCHASED"].num_rows,
        "relations": feed.relation_count,
        "rejects": len(feed.rejects),
        "bulk_per_s": report.relations_per_second,
    }


def train(settings: Settings, graph: Graph, companions: Companions, console: Console) -> Figures:
    """Export, learn, evaluate and publish through a real worker; early stop on weeks 45 to 48 from the source."""
    holdout_file = settings.home / "demo-validation.parquet"
    later_purchases(settings, VALIDATION).write(holdout_file)
    runs = RunLog(graph)
    jobs = Jobs(broker_url(settings), runs.queue)
    request = RetrainRequest(before=CUT, holdout_file=str(holdout_file), refit=False, force=True)
    run_id = _unfinished(runs, request) or jobs.retrain(request)
    companions.start("worker", ["worker"], lambda: all(jobs.ping().values()), timeout_seconds=120)
    with Bars(console) as bars:
        while True:
            run = runs.get(run_id)
            if run is not None and run.step:
                bars(run.step, run.done, run.total, run.message)
            if run is not None and run.finished_at is not None:
                break
            companions.check()
            time.sleep(RUN_POLL_SECONDS)
    companions.stop("worker")
    if run.status != "succeeded":
        raise ShopgraphError(f"the training run {run_id} {run.status}: {run.error} (see {companions.log('worker')})")
    return {"run": run_id, **run.summary}


def _unfinished(runs: RunLog, request: RetrainRequest) -> str | None:
    """A run that an interrupted demo left behind, not one begun in the panel: workers take it up again where it was."""
    asked = request.model_dump(mode="json")
    return next((run.id for run in runs.recent() if run.finished_at is None and run.details == asked), None)


def score(settings: Settings, graph_version: str, console: Console) -> Figures:
    """Recommend for every household as of the end of week 44 and score on weeks 49 to 53."""
    pseudonymiser = open_pseudonymiser(settings)
    seen, later = (read_journey(pseudonymiser, weeks=weeks).relations["PURCHASED"] for weeks in (TRAIN, TEST))
    registry = Registry(settings.models)
    vectors = {label: registry.vectors(graph_version, label) for label in FAMILIES["graph"].labels}
    with build_serving(settings) as serving, Bars(console) as bars:
        return score_release(serving, vectors, seen, later, CUT, bars)


def catch_up(settings: Settings, graph: Graph, console: Console) -> Figures:
    """Ingest weeks 45 to 53 incrementally and bring the derived relations up to the last day; nothing is trained."""
    runs = RunLog(graph)
    with Bars(console) as bars, runs.recorded("ingest", {"source": "cj", "weeks": "45-53"}) as (run_id, summary):
        started = time.perf_counter()
        feed = read_journey(open_pseudonymiser(settings), weeks=LATER)
        report = load_incremental(graph, feed, run_id, bars)
        lines = feed.relations["PURCHASED"].num_rows
        seconds = time.perf_counter() - started
        summary["incremental_per_s"] = round(lines / (seconds - report.catalogue_seconds))
        summary["with_catalogue_per_s"] = round(lines / seconds)
        summary["purchases"] = report.written["PURCHASED"]
    with Bars(console) as bars, runs.recorded("derive", {}) as (_, derived):
        started = time.perf_counter()
        end = WEEK_STARTS[LATER.stop]
        snapshot = export_snapshot(graph, end, settings.snapshots, bars)
        relations = sum(table.num_rows for table in snapshot.relations.values())
        summary["export_per_s"] = round(relations / (time.perf_counter() - started))
        derived["as_of"] = str(_newest(snapshot.relations["PURCHASED"]))
        derive(graph, snapshot, _newest(snapshot.relations["PURCHASED"]), bars)
    return summary


def _newest(purchases: pa.Table) -> datetime:
    return max(purchases["at"].to_pylist())


def later_purchases(settings: Settings, weeks: range) -> Holdout:
    """What judges: the purchases of some weeks, from the source."""
    purchases = read_journey(open_pseudonymiser(settings), weeks=weeks).relations["PURCHASED"]
    return Holdout(purchases.select(["start", "end", "at"]).rename_columns(["user", "product", "at"]))
