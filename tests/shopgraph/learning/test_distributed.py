"""Two real processes, joined by gloo, train as one does; one that fails ends the other, and nothing is left."""

from __future__ import annotations

import json
import os
import runpy
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from torch import nn

from shopgraph.errors import InputError, ServiceError
from shopgraph.learning.checkpoint import CHECKPOINT
from shopgraph.learning.distributed import (
    ALONE,
    average_gradients,
    from_first,
    mean_of,
    process_group,
    share,
    synchronise,
)

SCRIPT = Path(__file__).with_name("replicas.py")
TOLERANCE = 1e-9
"""In float64: the order of sums is all that differs."""


@dataclass(frozen=True)
class Run:
    """What the two processes wrote and said."""

    folder: Path
    status: int
    said: str

    @property
    def ranks(self) -> list[dict[str, Any]]:
        return [json.loads((self.folder / f"rank{rank}.json").read_text()) for rank in range(2)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("replicas")
    options = ["--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, "-m", "torch.distributed.run", *options, str(SCRIPT), str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    return Run(folder, ended.returncode, ended.stderr)


def test_two_processes_train_as_one_does(run: Run, tmp_path: Path) -> None:
    alone = runpy.run_path(str(SCRIPT))["train"](tmp_path, ALONE)
    for rank in run.ranks:
        assert rank["losses"] == pytest.approx(alone["losses"], abs=TOLERANCE)
        assert (rank["best_epoch"], len(rank["losses"])) == (2, 4)
        assert rank["figures"] == alone["figures"]
        for name, values in alone["parameters"].items():
            assert np.allclose(rank["parameters"][name], values, rtol=0, atol=TOLERANCE), name
    assert alone["losses"][-1] < 0.8 * alone["losses"][0]


def test_the_first_process_alone_judges_and_writes(run: Run) -> None:
    assert [rank["judged"] for rank in run.ranks] == [[0, 0, 0, 0], []]
    whole = run.folder / "whole"
    assert sorted(path.name for path in whole.iterdir()) == [CHECKPOINT, "tensorboard"]
    assert len(list(whole.glob("tensorboard/*/events*"))) == 1
    assert kept_epochs(whole) == 4


def test_a_process_that_fails_ends_the_other_and_the_checkpoint_stays(run: Run) -> None:
    assert run.status != 0
    assert "ValueError: the second replica has had enough" in run.said
    assert kept_epochs(run.folder / "failing") == 1


def test_the_process_that_is_left_says_that_it_waited(tmp_path: Path) -> None:
    # torchrun may end it before it speaks, so that these two start without torchrun
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), str(tmp_path), "failing"]
    started = [
        subprocess.Popen(command, env={**os.environ, **group, "RANK": rank}, stderr=subprocess.PIPE, text=True)
        for rank in "01"
    ]
    try:
        left, failed = (process.communicate(timeout=120)[1] for process in started)
    finally:
        for process in started:
            process.kill()
    assert "ServiceError: process 0 of 2 waited for another that ended or fell silent" in left
    assert "ValueError: the second replica has had enough" in failed
    assert kept_epochs(tmp_path / "failing") == 1


def test_nothing_is_left_of_a_failed_run(run: Run) -> None:
    for process in psutil.process_iter(["cmdline"]):
        assert str(run.folder) not in (process.info["cmdline"] or [])
    for rank in run.ranks:
        assert not psutil.pid_exists(rank["process"])
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            free.bind(("127.0.0.1", rank["port"]))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def kept_epochs(folder: Path) -> int:
    return len(torch.load(folder / CHECKPOINT, weights_only=True)["curve"])


def test_a_process_whose_peer_does_not_come_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", **address}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ServiceError, match="not all 2 training processes came within 1 s"), process_group("cpu", 1.0):
        pass
    assert not torch.distributed.is_initialized()


def test_alone_nothing_is_exchanged() -> None:
    model = nn.Linear(2, 1)
    model(torch.ones(1, 2)).sum().backward()
    with process_group() as replica:
        assert replica == ALONE
        average_gradients(model, replica)
        synchronise(model, replica)
        assert mean_of(0.25, replica) == 0.25
        assert from_first(lambda: "found", replica) == "found"
    assert torch.equal(model.weight.grad, torch.ones(1, 2))
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize(("count", "world"), [(7, 2), (6, 3), (5, 4), (3, 3)])
def test_shares_make_up_the_batch_and_differ_by_at_most_one(count: int, world: int) -> None:
    items = np.arange(count)
    shares = [share(items, rank, world) for rank in range(world)]
    assert np.array_equal(np.concatenate(shares), items)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert [share(items.tolist(), rank, world) for rank in range(world)] == [part.tolist() for part in shares]


def test_a_batch_smaller_than_the_world_is_refused() -> None:
    with pytest.raises(InputError, match="a batch of 1 cannot be shared by 2"):
        share([1], 0, 2)
