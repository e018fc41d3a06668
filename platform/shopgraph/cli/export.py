"""`shopgraph export`: a snapshot of the graph as it was before a moment."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from shopgraph.cli.bars import Bars
from shopgraph.dataset.snapshot import export_snapshot
from shopgraph.settings import load_settings, utc_now
from shopgraph.wiring_serving import open_graph


def export(
    before: Annotated[datetime | None, typer.Option(help="Behaviour before this (UTC); now by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a snapshot: the catalogue as it stands, behaviour before a moment, under the hash of its content."""
    settings = load_settings()
    moment = before.replace(tzinfo=before.tzinfo or UTC) if before else utc_now()
    with open_graph(settings) as graph, Bars(Console(stderr=True)) as bars:
        snapshot = export_snapshot(graph, moment, settings.snapshots, bars)
    if as_json:
        print(json.dumps({"id": snapshot.id, "path": str(snapshot.path), "counts": snapshot.counts}))
        return
    table = Table("table", "rows", title=f"snapshot {snapshot.id}", title_justify="left")
    for name, rows in snapshot.counts.items():
        table.add_row(name, f"{rows:,}")
    Console().print(table)
    print(f"written to {snapshot.path}")
