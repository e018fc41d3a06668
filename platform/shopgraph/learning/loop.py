"""The epoch loop: train, judge, keep a checkpoint, stop early; a killed run goes on where its checkpoint ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from shopgraph.errors import InputError
from shopgraph.learning.trained import EpochRecord
from shopgraph.tracking import Progress, silent

CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class LoopConfig:
    """When to stop."""

    epochs: int = 20
    """At most."""
    patience: int = 4
    """Epochs without a better figure before stopping."""
    metric: str = "novel.ndcg@20"
    """The figure of the holdout that decides; higher is better."""


@dataclass
class Outcome:
    """Where a run stands; what its checkpoint holds beside the parameters."""

    curve: list[EpochRecord] = field(default_factory=list)
    best_epoch: int = 0
    best_value: float = float("-inf")
    best_state: dict[str, torch.Tensor] = field(default_factory=dict)

    @property
    def epoch(self) -> int:
        return len(self.curve)


def fit(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    train_epoch: Callable[[int], float],
    judge: Callable[[], Mapping[str, float]] | None,
    config: LoopConfig,
    folder: Path,
    identity: Mapping[str, Any],
    progress: Progress = silent,
) -> Outcome:
    """Train until the holdout's figure stops rising, and leave the model with the best epoch's parameters.

    Args:
        train_epoch: given the epoch's number (from 1), trains it and returns its mean loss; its randomness must follow
            from that number alone, so that a resumed run repeats the curve.
        judge: figures of the holdout; None trains for all the epochs (a refit).
        folder: keeps the checkpoint.
        identity: what the run is of (snapshot, config, seed); a checkpoint of anything else is refused.

    Raises:
        InputError: the folder holds the checkpoint of another run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    outcome = _resume(model, optimiser, folder / CHECKPOINT, identity)
    while outcome.epoch < config.epochs and not (judge and _stale(outcome, config)):
        epoch, started = outcome.epoch + 1, time.perf_counter()
        progress("graph embedding", epoch - 1, config.epochs, _said(outcome, config))
        loss = train_epoch(epoch)
        figures = dict(judge()) if judge else {}
        outcome.curve.append(EpochRecord(epoch, loss, figures, round(time.perf_counter() - started, 3)))
        value = figures[config.metric] if judge else float(epoch)
        if value > outcome.best_value:
            outcome.best_epoch, outcome.best_value = epoch, value
            outcome.best_state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        _keep(model, optimiser, outcome, folder / CHECKPOINT, identity)
    progress("graph embedding", config.epochs, config.epochs, _said(outcome, config))
    model.load_state_dict(outcome.best_state)
    return outcome


def _stale(outcome: Outcome, config: LoopConfig) -> bool:
    return outcome.epoch - outcome.best_epoch >= config.patience and outcome.epoch > 0


def _said(outcome: Outcome, config: LoopConfig) -> str:
    if not outcome.curve:
        return "first epoch"
    best = f", best {config.metric} {outcome.best_value:.4f}" if outcome.curve[-1].metrics else ""
    return f"loss {outcome.curve[-1].loss:.3f}{best}"


def _keep(
    model: nn.Module, optimiser: torch.optim.Optimizer, outcome: Outcome, path: Path, identity: Mapping[str, Any]
) -> None:
    draft = path.with_suffix(".draft")
    stored = {
        "identity": dict(identity),
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "curve": [asdict(record) for record in outcome.curve],
        "best": (outcome.best_epoch, outcome.best_value, outcome.best_state),
    }
    torch.save(stored, draft)
    draft.replace(path)


def _resume(model: nn.Module, optimiser: torch.optim.Optimizer, path: Path, identity: Mapping[str, Any]) -> Outcome:
    if not path.exists():
        return Outcome()
    stored = torch.load(path, weights_only=True)
    wrong = sorted(name for name in identity if stored["identity"].get(name) != identity[name])
    if wrong:
        raise InputError(
            f"{path} is the checkpoint of a run with another {', '.join(wrong)}: move it away to start anew"
        )
    model.load_state_dict(stored["model"])
    optimiser.load_state_dict(stored["optimiser"])
    best_epoch, best_value, best_state = stored["best"]
    return Outcome([EpochRecord(**record) for record in stored["curve"]], best_epoch, best_value, best_state)
