"""The server's processes: what they have in memory, what keeps them from starting, and who gets which client."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import requests

from shopgraph.services.local_process import free_port

FORKED = """
import os, sys
import shopgraph_web.application
print([name for name in ("onnxruntime", "lightgbm", "torch") if name in sys.modules])
sys.stdout.flush()
child = os.fork()
if child == 0:
    sys.exit(0)
print(os.waitpid(child, 0)[1])
"""

STARTED = """
import sys
import shopgraph_web.__main__
print([name for name in ("pandas", "pyarrow", "celery", "kombu") if sys.modules.get(name)])
import pyarrow
"""
SERVED = """
from shopgraph.settings import load_settings
from shopgraph_web.application import create_app
from shopgraph_web.server import Server
settings = load_settings()
create_app(settings)  # the accounts' tables are made once
Server(settings).run()
"""
CLIENTS = 16


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[psutil.Process, int]]:
    """Two processes on a free port, as gunicorn's parent and the port; nothing is asked of them."""
    port = free_port(None)
    own = {"SHOPGRAPH_HOME": str(tmp_path), "SHOPGRAPH_WEB_PORT": str(port), "SHOPGRAPH_WEB_WORKERS": "2"}
    running = subprocess.Popen([sys.executable, "-c", SERVED], env={**os.environ, **own})
    try:
        parent = psutil.Process(running.pid)
        _until(lambda: _held(parent, port, psutil.CONN_LISTEN) == [1, 1])
        yield parent, port
    finally:
        running.terminate()
        running.wait(30)


def _held(parent: psutil.Process, port: int, status: str) -> list[int]:
    """By process, its sockets of a port in one state."""
    found = [child.net_connections(kind="tcp") for child in parent.children()]
    return [sum(each.laddr.port == port and each.status == status for each in of_child) for of_child in found]


def _until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not look():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)


def test_nothing_that_does_not_survive_a_fork_is_loaded_before_it() -> None:
    """A child that finds onnxruntime loaded does not end; lightgbm takes 100 MB of each process."""
    told = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=120, check=True)
    assert told.stdout.splitlines() == ["[]", "0"]


def test_a_process_starts_without_tables_and_queues_and_may_load_them_later() -> None:
    told = subprocess.run([sys.executable, "-c", STARTED], capture_output=True, text=True, timeout=120, check=True)
    assert told.stdout.splitlines() == ["[]"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux deals out connections to sockets that share a port")
def test_clients_that_keep_their_connections_are_dealt_out_to_all_processes(
    server: tuple[psutil.Process, int],
) -> None:
    """All on one of two happens once in 32,768 times."""
    parent, port = server
    for _ in range(CLIENTS):  # by now both answer, so that none is slow to take what it was dealt
        requests.get(f"http://127.0.0.1:{port}/static/none", timeout=60)
    held = list[int]()

    def taken() -> bool:
        held[:] = _held(parent, port, psutil.CONN_ESTABLISHED)
        return sum(held) == CLIENTS

    with ExitStack() as clients:
        for _ in range(CLIENTS):
            clients.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        _until(taken)
        assert min(held) > 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"SHOPGRAPH_FUSION": "{"}, "SHOPGRAPH_FUSION"),
        ({"SHOPGRAPH_SCENARIOS": '{"home": {"loud": true}}'}, "loud"),
        ({"SHOPGRAPH_RETRAIN_HOUR": "24"}, "SHOPGRAPH_RETRAIN_HOUR"),
    ],
)
def test_a_setting_that_cannot_be_read_keeps_the_server_from_starting(
    tmp_path: Path, changed: dict[str, str], said: str
) -> None:
    own = {"SHOPGRAPH_HOME": str(tmp_path), "SHOPGRAPH_WEB_PORT": str(free_port(None))}
    environment, command = {**os.environ, **own, **changed}, [sys.executable, "-m", "shopgraph_web", "web"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert told.returncode == 1
    assert said in told.stderr
    assert "Traceback" not in told.stderr
    assert "listens on" not in told.stdout
