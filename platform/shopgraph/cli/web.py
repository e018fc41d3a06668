"""`shopgraph web` and `shopgraph keys`: handed on to the web package, which this one doesn't import."""

from __future__ import annotations

import os
import sys

import typer

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def register(app: typer.Typer) -> None:
    app.command(context_settings=PASSED_ON)(web)
    app.command(context_settings=PASSED_ON)(keys)


def web(context: typer.Context) -> None:
    """Serve the panel and the API until Ctrl-C."""
    _become("web", context.args)


def keys(context: typer.Context) -> None:
    """API keys: create, list, revoke."""
    _become("keys", context.args)


def _become(command: str, arguments: list[str]) -> None:
    """Replace this process, so that signals and the exit status are the server's own."""
    sys.stdout.flush()
    # glibc gives every thread an arena of its own, and none gives back what another could use
    environment = {"MALLOC_ARENA_MAX": "1", **os.environ}
    os.execve(sys.executable, [sys.executable, "-m", "shopgraph_web", command, *arguments], environment)  # noqa: S606
