"""`shopgraph events`: what happens in the shop, from a stream into the graph."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from dataclasses import asdict
from datetime import timedelta
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.console import Console
from rich.table import Table

from shopgraph.errors import InputError, ServiceError
from shopgraph.events.consumer import consume as write_events
from shopgraph.events.stream import EventStream
from shopgraph.schema import EVENTS, EventType
from shopgraph.settings import load_settings
from shopgraph.wiring_serving import broker_url, build_consumer, build_intake

app = typer.Typer(
    help="What happens in the shop: send it, write it to the graph, see what waits.", no_args_is_help=True
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
SHOWN_LINES = 10


@app.command()
def consume() -> None:
    """Write events to the graph as they come, until stopped; several may run."""
    settings = load_settings()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    Console(stderr=True).print("events go to the graph as they come; Ctrl-C stops")
    write_events(lambda: build_consumer(settings), stopping)


@app.command()
def send(
    file: Annotated[Path, typer.Argument(help="JSON Lines, one event each; - for what is typed or piped in.")],
    as_json: AsJson = False,
) -> None:
    """Accept events from a file, as POST /api/v1/events does; lines that can't be used are told, the rest count."""
    intake = build_intake(load_settings())
    try:
        source: BinaryIO = sys.stdin.buffer if str(file) == "-" else file.open("rb")
        with source as body:
            receipt = intake.accept_lines(body)
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from None
    if as_json:
        print(json.dumps(asdict(receipt)))
    else:
        print(f"{receipt.accepted:,} events accepted, {len(receipt.refused):,} of {receipt.lines:,} lines refused")
        for refused in receipt.refused[:SHOWN_LINES]:
            print(f"{file}:{refused.line}: {refused.field}: {refused.reason}")
        if len(receipt.refused) > SHOWN_LINES:
            print(f"... and {len(receipt.refused) - SHOWN_LINES:,} more: --json lists them")
    if receipt.refused:
        raise typer.Exit(1)


@app.command()
def status(
    *,
    require: Annotated[
        bool, typer.Option("--require", help="End with status 1 unless somebody writes events.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say how many events wait, for how long, how many could not be written, and how many processes write them."""
    stream = _stream()
    backlog, lost = stream.backlog(), stream.shown.lost()
    if as_json:
        print(json.dumps({**asdict(backlog), "shown_lost": lost}))
    else:
        waits = f", the oldest for {backlog.oldest_seconds:.0f} s" if backlog.waiting else ""
        print(
            f"{backlog.waiting:,} events wait{waits}; {backlog.refused:,} could not be written; "
            f"{backlog.consumers} processes write them"
        )
        if lost:
            print(f"what {lost:,} answers showed was not kept: the broker did not answer")
    if require and not backlog.consumers:
        raise ServiceError("nobody writes events to the graph: start 'shopgraph events consume'")


@app.command()
def refused(
    n: Annotated[int, typer.Option("--n", min=1, help="How many, latest first.")] = 20, as_json: AsJson = False
) -> None:
    """List events that could not be written, and why."""
    found = _stream().refused(n)
    if as_json:
        print(json.dumps([asdict(each) for each in found]))
        return
    table = Table("type", "of", "to", "event", "reason")
    for each in found:
        table.add_row(each.event.type, each.event.start, each.event.end, each.event.line_id, each.reason)
    Console().print(table)


@app.command()
def retry() -> None:
    """Try the refused events again, as after their products were ingested."""
    print(f"{_stream().retry():,} events wait again")


@app.command()
def types(as_json: AsJson = False) -> None:
    """Say what each type of event means for the answers that follow it."""
    if as_json:
        print(json.dumps([_meaning(event) for event in EVENTS.values()]))
        return
    table = Table("type", "relation", "weight", "steers for", "needs", "meaning")
    for event in EVENTS.values():
        told = _meaning(event)
        weight = "-" if told["weight"] is None else f"{told['weight']:+g}"
        hours = "-" if told["steers_hours"] is None else f"{told['steers_hours']:g} h"
        table.add_row(event.name, event.relation, weight, hours, ", ".join(event.needs), event.doc)
    Console().print(table)


def _meaning(event: EventType) -> dict[str, Any]:
    return {
        "type": event.name,
        "relation": event.relation,
        "weight": event.weight if isfinite(event.weight) and event.weight else None,
        "steers_hours": event.steers / timedelta(hours=1) if event.steers else None,
        "needs": event.needs,
        "meaning": event.doc,
    }


def _stream() -> EventStream:
    return EventStream(broker_url(load_settings()))
