"""One background process with a state file: found again by pid and start time, never orphaned, never started twice."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from shopgraph.errors import ServiceError

LOCK_TIMEOUT_SECONDS = 300.0
CREATED_TOLERANCE_SECONDS = 2.0
"""The system derives start times from its boot time, which moves by up to a second when the clock is set."""

_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}


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
            apart_seconds = abs(process.create_time() - self.created)
            same = apart_seconds < CREATED_TOLERANCE_SECONDS and process.status() != psutil.STATUS_ZOMBIE
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
        with disk_errors(run_dir):
            run_dir.mkdir(parents=True, exist_ok=True)
            log.parent.mkdir(parents=True, exist_ok=True)

    def state(self) -> ProcessState | None:
        """The running process, or None where the state file is missing, unreadable or of a process that is gone."""
        try:
            state = ProcessState(**json.loads(self._state_file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return state if state.process() is not None else None

    @contextlib.contextmanager
    def locked(self, timeout_seconds: float = LOCK_TIMEOUT_SECONDS) -> Iterator[None]:
        """Hold the start/stop lock: two starts at once become one start and one look."""
        deadline = time.monotonic() + timeout_seconds
        with disk_errors(self._lock_file), self._lock_file.open("w") as handle:
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
        *,
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
        with Watcher() as watcher:
            with self.log.open("ab") as output:
                child = subprocess.Popen(
                    command, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                    start_new_session=True,
                )  # fmt: skip
            try:
                watcher.guard(child.pid)
                self._await(child, port, ready, timeout_seconds, offset)
                state = ProcessState(self.name, child.pid, psutil.Process(child.pid).create_time(), port)
                self._write_state(state)
            except BaseException:
                terminate(child.pid)
                raise
            if not keep:
                watcher.stay()
        return state

    def _write_state(self, state: ProcessState) -> None:
        draft = self._state_file.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(state)))
        draft.replace(self._state_file)

    def _await(
        self, child: subprocess.Popen[bytes], port: int, ready: Callable[[], bool], timeout_seconds: float, offset: int
    ) -> None:
        deadline = time.monotonic() + timeout_seconds
        while not (ready() and _owns(child.pid, port)):
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


_WATCH = """
import os, signal, sys, time
import psutil
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
group = created = None
for line in sys.stdin:
    word, *rest = line.split()
    if word == "release":
        sys.exit()
    group, created = int(rest[0]), float(rest[1])
if group is None:
    sys.exit()
try:
    if abs(psutil.Process(group).create_time() - created) > 2:
        sys.exit()
except psutil.NoSuchProcess:
    pass
try:
    for wait_seconds, what in ((GRACE, signal.SIGTERM), (5, signal.SIGKILL)):
        os.killpg(group, what)
        for _ in range(wait_seconds * 10):
            os.killpg(group, 0)
            time.sleep(0.1)
except (ProcessLookupError, PermissionError):
    pass
"""


class Watcher:
    """A tiny process that reads our pipe: when it closes unreleased, we are gone, and so must be what it guards.

    It is started before what it guards, so that there is no moment in which a killed parent leaves an orphan.
    Used as a context it is released at the end, unless told to `stay`.

    Args:
        grace_seconds: between SIGTERM and SIGKILL of the guarded process group.
    """

    def __init__(self, grace_seconds: int = 30) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _WATCH.replace("GRACE", str(grace_seconds))],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
            start_new_session=True, text=True,
        )  # fmt: skip
        assert self._process.stdin is not None  # noqa: S101  a pipe was asked for
        self._pipe = self._process.stdin
        self._stays = False

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._stays:
            self.release()

    def guard(self, pid: int) -> None:
        """Guard the process group that `pid` leads."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._say(f"guard {pid} {psutil.Process(pid).create_time()}")

    def stay(self) -> None:
        """Guard for as long as this process lives: the pipe stays open until then."""
        self._stays = True
        _WATCHERS.append(self)

    def release(self) -> None:
        """End without touching what was guarded."""
        with contextlib.suppress(BrokenPipeError):
            self._say("release")
            self._pipe.close()
        self._process.wait(10)

    def _say(self, line: str) -> None:
        self._pipe.write(f"{line}\n")
        self._pipe.flush()


_WATCHERS: list[Watcher] = []
"""Watchers that stay: one that is collected would close its pipe, and with it what it guards."""


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
            raise ServiceError(
                f"port {wanted} on {host} is taken ({error.strerror}): choose another or free it"
            ) from None
        return int(probe.getsockname()[1])


def _owns(pid: int, port: int) -> bool:
    """Whether the listener on `port` is this process: another may have taken a port that was free a moment ago."""
    try:
        sockets = psutil.Process(pid).net_connections(kind="tcp")
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False
    return any(item.laddr.port == port and item.status == psutil.CONN_LISTEN for item in sockets)


def listens(port: int, host: str = "127.0.0.1") -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


def secret(path: Path, make: Callable[[], str]) -> str:
    """Read a 0600 file, made on first use; written whole or not at all."""
    with disk_errors(path):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
            try:
                with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
                    handle.write(make())
                with contextlib.suppress(FileExistsError):
                    os.link(draft, path)
            finally:
                draft.unlink(missing_ok=True)
        return path.read_text().strip()


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full, read-only or forbidden disk into one line."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        where = error.filename or path
        raise ServiceError(f"{where}: {error.strerror}: mend that, or set SHOPGRAPH_HOME to another folder") from None
