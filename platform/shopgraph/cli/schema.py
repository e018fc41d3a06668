"""`shopgraph schema`: where the graph's constraints and indexes stand."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer
from rich.console import Console
from rich.table import Table

from shopgraph.graph.migration import Schema
from shopgraph.settings import load_settings
from shopgraph.wiring_serving import open_graph

app = typer.Typer(help="Constraints and indexes as numbered migrations.", no_args_is_help=True)


@app.command()
def status(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """List the migrations: applied, pending or invalid."""
    with open_graph(load_settings(), apply_schema=False) as graph:
        entries = Schema(graph).status()
    if as_json:
        print(json.dumps([asdict(entry) for entry in entries]))
        return
    table = Table("version", "description", "state")
    for entry in entries:
        table.add_row(entry.version, entry.description, entry.state)
    Console().print(table)


@app.command()
def apply() -> None:
    """Apply what is pending."""
    with open_graph(load_settings(), apply_schema=False) as graph:
        applied = Schema(graph).apply()
    print(f"applied {', '.join(applied)}" if applied else "nothing to apply")


@app.command()
def verify() -> None:
    """Refuse (exit status 1) a graph whose applied files have changed since."""
    with open_graph(load_settings(), apply_schema=False) as graph:
        Schema(graph).verify()
    print("every applied migration matches its file")
