"""What moves a model's parameters: gradients gathered over micro-batches, clipped, and taken along a schedule."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from shopgraph.learning.distributed import ALONE, Replica, average_gradients
from shopgraph.learning.optimiser import OptimiserConfig, build_optimiser, clip_gradients, finite
from shopgraph.learning.schedule import rate_share


class Updater:
    """Takes losses, one a micro-batch, and steps when enough have come.

    Its state holds the optimiser's and the place in the schedule, so that a resumed run goes on along the same curve.

    Attributes:
        steps_taken: optimiser steps so far, over all epochs
    """

    def __init__(self, model: nn.Module, config: OptimiserConfig, steps: int, replica: Replica = ALONE) -> None:
        """Build the optimiser of a model that already is on its device.

        Args:
            steps: optimiser steps of the whole run, that the schedule is spread over.
            replica: with others beside it, the gradient of each step is the mean of all of theirs.
        """
        self.model, self.config, self.steps = model, config, steps
        self.steps_taken = 0
        self._replica = replica
        self._optimiser = build_optimiser(model, config)
        self._device_type = next(model.parameters()).device.type
        self._waiting = 0
        self._weight = 0.0

    def autocast(self) -> torch.autocast:
        """The precision to compute a loss in; `backward` is called outside of it."""
        return torch.autocast(self._device_type, dtype=torch.bfloat16, enabled=self.config.precision == "bf16")

    @property
    def learning_rate(self) -> float:
        """That of the next step."""
        share = rate_share(self.config.schedule, self.steps_taken, self.steps, self.config.warmup_share)
        return self.config.learning_rate * share

    def backward(self, loss: torch.Tensor, weight: float = 1.0) -> float:
        """Add a micro-batch's gradient, and step when it is the last of its step; the loss as a number.

        Args:
            weight: of this micro-batch in the mean, above 0: its size, where sizes differ and losses are means.

        Raises:
            FloatingPointError: the loss or the gradient is not finite; no parameter was updated.
            ServiceError: another replica is gone or silent.
        """
        value = finite(loss)
        if not self._waiting:
            self._optimiser.zero_grad(set_to_none=True)
        (loss * weight).backward()
        self._waiting += 1
        self._weight += weight
        if self._waiting == self.config.accumulate:
            self.flush()
        return value

    def flush(self) -> None:
        """Step with what has gathered, be it less than a whole step's; to be called at the end of each epoch."""
        if not self._waiting:
            return
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                parameter.grad /= self._weight
        average_gradients(self.model, self._replica, self._weight)
        clip_gradients(self.model, self.config.clip_norm)
        for group in self._optimiser.param_groups:
            group["lr"] = self.learning_rate
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        self.steps_taken += 1
        self._waiting, self._weight = 0, 0.0

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps.

        Raises:
            RuntimeError: gradients wait for their step; a checkpoint would lose them.
        """
        if self._waiting:
            raise RuntimeError(f"{self._waiting} micro-batches wait for their step: call flush() at an epoch's end")
        return {"optimiser": self._optimiser.state_dict(), "steps_taken": self.steps_taken}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._optimiser.load_state_dict(state["optimiser"])
        self.steps_taken = state["steps_taken"]
        self._waiting, self._weight = 0, 0.0
