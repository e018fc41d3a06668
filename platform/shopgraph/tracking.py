"""The durable record of runs: what was started, how far it came, how it ended; the panel reads it live."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from shopgraph.errors import ShopgraphError
from shopgraph.graph.connection import Graph
from shopgraph.settings import utc_now

PROGRESS_INTERVAL_SECONDS = 1.0


class Progress(Protocol):
    """What long work reports to: a run in the graph, a bar in a terminal, or nothing at all."""

    def __call__(self, step: str, done: int, total: int, message: str = "") -> None: ...


def silent(step: str, done: int, total: int, message: str = "") -> None:
    """The progress of work that nobody watches."""


@dataclass(frozen=True)
class Run:
    """One run as the graph knows it. `details` is what it was asked, `summary` what it found."""

    id: str
    kind: str
    status: str
    step: str = ""
    done: int = 0
    total: int = 0
    message: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    started_at: datetime | None = None
    updated_at: datetime | None = None
    finished_at: datetime | None = None


def new_run_id(kind: str) -> str:
    """Sortable by time, unique, short: it is stamped on every relation a load writes."""
    return f"{kind}-{utc_now():%y%m%d%H%M%S}-{secrets.token_hex(3)}"


class RunLog:
    """Queues, begins, advances and closes runs."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._last_written: dict[str, tuple[str, float]] = {}

    def begin(self, kind: str, details: dict[str, Any] | None = None, run_id: str | None = None) -> str:
        run_id = run_id or new_run_id(kind)
        self._graph.write("run_begin", id=run_id, kind=kind, at=utc_now(), details=json.dumps(details or {}))
        return run_id

    def queue(self, run_id: str, kind: str, details: dict[str, Any] | None = None) -> None:
        """Note a run that waits for a worker; a run that a worker has begun meanwhile stays as it is."""
        self._graph.write("run_queue", id=run_id, kind=kind, at=utc_now(), details=json.dumps(details or {}))

    def progress(self, run_id: str) -> Progress:
        """A reporter for one run that writes at most once a second, and at each change of step."""

        def report(step: str, done: int, total: int, message: str = "") -> None:
            last_step, last_time = self._last_written.get(run_id, ("", 0.0))
            now = time.monotonic()
            if step == last_step and done < total and now - last_time < PROGRESS_INTERVAL_SECONDS:
                return
            self._last_written[run_id] = (step, now)
            self._graph.write(
                "run_progress", id=run_id, at=utc_now(), step=step, done=done, total=total, message=message
            )

        return report

    def finish(self, run_id: str, status: str, summary: dict[str, Any] | None = None, error: str | None = None) -> None:
        text = json.dumps(summary or {}, default=str)
        self._graph.write("run_finish", id=run_id, at=utc_now(), status=status, summary=text, error=error)
        self._last_written.pop(run_id, None)

    @contextmanager
    def recorded(self, kind: str, details: dict[str, Any] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Wrap work in a run: yields its id and a dict for the summary; any exception closes the run as failed."""
        run_id = self.begin(kind, details)
        summary: dict[str, Any] = {}
        try:
            yield run_id, summary
        except BaseException as error:
            status = "cancelled" if isinstance(error, KeyboardInterrupt) else "failed"
            with contextlib.suppress(ShopgraphError):  # where the graph itself is gone, its error says more
                self.finish(run_id, status, summary, error=str(error) or type(error).__name__)
            raise
        self.finish(run_id, "succeeded", summary)

    def recent(self, limit: int = 20) -> list[Run]:
        return [_run(record) for record in self._graph.read("runs_recent", limit=limit)]

    def get(self, run_id: str) -> Run | None:
        record = self._graph.record("run_detail", id=run_id)
        return _run(record) if record else None


def _run(record: dict[str, Any]) -> Run:
    native = {
        name: value.to_native() if hasattr(value, "to_native") else value
        for name, value in record.items()
        if value is not None
    }
    for name in ("details", "summary"):
        native[name] = json.loads(native.get(name) or "{}")
    return Run(**native)
