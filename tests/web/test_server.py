"""What the server's processes have in memory before they are forked from their parent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_nothing_that_does_not_survive_a_fork_is_loaded_before_it() -> None:
    """A child that finds onnxruntime loaded does not end; lightgbm takes 100 MB of each process."""
    told = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=120, check=True)
    assert told.stdout.splitlines() == ["[]", "0"]


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
