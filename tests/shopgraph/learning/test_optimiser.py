from __future__ import annotations

import pytest
import torch
from torch import nn

from shopgraph.errors import ConfigurationError
from shopgraph.learning.optimiser import OptimiserConfig, build_optimiser, take_step


class Square(nn.Module):
    """w^2, whose gradient is 2w."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([3.0]))

    def forward(self) -> torch.Tensor:
        return (self.w**2).sum()


def test_two_steps_of_sgd_agree_with_hand_arithmetic() -> None:
    """3 - 0.1 * 6 = 2.4, then 2.4 - 0.1 * 4.8 = 1.92; kept gradients would give 1.32."""
    model = Square()
    optimiser = build_optimiser(model, OptimiserConfig("sgd", 0.1, clip_norm=100.0))
    assert take_step(model(), model, optimiser, 100.0) == pytest.approx(9.0)
    assert model.w.item() == pytest.approx(2.4)
    take_step(model(), model, optimiser, 100.0)
    assert model.w.item() == pytest.approx(1.92)


def test_the_gradient_is_clipped() -> None:
    model = Square()
    optimiser = build_optimiser(model, OptimiserConfig("sgd", 0.1))
    take_step(model(), model, optimiser, 1.0)
    assert model.w.item() == pytest.approx(2.9, abs=1e-5)


def test_a_loss_that_is_no_number_updates_nothing() -> None:
    model = Square()
    optimiser = build_optimiser(model, OptimiserConfig("sgd", 0.1))
    with pytest.raises(FloatingPointError, match="learning rate"):
        take_step(model() * float("nan"), model, optimiser, 1.0)
    assert model.w.item() == 3.0


def test_an_unknown_optimiser_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="adamw, sgd"):
        build_optimiser(Square(), OptimiserConfig("adam"))
