"""`shopgraph services`: the private Neo4j and Valkey of this home folder."""

from __future__ import annotations

import json

import typer
from rich.console import Console
from rich.table import Table

from shopgraph.services import neo4j_distribution
from shopgraph.services.broker import Broker
from shopgraph.services.neo4j_server import Neo4jServer
from shopgraph.settings import Settings, load_settings

app = typer.Typer(help="Start and stop the private Neo4j and broker.", no_args_is_help=True)


def managed(settings: Settings) -> dict[str, Neo4jServer | Broker]:
    """The servers that are ours to manage: those the settings name no other for."""
    found: dict[str, Neo4jServer | Broker] = {}
    if not settings.neo4j_uri:
        found["neo4j"] = Neo4jServer(settings)
    if not settings.broker_url:
        found["valkey"] = Broker(settings)
    return found


@app.command()
def install() -> None:
    """Fetch Neo4j's jars from Maven Central; does nothing where they are there."""
    settings = load_settings()
    lib = neo4j_distribution.install(settings.cache, print)
    print(f"Neo4j {neo4j_distribution.VERSION} is installed in {lib}")


@app.command()
def start() -> None:
    """Start what is not running; they stay up until 'services stop'."""
    settings = load_settings()
    for name, server in managed(settings).items():
        state = server.start(keep=True)
        print(f"{name} listens on 127.0.0.1:{state.port} (pid {state.pid})")
    for name in {"neo4j", "valkey"} - managed(settings).keys():
        print(f"{name} is your own server: left alone")


@app.command()
def stop() -> None:
    """Stop what runs."""
    for name, server in managed(load_settings()).items():
        print(f"{name} stopped" if server.stop() else f"{name} was not running")


@app.command()
def status(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Say what runs, where, and where its log is."""
    rows = []
    for name, server in managed(load_settings()).items():
        state = server.state()
        port, pid = (state.port, state.pid) if state else (None, None)
        rows.append({"name": name, "running": state is not None, "port": port, "pid": pid, "log": str(server.log)})
    if as_json:
        print(json.dumps(rows))
        return
    table = Table("service", "running", "port", "pid", "log")
    for row in rows:
        table.add_row(*("-" if value is None else str(value) for value in row.values()))
    Console().print(table)


@app.command()
def logs(
    name: str = typer.Argument("neo4j", help="neo4j or valkey"), lines: int = typer.Option(50, help="How many lines.")
) -> None:
    """Print the end of a service's log."""
    servers = managed(load_settings())
    if name not in servers:
        raise typer.BadParameter(f"{name!r} is not managed here; choose from {', '.join(servers)}")
    print(servers[name].tail(lines))
