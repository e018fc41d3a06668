"""`shopgraph worker` and `shopgraph beat`: the background processes, in the foreground of a terminal or a container."""

from __future__ import annotations

import os
import sys

import typer
from rich.console import Console

from shopgraph.jobs import QUEUES
from shopgraph.services.supervision import Supervisor
from shopgraph.settings import Settings, load_settings
from shopgraph.wiring_serving import broker_url


def worker(queues: str = typer.Option(",".join(QUEUES), help="Which queues to serve, one process each.")) -> None:
    """Run background work until stopped: export, training, publishing."""
    names = [name.strip() for name in queues.split(",") if name.strip()]
    unknown = [name for name in names if name not in QUEUES]
    if unknown or not names:
        raise typer.BadParameter(f"{unknown or queues!r}: choose from {', '.join(QUEUES)}", param_hint="--queues")
    _supervise({f"worker {name}": ["worker", name] for name in dict.fromkeys(names)})


def beat() -> None:
    """Send the nightly retraining on time until stopped; run one of it."""
    _supervise({"beat": ["beat"]})


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
