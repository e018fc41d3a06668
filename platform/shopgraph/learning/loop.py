"""The epoch loop: train, judge, keep a checkpoint, stop early; a killed run goes on where its checkpoint ends."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from shopgraph.errors import ConfigurationError, InputError, ShopgraphError
from shopgraph.learning.checkpoint import CHECKPOINT, Checkpoint, Outcome, Stateful
from shopgraph.learning.distributed import ALONE, Replica, from_first, mean_of, synchronise
from shopgraph.learning.exhaustion import memory_explained
from shopgraph.learning.tracker import UNTRACKED, Tracker
from shopgraph.learning.trained import EpochRecord
from shopgraph.memory import kept_pages
from shopgraph.tracking import Progress, silent


@dataclass(frozen=True)
class LoopConfig:
    """When to stop."""

    epochs: int = 20
    """At most."""
    patience: int = 4
    """Epochs without a better figure before stopping."""
    metric: str = "novel.ndcg@20"
    """The figure of the holdout that decides; higher is better."""


Judge = Callable[[], Mapping[str, float]]


def fit(
    model: nn.Module,
    optimiser: Stateful,
    train_epoch: Callable[[int], float],
    judge: Judge | None,
    config: LoopConfig,
    folder: Path,
    identity: Mapping[str, Any],
    progress: Progress = silent,
    title: str = "training",
    tracker: Tracker = UNTRACKED,
    replica: Replica = ALONE,
) -> Outcome:
    """Train until the holdout's figure stops rising, and leave the model with the best epoch's parameters.

    A run that is killed, interrupted or short of memory leaves the checkpoint of its last whole epoch.

    Args:
        optimiser: an `Updater`, or an optimiser without a schedule; its state goes into the checkpoint.
        train_epoch: given the epoch's number (from 1), trains it and returns its mean loss; its randomness must follow
            from that number alone, so that a resumed run repeats the curve.
        judge: figures of the holdout; None trains for all the epochs (a refit). Of several replicas the first alone
            judges and tells the others, so that all stop at the same epoch.
        folder: keeps the checkpoint; with several replicas, one that all of them see.
        identity: what the run is of (snapshot, config, seed); a checkpoint of anything else is refused.
        title: what progress calls this step.
        tracker: is told each epoch's figures; of several replicas the first alone writes.

    Raises:
        InputError: the folder holds the checkpoint of another run, or replicas see different folders.
        ConfigurationError: the holdout's figures lack the one that decides.
        FloatingPointError: the deciding figure is no number.
        ResourceError: the memory does not suffice.
        ServiceError: another replica or the tracker's server is gone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = Checkpoint(folder / CHECKPOINT, identity, model, optimiser)
    outcome = checkpoint.resume()
    _agree(outcome, folder, replica)
    synchronise(model, replica)
    if not replica.first:
        progress, tracker = silent, UNTRACKED
    with kept_pages(), _tracked(tracker, outcome, identity):
        while outcome.epoch < config.epochs and not (judge and _stale(outcome, config)):
            progress(title, outcome.epoch, config.epochs, _said(outcome, config))
            with memory_explained(checkpoint.path, outcome.epoch):
                record = _epoch(outcome.epoch + 1, train_epoch, judge, replica)
                _note(record, outcome, model, config if judge else None)
            if replica.first:
                checkpoint.keep(outcome)
            tracker.log(record.epoch, {"loss": record.loss, **record.metrics, "seconds": record.seconds})
        progress(title, config.epochs, config.epochs, _said(outcome, config))
    model.load_state_dict(outcome.best_state)
    return outcome


def _epoch(number: int, train_epoch: Callable[[int], float], judge: Judge | None, replica: Replica) -> EpochRecord:
    """Train and judge one epoch; every replica gets the same record."""
    started = time.perf_counter()
    loss = mean_of(train_epoch(number), replica)
    figures = from_first(lambda: dict(judge()), replica) if judge else {}
    return EpochRecord(number, loss, figures, round(time.perf_counter() - started, 3))


def _note(record: EpochRecord, outcome: Outcome, model: nn.Module, config: LoopConfig | None) -> None:
    """Add an epoch to the outcome, with the parameters of the best; without a config the latest is the best."""
    value = float(record.epoch) if config is None else _deciding(record, config.metric)
    if value > outcome.best_value:
        outcome.best_epoch, outcome.best_value = record.epoch, value
        outcome.best_state = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    outcome.curve.append(record)


def _deciding(record: EpochRecord, metric: str) -> float:
    if metric not in record.metrics:
        raise ConfigurationError(f"loop.metric={metric}: the holdout's figures are {', '.join(sorted(record.metrics))}")
    if not math.isfinite(record.metrics[metric]):
        raise FloatingPointError(f"{metric} became {record.metrics[metric]} in epoch {record.epoch}")
    return record.metrics[metric]


def _stale(outcome: Outcome, config: LoopConfig) -> bool:
    return outcome.epoch - outcome.best_epoch >= config.patience and outcome.epoch > 0


def _said(outcome: Outcome, config: LoopConfig) -> str:
    if not outcome.curve:
        return "first epoch"
    best = f", best {config.metric} {outcome.best_value:.4f}" if outcome.curve[-1].metrics else ""
    return f"loss {outcome.curve[-1].loss:.3f}{best}"


def _agree(outcome: Outcome, folder: Path, replica: Replica) -> None:
    first = from_first(lambda: outcome.epoch, replica)
    if first != outcome.epoch:
        raise InputError(
            f"process {replica.rank} finds epoch {outcome.epoch} in {folder}, the first process epoch {first}: "
            "give all of them one folder that they share"
        )


@contextmanager
def _tracked(tracker: Tracker, outcome: Outcome, identity: Mapping[str, Any]) -> Iterator[None]:
    kind = type(tracker).__name__
    outcome.tracked_as[kind] = tracker.start(identity, outcome.tracked_as.get(kind))
    try:
        yield
    except BaseException:
        with contextlib.suppress(ShopgraphError):  # what ended the training says more
            tracker.finish(False, _best(outcome))
        raise
    tracker.finish(True, _best(outcome))


def _best(outcome: Outcome) -> dict[str, float]:
    record = outcome.curve[outcome.best_epoch - 1] if outcome.curve else None
    return {"epoch": record.epoch, "loss": record.loss, **record.metrics} if record else {}
