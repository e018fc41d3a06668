"""The loop on a line to be fitted: kept, killed, resumed, short of memory, watched."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from shopgraph.errors import ConfigurationError, InputError, ResourceError
from shopgraph.learning.checkpoint import CHECKPOINT, Outcome
from shopgraph.learning.loop import LoopConfig, fit
from shopgraph.learning.optimiser import OptimiserConfig
from shopgraph.learning.tracker import open_tracker
from shopgraph.learning.updater import Updater

EPOCHS, BATCHES = 6, 5
OPTIMISER = OptimiserConfig("sgd", 0.05, momentum=0.9, accumulate=2, schedule="cosine", warmup_share=0.3)


@dataclass
class Line:
    """A model to be fitted to 2 x - 1 by noisy batches, and the run that does it."""

    folder: Path
    before_epoch: Callable[[int], None] = lambda epoch: None
    seed: int = 7
    model: nn.Linear = field(init=False)

    def __post_init__(self) -> None:
        torch.manual_seed(self.seed)
        self.model = nn.Linear(1, 1)
        self.updater = Updater(self.model, OPTIMISER, steps=EPOCHS * 3)

    def train_epoch(self, epoch: int) -> float:
        self.before_epoch(epoch)
        random = np.random.default_rng([self.seed, epoch])
        losses = []
        for _ in range(BATCHES):
            x = torch.tensor(random.standard_normal((8, 1)), dtype=torch.float32)
            noise = torch.tensor(random.standard_normal((8, 1)), dtype=torch.float32)
            losses.append(self.updater.backward((self.model(x) - (2 * x - 1) - 0.1 * noise).pow(2).mean()))
        self.updater.flush()
        return sum(losses) / len(losses)

    def judge(self) -> dict[str, float]:
        x = torch.linspace(-1, 1, 20)[:, None]
        with torch.no_grad():
            return {"fit": -float((self.model(x) - (2 * x - 1)).pow(2).mean())}

    def run(self, patience: int = EPOCHS, judge: Any = "own", **others: Any) -> Outcome:
        config = LoopConfig(EPOCHS, patience, "fit")
        identity = {"snapshot": "s1", "config": {"rate": 0.05}, "seed": self.seed}
        chosen = self.judge if judge == "own" else judge
        return fit(self.model, self.updater, self.train_epoch, chosen, config, self.folder, identity, **others)


def breaking(at: int, what: Callable[[], Any]) -> Callable[[int], None]:
    return lambda epoch: what() if epoch == at else None


def raise_interrupt() -> None:
    raise KeyboardInterrupt


def losses(outcome: Outcome) -> list[float]:
    return [record.loss for record in outcome.curve]


@pytest.mark.parametrize("breaks_at", [1, 3, 5])
def test_an_interrupted_run_goes_on_with_the_same_curve(tmp_path: Path, breaks_at: int) -> None:
    whole = Line(tmp_path / "whole")
    unbroken = whole.run()
    with pytest.raises(KeyboardInterrupt):
        Line(tmp_path / "broken", breaking(breaks_at, raise_interrupt)).run()
    assert (tmp_path / "broken" / CHECKPOINT).exists() == (breaks_at > 1)
    again = Line(tmp_path / "broken")
    resumed = again.run()
    assert losses(resumed) == pytest.approx(losses(unbroken), abs=1e-7)
    assert again.updater.steps_taken == whole.updater.steps_taken == EPOCHS * 3
    assert torch.allclose(again.model.weight, whole.model.weight, atol=1e-7)
    assert losses(unbroken)[-1] < losses(unbroken)[0] / 10


def test_the_best_epoch_comes_back_and_patience_ends_the_run(tmp_path: Path) -> None:
    figures = iter([0.1, 0.5, 0.4, 0.3, 0.9])
    states = []

    def judge() -> dict[str, float]:
        states.append(line.model.weight.detach().clone())
        return {"fit": next(figures)}

    line = Line(tmp_path)
    outcome = line.run(patience=2, judge=judge)
    assert (outcome.best_epoch, outcome.epoch) == (2, 4)
    assert torch.equal(line.model.weight, states[1])
    assert not torch.equal(states[1], states[3])


def test_a_refit_ends_with_its_last_epoch(tmp_path: Path) -> None:
    outcome = Line(tmp_path).run(judge=None)
    assert (outcome.best_epoch, outcome.epoch) == (EPOCHS, EPOCHS)
    assert outcome.curve[0].metrics == {}


def exhaust_torch() -> None:
    torch.empty(1 << 60)


def exhaust_numpy() -> None:
    np.ones((1 << 24, 1 << 24))


def exhaust_python() -> None:
    raise MemoryError


@pytest.mark.parametrize("exhaust", [exhaust_torch, exhaust_numpy, exhaust_python])
def test_too_little_memory_says_what_to_lower_and_what_is_kept(tmp_path: Path, exhaust: Callable[[], None]) -> None:
    with pytest.raises(
        ResourceError, match=r"epoch 3: lower the batch .* dimension; epoch 2 is kept in .*checkpoint.pt"
    ):
        Line(tmp_path, breaking(3, exhaust)).run()
    resumed = Line(tmp_path).run()
    assert resumed.epoch == EPOCHS
    with pytest.raises(ResourceError, match="none is kept"):
        Line(tmp_path / "first", breaking(1, exhaust)).run()


def test_what_filled_the_memory_is_let_go(tmp_path: Path) -> None:
    held: list[weakref.ref] = []

    def fill() -> None:
        large = np.ones(1000)
        held.append(weakref.ref(large))
        exhaust_numpy()

    with pytest.raises(ResourceError) as caught:
        Line(tmp_path, breaking(1, fill)).run()
    assert held[0]() is None
    assert caught.value.__suppress_context__


def test_other_errors_pass_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        Line(tmp_path, breaking(1, lambda: torch.ones(2, 3) @ torch.ones(2, 3))).run()


def test_the_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    Line(tmp_path).run()
    with pytest.raises(InputError, match="another seed"):
        Line(tmp_path, seed=8).run()


def test_a_torn_checkpoint_is_refused(tmp_path: Path) -> None:
    Line(tmp_path).run()
    whole = (tmp_path / CHECKPOINT).read_bytes()
    for torn in (whole[: len(whole) // 2], b"", b"not a checkpoint"):
        (tmp_path / CHECKPOINT).write_bytes(torn)
        with pytest.raises(InputError, match="no whole checkpoint"):
            Line(tmp_path).run()


def test_the_deciding_figure_must_be_there_and_a_number(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"loop.metric=fit: the holdout's figures are other, some"):
        Line(tmp_path / "a").run(judge=lambda: {"some": 1.0, "other": 2.0})
    with pytest.raises(FloatingPointError, match="fit became nan in epoch 1"):
        Line(tmp_path / "b").run(judge=lambda: {"fit": float("nan")})


def test_progress_carries_the_title(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    Line(tmp_path).run(
        progress=lambda step, done, total, message="": seen.append((step, done, total)), title="taste of users"
    )
    assert seen == [("taste of users", done, EPOCHS) for done in range(EPOCHS + 1)]


class Notebook:
    """A tracker that keeps what it is told."""

    def __init__(self) -> None:
        self.started: list[str | None] = []
        self.steps: list[int] = []
        self.figures: dict[str, float] = {}
        self.ended: bool | None = None

    def start(self, config: Mapping[str, Any], run_id: str | None = None) -> str:
        self.started.append(run_id)
        return run_id or "run-1"

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        self.steps.append(step)
        self.figures = dict(figures)

    def finish(self, succeeded: bool, figures: Mapping[str, float]) -> None:
        self.ended = succeeded
        self.figures = dict(figures)


def test_a_resumed_run_is_tracked_as_the_one_that_was_broken_off(tmp_path: Path) -> None:
    first, second = Notebook(), Notebook()
    with pytest.raises(KeyboardInterrupt):
        Line(tmp_path, breaking(3, raise_interrupt)).run(tracker=first)
    assert (first.started, first.steps, first.ended) == ([None], [1, 2], False)
    outcome = Line(tmp_path).run(tracker=second)
    assert (second.started, second.steps, second.ended) == (["run-1"], [3, 4, 5, 6], True)
    best = outcome.curve[outcome.best_epoch - 1]
    assert second.figures == {"epoch": best.epoch, "loss": best.loss, "fit": best.metrics["fit"]}


def test_a_run_resumed_with_another_tracker_starts_anew_there(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Line(tmp_path, breaking(3, raise_interrupt)).run(tracker=open_tracker("tensorboard", tmp_path))
    second = Notebook()
    Line(tmp_path).run(tracker=second)
    assert second.started == [None]
    Line(tmp_path).run(tracker=open_tracker("tensorboard", tmp_path))
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1
