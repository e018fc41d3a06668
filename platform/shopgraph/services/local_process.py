"""One background process with a state file: found again by pid and start time, never orphaned, never started twice."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from shopgraph.errors import ServiceError


@dataclass(frozen=True)
class ProcessState:
    """What is written beside the log while a process runs."""

    name: str
    pid: int
    created: float
    """The operating system's start time: a reused pid is not taken for ours."""
    port: int

    def process(self) -> psutil.Process | None:
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < 0.01 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if same else None


class LocalProcess:
    """A server process of one home folder.

    Args:
        name: also the name of its state, lock and log files.
        run_dir: where state and lock files live.
        log: file its output is appended to.
    """

    def __init__(self, name: str, run_dir: Path, log: Path) -> None:
        self.name = name
        self.log = log
        self._state_file = run_dir / f"{name}.json"
        self._lock_file = run_dir / f"{name}.lock"
        run_dir.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)

    def state(self) -> ProcessState | None:
        """The running process, or None; a stale state file is removed."""
        try:
            state = ProcessState(**json.loads(self._state_file.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError):
            self._state_file.unlink(missing_ok=True)
            return None
        if state.process() is None:
            self._state_file.unlink(missing_ok=True)
            return None
        return state

    @contextlib.contextmanager
    def locked(self, timeout_seconds: float = 120.0) -> Iterator[None]:
        """Hold the start/stop lock: two starts at once become one start and one look."""
        deadline = time.monotonic() + timeout_seconds
        with self._lock_file.open("w") as handle:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise ServiceError(f"another process has been starting {self.name} for too long") from None
                    time.sleep(0.1)
            yield

    def spawn(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        port: int,
        ready: Callable[[], bool],
        timeout_seconds: float,
        keep: bool,
    ) -> ProcessState:
        """Start, wait until `ready`, and write the state file.

        Args:
            keep: outlive this process (`services start`); otherwise a watcher ends it when this process is gone,
                even when it was killed.
        """
        offset = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            child = subprocess.Popen(
                command, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        watcher = _watch(child.pid)
        try:
            self._await(child, ready, timeout_seconds, offset)
            state = ProcessState(self.name, child.pid, psutil.Process(child.pid).create_time(), port)
            self._state_file.write_text(json.dumps(asdict(state)))
        except BaseException:
            terminate(child.pid)
            raise
        if keep:
            watcher.communicate(b"release\n", timeout=10)
        else:
            _WATCHERS.append(watcher)
        return state

    def _await(
        self, child: subprocess.Popen[bytes], ready: Callable[[], bool], timeout_seconds: float, offset: int
    ) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not ready():
            if child.poll() is not None:
                raise ServiceError(f"{self.name} ended with status {child.returncode}:\n{self.tail(offset)}")
            if time.monotonic() > deadline:
                raise ServiceError(f"{self.name} was not ready in {timeout_seconds:.0f} s:\n{self.tail(offset)}")
            time.sleep(0.1)

    def stop(self, timeout_seconds: float = 60.0) -> bool:
        """End the process; True when there was one."""
        state = self.state()
        if state is not None:
            terminate(state.pid, timeout_seconds)
        self._state_file.unlink(missing_ok=True)
        return state is not None

    def tail(self, offset: int = 0, lines: int = 20) -> str:
        """The last lines of the log written since `offset`."""
        if not self.log.exists():
            return "(no log)"
        with self.log.open("rb") as handle:
            handle.seek(offset)
            text = handle.read().decode("utf-8", errors="replace")
        return "\n".join([*text.splitlines()[-lines:], f"(whole log: {self.log})"])


_WATCHERS: list[subprocess.Popen[bytes]] = []
"""Watchers of this process's children: their pipes must stay open for as long as this process lives."""

_WATCH = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
pid = int(sys.argv[1])
if sys.stdin.readline().strip() != "release":
    for wait, what in ((30, signal.SIGTERM), (5, signal.SIGKILL)):
        try:
            os.kill(pid, what)
            for _ in range(wait * 10):
                os.kill(pid, 0)
                time.sleep(0.1)
        except ProcessLookupError:
            break
"""


def _watch(pid: int) -> subprocess.Popen[bytes]:
    """A tiny process that reads our pipe: when it closes unreleased, we are gone and so must the server be."""
    return subprocess.Popen(
        [sys.executable, "-I", "-c", _WATCH, str(pid)], stdin=subprocess.PIPE, start_new_session=True
    )


def terminate(pid: int, timeout_seconds: float = 60.0) -> None:
    """SIGTERM, then SIGKILL after the timeout; returns when the process is gone."""
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
        process = psutil.Process(pid)
        process.terminate()
        try:
            process.wait(timeout_seconds)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(10)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def free_port(wanted: int | None, host: str = "127.0.0.1") -> int:
    """`wanted` if it is free, any free port if None."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, wanted or 0))
        except OSError as error:
            raise ServiceError(f"port {wanted} on {host} is taken ({error.strerror}): choose another or free it") from None
        return int(probe.getsockname()[1])


def listens(port: int, host: str = "127.0.0.1") -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


def secret(path: Path, make: Callable[[], str]) -> str:
    """Read a 0600 file, made on first use; written whole or not at all."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
            handle.write(make())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text().strip()


