"""What transformers' trainers are told, and what they tell: one place for pre-training and fine-tuning."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import PrinterCallback, Trainer, TrainerCallback

from shopgraph.errors import InputError
from shopgraph.learning.adversarial import AdversarialConfig, adversarial_loss, perturbed
from shopgraph.learning.optimiser import OptimiserConfig
from shopgraph.learning.trained import EpochRecord
from shopgraph.tracking import Progress, silent

if TYPE_CHECKING:
    from transformers import TrainerControl, TrainerState, TrainingArguments

SCHEDULES = {"constant": "constant_with_warmup", "cosine": "cosine"}
OPTIMISERS = {"adamw": "adamw_torch", "sgd": "sgd"}
WORDS = "words"
"""What the perturbation of the word embeddings is called."""


def training_arguments(
    kind: type[TrainingArguments],
    config: OptimiserConfig,
    steps: int,
    batch: int,
    folder: Path,
    device: str | torch.device,
    seed: int,
    checkpointed: bool = False,
    **more: Any,
) -> Any:
    """The trainer's own arguments for our config; it writes, draws and reports nothing, and takes one device.

    Args:
        kind: the arguments' class of the trainer that is used.
        batch: examples a micro-batch.
        folder: the trainer wants one; nothing is kept in it.
        checkpointed: layers are computed anew on the way back instead of kept: less memory, a third more work.
        more: what only this class knows.
    """
    arguments = kind(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=config.accumulate,
        learning_rate=config.learning_rate,
        lr_scheduler_type=SCHEDULES[config.schedule],
        warmup_steps=round(config.warmup_share * steps),
        optim=OPTIMISERS[config.name],
        optim_args=f"momentum={config.momentum}" if config.name == "sgd" else None,
        weight_decay=config.weight_decay,
        max_grad_norm=config.clip_norm,
        bf16=config.precision == "bf16",
        activation_checkpointing=checkpointed,
        seed=seed,
        use_cpu=torch.device(device).type == "cpu",
        save_strategy="no",
        eval_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        **more,
    )
    # of several devices the trainer takes all, with a batch and a loss for each: neither steps nor curve would be ours
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments


@dataclass
class Curve:
    """Losses of micro-batches as they come, one record an optimiser step.

    A loss is kept by `observed`; a step is closed by the trainer.
    """

    step: str
    progress: Progress = silent
    records: list[EpochRecord] = field(default_factory=list)
    _losses: list[float] = field(default_factory=list)
    _since: float = field(default_factory=time.monotonic)

    def observed(self, loss: torch.Tensor) -> torch.Tensor:
        """Raises InputError where it is no number; training ends there, before the step is made."""
        value = loss.item()
        if not math.isfinite(value):
            raise InputError(f"{self.step} diverged at step {len(self.records) + 1}: lower the learning rate")
        self._losses.append(value)
        return loss

    def close_step(self, steps: int) -> None:
        number, loss = len(self.records) + 1, sum(self._losses) / len(self._losses)
        self.records.append(EpochRecord(number, loss, seconds=time.monotonic() - self._since))
        self._losses, self._since = [], time.monotonic()
        self.progress(self.step, number, steps, f"loss {loss:.3f}")


class StepEnds(TrainerCallback):
    """Closes the curve's step with the trainer's."""

    def __init__(self, curve: Curve) -> None:
        self._curve = curve

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._curve.close_step(state.max_steps)


class Observed(Trainer):
    """Of a trainer: its loss goes through the curve, under attack where the config has one.

    To be mixed in before the trainer's class; `watched` is called before training.
    """

    def watched(self, curve: Curve, attack: AdversarialConfig, words: nn.Embedding | None = None) -> None:
        """
        Args:
            words: the word embeddings, which the attack shakes (Miyato, Dai and Goodfellow 2017).
        """
        self._curve, self._attack, self._words = curve, attack, words
        self.remove_callback(PrinterCallback)
        self.add_callback(StepEnds(curve))

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """As the trainer does; afterwards the model computes in the precision that it came with.

        For bf16 the trainer wraps the model's forward, and leaves it so: all that is encoded later would be rounded.
        """
        try:
            return super().train(*args, **kwargs)
        finally:
            for name in ("forward", "_original_forward"):
                self.model.__dict__.pop(name, None)

    def compute_loss(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        def loss_of(perturbation: Any) -> torch.Tensor:
            ordinary: Callable[..., Any] = super(Observed, self).compute_loss
            if self._words is None:
                return ordinary(model, dict(inputs), *args, **kwargs)
            with perturbed(self._words, perturbation.get(WORDS)):
                return ordinary(model, dict(inputs), *args, **kwargs)

        shaken = {} if self._words is None else {WORDS: self._words.weight}
        return self._curve.observed(adversarial_loss(loss_of, shaken, self._attack))


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Trainers seed every generator of the process; within this torch's follows the seed, and after it all are back."""
    import random

    import numpy as np

    kept, drawn = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
    finally:
        random.setstate(kept)
        np.random.set_state(drawn)
