"""The command line: one module a noun; errors a person can mend are one line and exit status 1."""

from __future__ import annotations

import logging
import sys

import typer
from rich.console import Console

from shopgraph.errors import ShopgraphError

app = typer.Typer(
    name="shopgraph",
    help="A shop's knowledge graph that learns: ingest, train, publish, recommend and explain over Neo4j.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def main() -> None:
    """Entry point: adds the commands, runs one, turns known errors into one line on stderr."""
    from shopgraph.cli import commands

    logging.getLogger("neo4j").setLevel(logging.CRITICAL)  # it logs each retry; what comes of them is told below
    commands.register(app)
    try:
        app(standalone_mode=True)
    except ShopgraphError as error:
        Console(stderr=True, highlight=False).print(f"[red]error:[/red] {error}", soft_wrap=True)
        sys.exit(1)
