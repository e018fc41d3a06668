"""`shopgraph releases` and `shopgraph rollback`: which versions serve, and how to go back."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from shopgraph.publish import Release
from shopgraph.publish import releases as all_releases
from shopgraph.publish import rollback as publish_again
from shopgraph.registry import Registry
from shopgraph.settings import load_settings
from shopgraph.wiring_serving import open_graph

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def releases(as_json: AsJson = False) -> None:
    """List the releases, newest first; one of them serves."""
    with open_graph(load_settings()) as graph:
        found = all_releases(graph)
    if as_json:
        print(json.dumps([asdict(release) for release in found], default=str))
        return
    table = Table("release", "serves", "made", "versions", "restores")
    for release in found:
        versions = "\n".join(f"{each.version} ({each.slot or 'files'})" for _, each in sorted(release.families.items()))
        made = f"{release.created_at:%Y-%m-%d %H:%M}"
        table.add_row(release.id, "yes" if release.active else "", made, versions, release.restores or "")
    Console().print(table)


def rollback(
    to: Annotated[str, typer.Option("--to", help="The release whose versions shall serve again.")],
    as_json: AsJson = False,
) -> None:
    """Publish an older release's versions again; what serves now serves until they are checked."""
    settings = load_settings()
    bar = Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=Console(stderr=True))
    with open_graph(settings) as graph, bar:
        task = bar.add_task("rolling back")

        def report(step: str, done: int, total: int, message: str = "") -> None:
            bar.update(task, description=step, completed=done, total=total)

        before = graph.record("ranked_serving")
        release = publish_again(graph, Registry(settings.models), to, report)
    if before is not None and before["slot"] is not None:
        hint = "everybody is answered live until `shopgraph rank` makes lists of this release"
        Console(stderr=True, highlight=False).print(hint, soft_wrap=True)
    print(json.dumps(asdict(release), default=str) if as_json else _said(release))


def _said(release: Release) -> str:
    versions = ", ".join(served.version for _, served in sorted(release.families.items()))
    return f"{release.id} serves {versions}"
