"""Two processes take the steps that one takes."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from shopgraph.learning.distributed import ALONE

SCRIPT = Path(__file__).with_name("replicas.py")
TOLERANCE = 1e-4
"""Of losses and vectors in float32: the two processes add the same numbers in another order."""


def test_two_gloo_processes_reach_the_single_process(tmp_path: Path) -> None:
    options = ["--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, "-m", "torch.distributed.run", *options, str(SCRIPT), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    alone = runpy.run_path(str(SCRIPT))["train"](tmp_path / "alone", ALONE)
    for rank in (0, 1):
        found = json.loads((tmp_path / f"rank{rank}.json").read_text())
        assert found["losses"] == pytest.approx(alone["losses"], abs=TOLERANCE)
        assert found["ndcg"] == pytest.approx(alone["ndcg"], abs=TOLERANCE)
        assert np.allclose(found["products"], alone["products"], atol=TOLERANCE)
