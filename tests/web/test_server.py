"""What the server's processes have in memory before they are forked from their parent."""

from __future__ import annotations

import subprocess
import sys

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
