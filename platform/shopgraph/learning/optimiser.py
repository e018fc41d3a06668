"""Optimisers by name, with the parameters that take weight decay told from those that don't."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from shopgraph.errors import ConfigurationError

OPTIMISERS = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


@dataclass(frozen=True)
class OptimiserConfig:
    """How parameters move."""

    name: str = "adamw"
    """adamw or sgd."""
    learning_rate: float = 0.005
    weight_decay: float = 0.0
    """L2 pull of matrices to zero (decoupled with adamw); vectors and biases take none."""
    clip_norm: float = 5.0
    """Largest norm of the whole gradient."""


def build_optimiser(model: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """Raises ConfigurationError for a name that is not in `OPTIMISERS`."""
    if config.name not in OPTIMISERS:
        raise ConfigurationError(f"optimiser {config.name!r}: choose from {', '.join(OPTIMISERS)}")
    matrices = [item for item in model.parameters() if item.ndim > 1]
    vectors = [item for item in model.parameters() if item.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return OPTIMISERS[config.name](groups, lr=config.learning_rate)


def take_step(loss: torch.Tensor, model: nn.Module, optimiser: torch.optim.Optimizer, clip_norm: float) -> float:
    """One update from one loss; the loss as a number.

    Raises:
        FloatingPointError: the loss is not a finite number; nothing was updated.
    """
    value = float(loss.detach())
    if not torch.isfinite(loss.detach()).all():
        raise FloatingPointError(f"the training loss became {value}: lower the learning rate")
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimiser.step()
    return value
