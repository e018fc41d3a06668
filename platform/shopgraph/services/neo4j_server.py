"""The managed Neo4j: a private Community server of one home folder, in one JVM, on loopback only."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from shopgraph.errors import ServiceError
from shopgraph.services.local_process import (
    LocalProcess,
    ProcessState,
    Watcher,
    disk_errors,
    free_port,
    listens,
    secret,
)
from shopgraph.services.neo4j_distribution import JVM_OPENS, installed, java_home
from shopgraph.settings import Settings

START_TIMEOUT_SECONDS = 180.0
ADMIN_TIMEOUT_SECONDS = 3600.0


@dataclass(frozen=True)
class Memory:
    """JVM heap and page cache, MiB."""

    heap_mib: int
    page_cache_mib: int

    @classmethod
    def of_machine(cls, total_bytes: int) -> Memory:
        """A sixteenth of the machine for the heap (0.5 to 4 GiB), a twentieth for the page cache (0.25 to 8 GiB)."""
        total_mib = total_bytes // 2**20
        return cls(
            heap_mib=max(512, min(4096, total_mib // 16)),
            page_cache_mib=max(256, min(8192, total_mib // 20)),
        )

    def heap(self) -> tuple[str, str]:
        return f"-Xms{self.heap_mib}m", f"-Xmx{self.heap_mib}m"


class Neo4jServer:
    """Start, await, stop and administer the managed server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.home = settings.home / "neo4j"
        self._process = LocalProcess("neo4j", settings.home / "run", settings.logs / "neo4j.log")
        self._import_mark = self.home / "import-in-progress"

    @property
    def log(self) -> Path:
        return self._process.log

    def state(self) -> ProcessState | None:
        return self._process.state()

    def uri(self) -> str:
        state = self.state()
        if state is None:
            raise ServiceError("the managed Neo4j is not running: start it with 'shopgraph services start'")
        return f"bolt://127.0.0.1:{state.port}"

    def password(self) -> str:
        """Random, made at first start, kept in a 0600 file."""
        return secret(self._settings.secrets / "neo4j.password", lambda: secrets.token_urlsafe(24))

    def start(self, keep: bool = False) -> ProcessState:
        """Start and await the server; a no-op when it runs.

        Args:
            keep: let it outlive this process.

        Raises:
            ServiceError: the jars are missing, the port is taken, or the server did not come up (with its log).
        """
        with disk_errors(self.home), self._process.locked():
            state = self._process.state()
            if state is not None:
                return state
            self._discard_broken_import()
            port = free_port(self._settings.neo4j_port)
            self._prepare(port)
            return self._process.spawn(
                self._server_command(),
                env=self._environment(),
                cwd=self.home,
                port=port,
                ready=lambda: listens(port),
                timeout_seconds=START_TIMEOUT_SECONDS,
                keep=keep,
            )

    def stop(self) -> bool:
        with self._process.locked():
            return self._process.stop()

    def tail(self, lines: int) -> str:
        return self._process.tail(lines=lines)

    def bulk_import(self, arguments: list[str]) -> str:
        """Run `neo4j-admin database import full` into the stopped server's database; returns the tool's report.

        A mark stays while it runs: a database that an interrupted import left behind is discarded at the next start.

        Raises:
            ServiceError: the server runs, the import failed, or there is a database and the arguments do not say
                `--overwrite-destination` (a mark would then cost the database that is there).
        """
        with disk_errors(self.home), self._process.locked():
            if self._process.state() is not None:
                raise ServiceError("the managed Neo4j must be stopped for a bulk import")
            overwrites = any(argument.startswith("--overwrite-destination") for argument in arguments)
            if self._store("databases").exists() and not overwrites:
                raise ServiceError("the managed Neo4j has a database already: a bulk import would replace it")
            self._prepare(free_port(self._settings.neo4j_port))
            self._import_mark.touch()
            report = self._admin(["database", "import", "full", self._settings.neo4j_database, *arguments])
            self._import_mark.unlink()
            return report

    def _discard_broken_import(self) -> None:
        if self._import_mark.exists():
            for kind in ("databases", "transactions"):
                if self._store(kind).exists():
                    shutil.rmtree(self._store(kind))
            self._import_mark.unlink()

    def _store(self, kind: str) -> Path:
        return self.home / "data" / kind / self._settings.neo4j_database

    def _prepare(self, port: int) -> None:
        lib = installed(self._settings.cache)
        if lib is None:
            raise ServiceError("Neo4j's jars are not installed: run 'shopgraph services install' (or 'make setup')")
        for folder in ("conf", "data", "logs", "plugins", "import", "run", "licenses"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        link = self.home / "lib"
        if not link.is_symlink() or link.resolve() != lib.resolve():
            link.unlink(missing_ok=True)
            link.symlink_to(lib)
        (self.home / "conf" / "neo4j.conf").write_text(self._configuration(port))
        if not (self.home / "data" / "dbms" / "auth.ini").exists() and not (self.home / "data" / "databases").exists():
            self._admin(["dbms", "set-initial-password", "--", self.password()])  # it may begin with a dash

    def _configuration(self, port: int) -> str:
        memory = self._memory()
        lines = {
            "server.default_listen_address": "127.0.0.1",
            "server.bolt.listen_address": f"127.0.0.1:{port}",
            "server.bolt.advertised_address": f"127.0.0.1:{port}",
            "server.http.enabled": "false",
            "server.https.enabled": "false",
            "server.memory.heap.initial_size": f"{memory.heap_mib}m",
            "server.memory.heap.max_size": f"{memory.heap_mib}m",
            "server.memory.pagecache.size": f"{memory.page_cache_mib}m",
            "db.query.default_language": "CYPHER_25",
            "db.tx_log.rotation.retention_policy": "2 files",
            "dbms.usage_report.enabled": "false",
            "server.directories.import": "import",
            # Bolt waits ten seconds for late connections at each stop; ours are all on this machine and closed by then.
            "internal.dbms.bolt.netty_server_shutdown_quiet_period_duration": "0s",
        }
        return "".join(f"{key}={value}\n" for key, value in lines.items())

    def _memory(self) -> Memory:
        sized = Memory.of_machine(psutil.virtual_memory().total)
        return Memory(
            heap_mib=self._settings.neo4j_heap_mib or sized.heap_mib,
            page_cache_mib=self._settings.neo4j_page_cache_mib or sized.page_cache_mib,
        )

    def _environment(self) -> dict[str, str]:
        memory = self._memory()
        own = {
            "JAVA_HOME": str(java_home()),
            "NEO4J_HOME": str(self.home),
            "NEO4J_CONF": str(self.home / "conf"),
            "HEAP_SIZE": f"{memory.heap_mib}m",
            "JAVA_OPTS": " ".join(JVM_OPENS),
        }
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        return {**kept, **own}

    def _java(self, *options: str) -> list[str]:
        return [str(java_home() / "bin" / "java"), *options, *JVM_OPENS, "-cp", f"{self.home / 'lib'}/*"]

    def _server_command(self) -> list[str]:
        return [
            *self._java(*self._memory().heap(), "-XX:+UseG1GC", "-XX:+ExitOnOutOfMemoryError"),
            "org.neo4j.server.Neo4jCommunity",
            f"--home-dir={self.home}",
            f"--config-dir={self.home / 'conf'}",
            "--console-mode",
        ]

    def _admin(self, arguments: list[str]) -> str:
        # The `neo4j-admin` command itself would start a second JVM with this class in it.
        command = [*self._java(*self._memory().heap(), "-XX:+UseParallelGC"), "org.neo4j.cli.AdminTool", *arguments]
        started = time.monotonic()
        with Watcher() as watcher:
            child = subprocess.Popen(
                command, env=self._environment(), cwd=self.home, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
            )  # fmt: skip
            try:
                watcher.guard(child.pid)
                output, _ = child.communicate(timeout=ADMIN_TIMEOUT_SECONDS)
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                raise
        with self.log.open("a") as log:
            log.write(f"--- neo4j-admin {' '.join(arguments[:2])}, {time.monotonic() - started:.1f} s\n")
            log.write(output if "password" not in arguments[1] else "")
        if child.returncode != 0:
            said = f"{_cause(output)} (all of it is in {self.log})"
            raise ServiceError(f"neo4j-admin {' '.join(arguments[:2])} failed with status {child.returncode}: {said}")
        return output


def _cause(output: str) -> str:
    """The line of a failed command that says why, without the names of the exceptions around it."""
    lines = [line.strip() for line in output.splitlines() if line.strip(" -")]
    for mark in ("Exception: ", "original error: "):  # one is a thrown exception's, one the import tool's own
        if said := [line.rpartition(mark)[2] for line in lines if mark in line]:
            return said[0]
    return (lines or ["it said nothing"])[-1]
