"""Optimisers by name, with the parameters that take weight decay told from those that don't."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from shopgraph.errors import ConfigurationError
from shopgraph.learning.schedule import SCHEDULES

OPTIMISERS = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
PRECISIONS = ("float32", "bf16")


@dataclass(frozen=True)
class OptimiserConfig:
    """How parameters move.

    Raises:
        ConfigurationError: a name that is not known, or a number out of its range.
    """

    name: str = "adamw"
    """adamw or sgd."""
    learning_rate: float = 0.005
    weight_decay: float = 0.0
    """L2 pull of matrices to zero (decoupled with adamw); vectors and biases take none."""
    clip_norm: float = 5.0
    """Largest norm of the whole gradient."""
    momentum: float = 0.0
    """Share of the last move that sgd keeps; adamw has moments of its own and takes none."""
    accumulate: int = 1
    """Micro-batches whose mean gradient makes one step."""
    schedule: str = "constant"
    """constant or cosine: what becomes of the learning rate after its warm-up."""
    warmup_share: float = 0.0
    """Share of all steps in which the learning rate rises to its full height."""
    precision: str = "float32"
    """float32, or bf16: products of matrices in bfloat16, parameters and sums in float32."""

    def __post_init__(self) -> None:
        for field, value, known in (
            ("optimiser", self.name, OPTIMISERS),
            ("schedule", self.schedule, SCHEDULES),
            ("precision", self.precision, PRECISIONS),
        ):
            if value not in known:
                raise ConfigurationError(f"{field} {value!r}: choose from {', '.join(known)}")
        for field, fits, bounds in (
            ("learning_rate", self.learning_rate > 0, "above 0"),
            ("momentum", 0 <= self.momentum < 1, "from 0 to below 1"),
            ("momentum", self.name == "sgd" or not self.momentum, "0 with adamw, which has moments of its own"),
            ("accumulate", self.accumulate >= 1, "at least 1"),
            ("warmup_share", 0 <= self.warmup_share <= 1, "from 0 to 1"),
        ):
            if not fits:
                raise ConfigurationError(f"{field}={getattr(self, field)}: must be {bounds}")


def build_optimiser(model: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """The optimiser of all parameters of a model, at its full learning rate."""
    matrices = [item for item in model.parameters() if item.ndim > 1]
    vectors = [item for item in model.parameters() if item.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    extra: dict[str, Any] = {"momentum": config.momentum} if config.name == "sgd" else {}
    return OPTIMISERS[config.name](groups, lr=config.learning_rate, **extra)


def finite(loss: torch.Tensor) -> float:
    """A loss as a number.

    Raises:
        FloatingPointError: it is none.
    """
    if not torch.isfinite(loss.detach()).all():
        raise FloatingPointError(f"the training loss became {float(loss.detach())}: lower the learning rate")
    return float(loss.detach())


def clip_gradients(model: nn.Module, clip_norm: float) -> float:
    """Shorten the whole gradient to a norm; the norm it had.

    Raises:
        FloatingPointError: the norm is not finite; a step would leave no parameter a number.
    """
    norm = float(nn.utils.clip_grad_norm_(model.parameters(), clip_norm))
    if not torch.isfinite(torch.tensor(norm)):
        raise FloatingPointError(f"the norm of the gradient became {norm}: lower the learning rate")
    return norm
