"""`shopgraph demo`: the whole loop on a year of real purchases, from raw files to recommendations in a browser."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import typer
from rich.console import Console

from shopgraph.cli.demo.companions import Companions
from shopgraph.cli.demo.journal import Journal
from shopgraph.cli.demo.loop import catch_up, load, score, train
from shopgraph.cli.demo.report import accuracy_table, print_samples, time_table
from shopgraph.errors import ServiceError
from shopgraph.services.broker import Broker
from shopgraph.services.local_process import free_port, listens
from shopgraph.services.neo4j_server import Neo4jServer
from shopgraph.settings import Settings, load_settings
from shopgraph.wiring_serving import build_serving, open_graph

PANEL_TIMEOUT_SECONDS = 60
LOG_WIDTH = 120
"""Columns of what goes to a file or a pipe, where a terminal would say its own."""


def demo(
    leave: bool = typer.Option(False, "--exit", envvar="DEMO_EXIT", help="End when done instead of staying up."),
) -> None:
    """Load real purchases, open the panel, learn, publish, score and catch up. A second run reuses what is there."""
    settings = load_settings(clock="data", source="cj")
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=LOG_WIDTH)
    settings.home.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with _own_services(settings) as companions:
        journal = Journal(settings.home / "demo.json", console)
        journal.stage("load", "Load the catalogue and the purchases of weeks 1 to 44", lambda: load(settings, console))
        Neo4jServer(settings).start()
        Broker(settings).start()
        address = _open_panel(settings, companions)
        if "catch_up" not in journal.stages:
            console.print("\n[bold]The panel is open; what follows can be watched there on the page Jobs.[/bold]")
            _say_where(settings, address, console)
        _learn_and_catch_up(settings, journal, companions, console)
        console.print(time_table(journal.stages, time.monotonic() - started))
        console.print(accuracy_table(journal.stages["score"]["table"]))
        _show_samples(settings, console)
        _say_where(settings, address, console)
        if not leave:
            _stay(companions, console)


def _learn_and_catch_up(settings: Settings, journal: Journal, companions: Companions, console: Console) -> None:
    with open_graph(settings) as graph:
        trained = journal.stage(
            "train",
            "Train on weeks 1 to 44 in a real worker, and publish",
            lambda: train(settings, graph, companions, console),
        )
        journal.stage(
            "score", "Score recommend() on weeks 49 to 53", lambda: score(settings, trained["graph"], console)
        )
        journal.stage("catch_up", "Ingest weeks 45 to 53", lambda: catch_up(settings, graph, console))


@contextlib.contextmanager
def _own_services(settings: Settings) -> Iterator[Companions]:
    """Whatever ends the demo, Ctrl-C and SIGTERM included, what it started ends with it."""
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    companions = Companions(settings)
    try:
        yield companions
    finally:
        companions.stop()
        Broker(settings).stop()
        Neo4jServer(settings).stop()


def _open_panel(settings: Settings, companions: Companions) -> str:
    port = _panel_port(settings)
    arguments = ["web", "--host", settings.web_host, "--port", str(port)]
    companions.start("web", arguments, lambda: listens(port, settings.web_host), PANEL_TIMEOUT_SECONDS)
    _keep_sign_in(settings, companions)
    told = "events go to the graph"
    companions.start(
        "events", ["events", "consume"], lambda: told in companions.output("events"), PANEL_TIMEOUT_SECONDS
    )
    return f"http://{settings.web_host}:{port}"


def _panel_port(settings: Settings) -> int:
    """The usual port, or any free one where something else listens there."""
    try:
        return free_port(settings.web_port, settings.web_host)
    except ServiceError:
        return free_port(None, settings.web_host)


def _sign_in_file(settings: Settings) -> Path:
    return settings.secrets / "demo-sign-in"


def _keep_sign_in(settings: Settings, companions: Companions) -> None:
    """The panel tells its first sign-in once; the demo keeps it (0600) to tell it again, and clears it from the log."""
    told = [line for line in companions.output("web").splitlines() if "shown only now" in line]
    if told:
        text = "\n".join(line.replace(" (shown only now)", "") for line in told)
        with os.fdopen(os.open(_sign_in_file(settings), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
            handle.write(text)
        companions.clear("web")


def _show_samples(settings: Settings, console: Console) -> None:
    with build_serving(settings) as serving:
        print_samples(serving, console)


def _say_where(settings: Settings, address: str, console: Console) -> None:
    console.print(f"\n[bold]The panel: [link={address}]{address}[/link][/bold]", soft_wrap=True)
    if _sign_in_file(settings).exists():
        console.print(_sign_in_file(settings).read_text(), soft_wrap=True)


def _stay(companions: Companions, console: Console) -> None:
    console.print("[dim]Ctrl-C stops the panel and the services; the next 'make demo' goes on from here.[/dim]")
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            companions.check()
            time.sleep(1)
    console.print("stopping")
