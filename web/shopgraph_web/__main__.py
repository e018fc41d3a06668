"""`python -m shopgraph_web`: serve the panel and the API, and manage API keys; `shopgraph web` and `shopgraph keys`."""

from __future__ import annotations

import sys

# neo4j's driver imports both where they are installed, for values that nothing here asks for
BARRED = {"pandas", "pyarrow"} - sys.modules.keys()
sys.modules.update(dict.fromkeys(BARRED))  # type: ignore[arg-type]

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from shopgraph.errors import ServiceError, ShopgraphError
from shopgraph.jobs import usual_config
from shopgraph.recommend.standing import read_standing
from shopgraph.services.local_process import free_port
from shopgraph.settings import Settings, load_settings
from shopgraph.wiring_serving import open_graph, recommend_config
from shopgraph_web.accounts import SCOPES, first_admin
from shopgraph_web.application import create_app
from shopgraph_web.keys import create_key, list_keys, revoke_key
from shopgraph_web.server import Server

if "pyarrow" in BARRED:
    del sys.modules["pyarrow"]  # the driver is there now; a page that publishes vectors reads them by it

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
keys = typer.Typer(help="API keys of the programs that ask for recommendations.", no_args_is_help=True)
app.add_typer(keys, name="keys")

FIRST_KEY = "first key"


@app.command()
def web(
    host: str = typer.Option(None, help="Address to listen on; 127.0.0.1 by default."),
    port: int = typer.Option(None, help="Port to listen on; 8080 by default."),
) -> None:
    """Serve the panel and the API until Ctrl-C."""
    found = load_settings()
    settings = found.model_copy(update={"web_host": host or found.web_host, "web_port": port or found.web_port})
    free_port(settings.web_port, settings.web_host)
    recommend_config(settings)  # what can't be read of it is said now, not in every answer
    usual_config(settings)  # likewise
    _prepare_graph(settings)
    told = _first_sign_in(settings)
    free_port(settings.web_port, settings.web_host)  # again: processes that share a port would share another shop's too
    address = f"http://{settings.web_host}:{settings.web_port}"
    console = Console(highlight=False)
    console.print(f"[bold]shopgraph[/bold] listens on [link={address}]{address}[/link]", soft_wrap=True)
    for line in told:
        console.print(line, soft_wrap=True)
    Server(settings).run()


@keys.command()
def create(
    title: Annotated[str, typer.Argument(help="Who will use the key.")],
    scope: Annotated[
        list[str] | None, typer.Option(help=f"What it may do: {', '.join(SCOPES)}; may repeat, all by default.")
    ] = None,
) -> None:
    """Make a key and print it; it can't be shown again."""
    with _accounts():
        print(create_key(title, scopes=scope or SCOPES))


@keys.command("list")
def list_(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """List the keys: how each begins, whose it is, what it may do, and whether it is in force."""
    with _accounts():
        rows: list[dict[str, Any]] = [
            {
                "prefix": key.prefix,
                "title": key.title,
                "scopes": key.scopes,
                "created_at": key.created_at.isoformat(timespec="seconds"),
                "revoked_at": key.revoked_at.isoformat(timespec="seconds") if key.revoked_at else None,
            }
            for key in list_keys()
        ]
    if as_json:
        print(json.dumps(rows))
        return
    table = Table("begins with", "title", "may", "made", "revoked")
    for row in rows:
        may = ", ".join(row["scopes"])
        table.add_row(row["prefix"], row["title"], may, row["created_at"], row["revoked_at"] or "-")
    Console().print(table)


@keys.command()
def revoke(prefix: str = typer.Argument(help="How the key begins, as 'keys list' shows it.")) -> None:
    """Refuse a key from now on."""
    with _accounts():
        print(f"the key of {revoke_key(prefix).title} is refused from now on")


@contextmanager
def _accounts() -> Iterator[None]:
    with create_app(load_settings()).app_context():
        yield


def _prepare_graph(settings: Settings) -> None:
    """Once, before the server forks: two processes would apply the same migration at the same moment.

    A Neo4j that has just started plans the query that every answer begins with for seconds; it does so for nobody yet.
    """
    try:
        with open_graph(settings) as graph:
            read_standing(graph, None)
    except ServiceError as error:
        Console(stderr=True, highlight=False).print(f"[yellow]warning:[/yellow] {error}", soft_wrap=True)


def _first_sign_in(settings: Settings) -> list[str]:
    """What is told once, at the very first start."""
    with create_app(settings).app_context():
        admin = first_admin(settings.admin_email)
        if admin is None:
            return []
        key = create_key(FIRST_KEY)
    return [
        f"sign in as [bold]{admin.email}[/bold] with the password [bold]{admin.password}[/bold] (shown only now)",
        f"first API key: [bold]{key}[/bold] (shown only now)",
    ]


def main() -> None:
    try:
        app(prog_name="shopgraph")
    except ShopgraphError as error:
        Console(stderr=True, highlight=False).print(f"[red]error:[/red] {error}", soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
