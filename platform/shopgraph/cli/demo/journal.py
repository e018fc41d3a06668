"""What the demo has finished, kept in its home so that the next run goes on where this one ended."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from shopgraph.memory import give_back

Figures = dict[str, Any]


class Journal:
    """Stages by name, each with its seconds and figures; a stage is noted only when it is whole."""

    def __init__(self, path: Path, console: Console) -> None:
        self._path = path
        self._console = console
        self.stages: dict[str, Figures] = json.loads(path.read_text()) if path.exists() else {}
        self.done_now: list[str] = []

    def stage(self, name: str, title: str, work: Callable[[], Figures]) -> Figures:
        """Do a stage once: a later run answers with the figures of the first."""
        if name in self.stages:
            self._console.print(
                f"[green]✓[/green] {title} [dim](done before, {self.stages[name]['seconds']:.0f} s)[/dim]"
            )
            return self.stages[name]
        self._console.print(f"[bold]• {title}[/bold]")
        started = time.monotonic()
        figures = work()
        give_back()
        figures["seconds"] = round(time.monotonic() - started, 1)
        self._note(name, figures)
        self._console.print(f"[green]✓[/green] {title} [dim]{figures['seconds']:.0f} s[/dim]")
        return figures

    def _note(self, name: str, figures: Figures) -> None:
        self.stages[name] = figures
        self.done_now.append(name)
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(self.stages, indent=2, default=str))
        draft.replace(self._path)
