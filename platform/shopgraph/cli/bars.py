"""Progress bars of the terminal, fed by anything that reports as `tracking.Progress` does."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column


class Bars:
    """One live bar a step, from any reporter of `tracking.Progress` form."""

    def __init__(self, console: Console) -> None:
        # a long message is cut, the figures before it are not
        rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._progress = Progress(
            TextColumn("  {task.description}"), BarColumn(16), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[message]}", table_column=rest), console=console, expand=True,
        )  # fmt: skip
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def __call__(self, step: str, done: int, total: int, message: str = "") -> None:
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(step, total=total or None, message=message)
        self._progress.update(self._tasks[step], completed=done, total=total or None, message=message)
