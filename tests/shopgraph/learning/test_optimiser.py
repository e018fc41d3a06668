from __future__ import annotations

import pytest
import torch
from torch import nn

from shopgraph.errors import ConfigurationError
from shopgraph.learning.optimiser import OptimiserConfig
from shopgraph.learning.updater import Updater


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
    updater = Updater(model, OptimiserConfig("sgd", 0.1, clip_norm=100.0), steps=10)
    assert updater.backward(model()) == pytest.approx(9.0)
    assert model.w.item() == pytest.approx(2.4)
    updater.backward(model())
    assert model.w.item() == pytest.approx(1.92)


def test_the_gradient_is_clipped() -> None:
    model = Square()
    updater = Updater(model, OptimiserConfig("sgd", 0.1, clip_norm=1.0), steps=10)
    updater.backward(model())
    assert model.w.item() == pytest.approx(2.9, abs=1e-5)


def test_a_loss_that_is_no_number_updates_nothing() -> None:
    model = Square()
    updater = Updater(model, OptimiserConfig("sgd", 0.1, clip_norm=1.0), steps=10)
    with pytest.raises(FloatingPointError, match="learning rate"):
        updater.backward(model() * float("nan"))
    assert model.w.item() == 3.0


def test_a_gradient_that_is_no_number_updates_nothing() -> None:
    """The loss is 0, its gradient infinite: the root of w - 3 at w = 3."""
    model = Square()
    updater = Updater(model, OptimiserConfig("sgd", 0.1, clip_norm=1.0), steps=10)
    with pytest.raises(FloatingPointError, match="gradient"):
        updater.backward((model.w - 3.0).sqrt().sum())
    assert model.w.item() == 3.0


def test_momentum_keeps_a_share_of_the_last_move() -> None:
    """3 - 0.1 * 6 = 2.4; the next move is 0.5 * 6 + 4.8 = 7.8 times 0.1."""
    model = Square()
    updater = Updater(model, OptimiserConfig("sgd", 0.1, momentum=0.5, clip_norm=100.0), steps=10)
    updater.backward(model())
    updater.backward(model())
    assert model.w.item() == pytest.approx(1.62)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "adam"}, "adamw, sgd"),
        ({"schedule": "linear"}, "constant, cosine"),
        ({"precision": "fp16"}, "float32, bf16"),
        ({"accumulate": 0}, "at least 1"),
        ({"momentum": 0.9}, "0 with adamw"),
        ({"name": "sgd", "momentum": 1.0}, "below 1"),
        ({"learning_rate": 0.0}, "above 0"),
        ({"warmup_share": 1.5}, "from 0 to 1"),
    ],
)
def test_what_is_out_of_range_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        OptimiserConfig(**wrong)
