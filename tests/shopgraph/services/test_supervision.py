import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from shopgraph.errors import ServiceError
from shopgraph.services.supervision import Supervisor

NOTE_PID = "import os, sys, time; open(sys.argv[1], 'a').write(f'{os.getpid()}\\n'); "


def supervise(tmp_path: Path) -> subprocess.Popen[str]:
    code = f"""
    import sys
    from shopgraph.services.supervision import Supervisor
    sleeper = [sys.executable, "-c", {NOTE_PID + "time.sleep(60)"!r}]
    Supervisor({{"a": [*sleeper, "a"], "b": [*sleeper, "b"]}}, {{}}, lambda line: print(line, flush=True)).run()
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )


def pids(tmp_path: Path, name: str, count: int) -> list[int]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = (tmp_path / name).read_text().split() if (tmp_path / name).exists() else []
        if len(found) >= count:
            return [int(pid) for pid in found]
        time.sleep(0.05)
    raise AssertionError(f"{name} was started {len(found)} times, not {count}")


def all_gone(*gone: int) -> bool:
    deadline = time.monotonic() + 20
    while any(psutil.pid_exists(pid) for pid in gone) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(psutil.pid_exists(pid) for pid in gone)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_all_processes_end_with_the_supervisor(tmp_path: Path, number: int) -> None:
    supervisor = supervise(tmp_path)
    children = [*pids(tmp_path, "a", 1), *pids(tmp_path, "b", 1)]
    assert len(set(children)) == 2
    os.kill(supervisor.pid, number)
    assert all_gone(*children)
    said = supervisor.communicate(timeout=20)[0]
    if number != signal.SIGKILL:
        assert supervisor.returncode == 0
        assert said.endswith("stopping a, b\n")


def test_a_process_that_dies_is_started_again_and_the_others_are_left_alone(tmp_path: Path) -> None:
    supervisor = supervise(tmp_path)
    (first,), (other,) = pids(tmp_path, "a", 1), pids(tmp_path, "b", 1)
    os.kill(first, signal.SIGKILL)
    again = pids(tmp_path, "a", 2)[1]
    assert psutil.pid_exists(again)
    assert psutil.pid_exists(other)
    supervisor.terminate()
    assert "a ended with status -9: starting it again in 1 s" in supervisor.communicate(timeout=20)[0]
    assert all_gone(again, other)


def test_a_process_that_dies_at_each_start_ends_the_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shopgraph.services.supervision.SHORT_LIVES_ALLOWED", 1)
    broken = [sys.executable, "-c", "raise SystemExit(4)"]
    with pytest.raises(ServiceError, match=r"worker dies at each start \(status 4\)"):
        Supervisor({"worker": broken}, {}, lambda line: None).run()
