"""`shopgraph worker` and `shopgraph beat`: the background processes, in the foreground of a terminal or a container."""

from __future__ import annotations

import json
import os
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from shopgraph.errors import ServiceError
from shopgraph.jobs import QUEUES, Jobs
from shopgraph.services.supervision import Supervisor
from shopgraph.settings import Settings, load_settings
from shopgraph.wiring_serving import broker_url


def worker(
    serve: Annotated[str, typer.Option("--queues", help="Which queues to serve, one process each.")] = ",".join(QUEUES),
) -> None:
    """Run background work until stopped: export, training, publishing."""
    names = _named(serve)
    if not names:
        raise typer.BadParameter(f"choose from {', '.join(QUEUES)}", param_hint="--queues")
    _supervise({f"worker {name}": ["worker", name] for name in names})


def beat() -> None:
    """Send the nightly retraining, the lists after it and the looks for newcomers on time until stopped; run one."""
    _supervise({"beat": ["beat"]})


def queues(
    *,
    require: Annotated[str, typer.Option(help="End with status 1 unless workers listen to these.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say which workers listen to each queue, and how much waits in it."""
    jobs = Jobs(broker_url(load_settings()))
    waiting, listening = jobs.waiting(), jobs.ping()
    if as_json:
        print(json.dumps({name: {"waiting": waiting[name], "workers": listening[name]} for name in QUEUES}))
    else:
        table = Table("queue", "waiting", "workers")
        for name in QUEUES:
            table.add_row(name, str(waiting[name]), ", ".join(listening[name]) or "none: its work waits")
        Console().print(table)
    unheard = [name for name in _named(require) if not listening[name]]
    if unheard:
        raise ServiceError(f"no worker listens to {', '.join(unheard)}: start one with 'shopgraph worker'")


def _named(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in QUEUES]
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: choose from {', '.join(QUEUES)}")
    return list(dict.fromkeys(names))


def _supervise(arguments: dict[str, list[str]]) -> None:
    settings = load_settings()
    broker_url(settings)  # a broker that is not there is said here once, not by each child
    (settings.home / "run").mkdir(parents=True, exist_ok=True)
    say = Console(stderr=True, highlight=False)
    commands = {name: [sys.executable, "-m", "shopgraph_workers", *rest] for name, rest in arguments.items()}
    Supervisor(commands, _environment(settings), say.print).run()


def _environment(settings: Settings) -> dict[str, str]:
    """The parent's, with the threads of arithmetic capped where the settings say so."""
    capped = {"OMP_NUM_THREADS": str(settings.torch_threads)} if settings.torch_threads else {}
    return {**os.environ, "PYTHONUNBUFFERED": "1", **capped}
