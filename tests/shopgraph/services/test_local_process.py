"""The broker stands for every managed server here: it starts in a third of a second."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from redis import Redis

from shopgraph.errors import ServiceError
from shopgraph.services.broker import Broker
from shopgraph.services.local_process import LocalProcess, free_port, listens, secret
from shopgraph.settings import Settings, load_settings

START = "from shopgraph.services.broker import Broker; from shopgraph.settings import load_settings; "


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "a shop's home, mit Ümlaut")


@pytest.fixture
def broker(home: Settings) -> Iterator[Broker]:
    server = Broker(home)
    yield server
    server.stop()


def python(home: Settings, code: str, **more: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "SHOPGRAPH_HOME": str(home.home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def gone(pid: int, timeout_seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def test_a_second_start_is_a_look(broker: Broker) -> None:
    assert broker.start() == broker.start() == Broker(broker._settings).start()


def test_two_starts_at_once_are_one(home: Settings, broker: Broker) -> None:
    starts = [python(home, START + "print(Broker(load_settings()).start(keep=True).pid)") for _ in range(3)]
    pids = {start.communicate(timeout=60)[0].strip() for start in starts}
    assert pids == {str(broker.state().pid)}


def test_a_killed_server_is_started_anew_and_keeps_its_data(broker: Broker) -> None:
    broker.start()
    Redis.from_url(broker.url()).set("kept", "yes")
    time.sleep(1.1)  # the append-only file is flushed once a second
    first = broker.state().pid
    os.kill(first, signal.SIGKILL)
    assert gone(first)
    assert broker.state() is None
    assert broker.start().pid != first
    assert Redis.from_url(broker.url()).get("kept") == b"yes"


def test_a_reused_pid_is_not_taken_for_the_server(home: Settings, broker: Broker) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    state = {"name": "valkey", "pid": bystander.pid, "created": time.time() - 3600, "port": 1}
    (home.home / "run" / "valkey.json").write_text(json.dumps(state))
    assert broker.state() is None
    assert broker.stop() is False
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


@pytest.mark.parametrize("text", ["", "{", '{"name": "valkey"}', "[]"])
def test_a_damaged_state_file_is_no_server(home: Settings, broker: Broker, text: str) -> None:
    (home.home / "run" / "valkey.json").write_text(text)
    assert broker.state() is None
    assert broker.start().process() is not None


def test_a_taken_port_is_named(home: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServiceError, match=f"port {port} on 127.0.0.1 is taken"):
            Broker(home.model_copy(update={"broker_port": port})).start()
    assert Broker(home).state() is None


def test_somebody_elses_listener_is_not_taken_for_the_server(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        port = foreign.getsockname()[1]
        process = LocalProcess("deaf", tmp_path / "run", tmp_path / "deaf.log")
        with pytest.raises(ServiceError, match="deaf was not ready in 1 s"):
            process.spawn(
                [sys.executable, "-c", "import time; time.sleep(60)"],
                env={},
                cwd=tmp_path,
                port=port,
                ready=lambda: listens(port),
                timeout_seconds=1.0,
                keep=False,
            )
    assert process.state() is None


def test_a_server_that_dies_at_start_shows_its_log(tmp_path: Path) -> None:
    process = LocalProcess("broken", tmp_path / "run", tmp_path / "broken.log")
    with pytest.raises(ServiceError, match=r"(?s)broken ended with status 3:\nno room at the inn\n\(whole log: "):
        process.spawn(
            [sys.executable, "-c", "import sys; print('no room at the inn'); sys.exit(3)"],
            env={},
            cwd=tmp_path,
            port=1,
            ready=lambda: False,
            timeout_seconds=20.0,
            keep=False,
        )


def test_the_password_is_private_and_kept(home: Settings, broker: Broker) -> None:
    password = broker.password()
    file = home.secrets / "valkey.password"
    assert file.stat().st_mode & 0o777 == 0o600
    assert Broker(home).password() == password
    assert len(password) >= 24
    broker.start()
    assert (home.home / "valkey" / "valkey.conf").stat().st_mode & 0o777 == 0o600
    with pytest.raises(Exception, match=r"invalid username-password|WRONGPASS"):
        Redis.from_url(f"redis://:wrong@127.0.0.1:{broker.state().port}").ping()


def test_a_server_dies_with_a_killed_parent(home: Settings) -> None:
    parent = python(home, START + "print(Broker(load_settings()).start().pid, flush=True); import time; time.sleep(60)")
    pid = int(parent.stdout.readline())
    assert psutil.pid_exists(pid)
    parent.kill()
    assert gone(pid)
    parent.communicate()
    assert Broker(home).state() is None


def test_a_kept_server_survives_its_parent(home: Settings, broker: Broker) -> None:
    parent = python(home, START + "print(Broker(load_settings()).start(keep=True).pid)")
    pid = int(parent.communicate(timeout=60)[0])
    time.sleep(0.5)
    assert broker.state().pid == pid
    assert broker.stop() is True
    assert gone(pid, 1)
    assert broker.stop() is False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_start_leaves_nothing(home: Settings, tmp_path: Path, number: int) -> None:
    parent = python(
        home,
        f"""
        import signal, sys
        from pathlib import Path
        from shopgraph.services.local_process import LocalProcess
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is born deaf to it
        folder = Path({str(tmp_path)!r})
        LocalProcess("slow", folder / "run", folder / "slow.log").spawn(
            [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"], env={{}},
            cwd=folder, port=1, ready=lambda: False, timeout_seconds=60, keep=True)
        """,
    )
    log = tmp_path / "slow.log"
    deadline = time.monotonic() + 20
    while not (log.exists() and log.read_text().endswith("\n")) and time.monotonic() < deadline:
        time.sleep(0.05)
    pid = int(log.read_text())
    time.sleep(0.2)
    os.kill(parent.pid, number)
    assert gone(pid)
    parent.communicate(timeout=20)
    assert not (tmp_path / "run" / "slow.json").exists()


def test_a_full_disk_is_one_line_and_leaves_no_half_secret(home: Settings) -> None:
    full = python(
        home,
        """
        import resource
        from shopgraph.errors import ServiceError
        from shopgraph.services.broker import Broker
        from shopgraph.settings import load_settings
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        try:
            Broker(load_settings()).start()
        except ServiceError as error:
            print(error)
        """,
    )
    said, trouble = full.communicate(timeout=60)
    assert "File too large: mend that, or set SHOPGRAPH_HOME to another folder" in said, trouble
    assert list(home.secrets.iterdir()) == []
    assert Broker(home).state() is None


def test_a_secret_is_made_once_by_many(tmp_path: Path) -> None:
    values = iter(range(100))
    path = tmp_path / "secrets" / "key"
    assert {secret(path, lambda: str(next(values))) for _ in range(5)} == {"0"}


def test_a_free_port_is_free() -> None:
    assert not listens(free_port(None))
