"""Several processes run as one: restarted when they die, stopped together, and none left behind by a kill -9."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType

from shopgraph.errors import ServiceError
from shopgraph.services.local_process import Watcher

GRACE_SECONDS = 30
"""Between SIGTERM and SIGKILL: longer than a training step takes to note that it must stop."""
POLL_SECONDS = 0.2
SHORT_LIFE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 30.0
SHORT_LIVES_ALLOWED = 5


@dataclass
class _Child:
    name: str
    command: Sequence[str]
    watcher: Watcher = field(default_factory=lambda: Watcher(GRACE_SECONDS))
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    short_lives: int = 0


class Supervisor:
    """Runs commands by name until it is told to stop by SIGTERM or SIGINT.

    Args:
        commands: the argument list of each process; its output goes where this process's does.
        env: their environment.
        say: told of starts, deaths and the end, a line each.
    """

    def __init__(
        self, commands: Mapping[str, Sequence[str]], env: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self._children = [_Child(name, command) for name, command in commands.items()]
        self._env = dict(env)
        self._say = say
        self._signals = 0

    def run(self) -> None:
        """Block until told to stop; then stop all.

        Raises:
            ServiceError: a process keeps dying right after its start.
        """
        kept = {number: signal.signal(number, self._note_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            while not self._signals:
                for child in self._children:
                    self._tend(child)
                time.sleep(POLL_SECONDS)
        finally:
            self._stop()
            for number, handler in kept.items():
                signal.signal(number, handler)

    def _note_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1

    def _tend(self, child: _Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.start_at:
                self._start(child)
            return
        status = child.process.poll()
        if status is None:
            return
        child.process = None
        child.short_lives = child.short_lives + 1 if now - child.started_at < SHORT_LIFE_SECONDS else 1
        if child.short_lives > SHORT_LIVES_ALLOWED:
            raise ServiceError(f"{child.name} dies at each start (status {status}): its last lines above say why")
        pause_seconds = min(2.0 ** (child.short_lives - 1), LONGEST_PAUSE_SECONDS)
        child.start_at = now + pause_seconds
        self._say(f"{child.name} ended with status {status}: starting it again in {pause_seconds:.0f} s")

    def _start(self, child: _Child) -> None:
        child.process = subprocess.Popen(
            list(child.command), env=self._env, stdin=subprocess.DEVNULL, start_new_session=True
        )
        child.watcher.guard(child.process.pid)
        child.started_at = time.monotonic()
        self._say(f"{child.name} runs as process {child.process.pid}")

    def _stop(self) -> None:
        alive = {child.name: child.process for child in self._children if child.process is not None}
        self._say(f"stopping {', '.join(alive) or 'nothing'}")
        signals_before, deadline = self._signals, time.monotonic() + GRACE_SECONDS
        _send(alive.values(), signal.SIGTERM)
        while any(process.poll() is None for process in alive.values()):
            if time.monotonic() > deadline or self._signals > signals_before:
                _send(alive.values(), signal.SIGKILL)
            time.sleep(POLL_SECONDS)
        for child in self._children:
            child.watcher.release()


def _send(processes: Iterable[subprocess.Popen[bytes]], number: int) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
