"""The worker and the panel as subprocesses that end with the demo, even when it is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from shopgraph.errors import ServiceError
from shopgraph.services.local_process import Watcher, terminate
from shopgraph.settings import Settings


class Companions:
    """Subprocesses of this command line, each with its log under the home's `logs`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, arguments: Sequence[str], ready: Callable[[], bool], timeout_seconds: float) -> None:
        """Run `shopgraph ARGUMENTS` and wait until it is ready.

        Raises:
            ServiceError: it ended, or was not ready in time; with the end of its log.
        """
        log = self.log(name)
        log.unlink(missing_ok=True)
        environment = {
            **os.environ,
            "SHOPGRAPH_HOME": str(self._settings.home),
            "SHOPGRAPH_CLOCK": self._settings.clock,
            "SHOPGRAPH_SOURCE": self._settings.source,
        }
        watcher = Watcher()
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
            child = subprocess.Popen(
                [str(Path(sys.executable).with_name("shopgraph")), *arguments],
                env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        watcher.guard(child.pid)
        watcher.stay()
        self._children[name] = child
        deadline = time.monotonic() + timeout_seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise ServiceError(f"the {name} was not ready in {timeout_seconds:.0f} s: see {log}")
            time.sleep(0.2)

    def check(self) -> None:
        """Raise where one of them has ended."""
        for name, child in self._children.items():
            if child.poll() is not None:
                raise ServiceError(f"the {name} ended with status {child.returncode}: see {self.log(name)}")

    def stop(self, name: str | None = None) -> None:
        for each in [name] if name else list(self._children):
            child = self._children.pop(each, None)
            if child is not None:
                terminate(child.pid)

    def output(self, name: str) -> str:
        return self.log(name).read_text(encoding="utf-8", errors="replace")

    def clear(self, name: str) -> None:
        """Empty the log: its writer appends, so that it goes on from the start."""
        os.truncate(self.log(name), 0)

    def log(self, name: str) -> Path:
        self._settings.logs.mkdir(parents=True, exist_ok=True)
        return self._settings.logs / f"demo-{name}.log"
