"""Steps of a model of one parameter, checked against hand arithmetic."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from shopgraph.learning.optimiser import OptimiserConfig
from shopgraph.learning.updater import Updater


class Distance(nn.Module):
    """(w - target)^2 with w at 3, whose gradient is 2 (w - target)."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([3.0]))

    def forward(self, target: float) -> torch.Tensor:
        return ((self.w - target) ** 2).mean()


def sgd(**others: object) -> OptimiserConfig:
    return OptimiserConfig(**{"name": "sgd", "learning_rate": 0.1, "clip_norm": 100.0, **others})


def test_two_steps_agree_with_hand_arithmetic() -> None:
    """3 - 0.1 * 6 = 2.4, then 2.4 - 0.1 * 4.8 = 1.92."""
    model = Distance()
    updater = Updater(model, sgd(), steps=2)
    assert updater.backward(model(0.0)) == pytest.approx(9.0)
    updater.backward(model(0.0))
    assert model.w.item() == pytest.approx(1.92)
    assert updater.steps_taken == 2


def test_micro_batches_step_once_by_their_mean_gradient() -> None:
    """Gradients 6 and 2, mean 4: 3 - 0.1 * 4 = 2.6; the second pair 5.2 and 1.2, mean 3.2."""
    model = Distance()
    updater = Updater(model, sgd(accumulate=2), steps=2)
    updater.backward(model(0.0))
    assert model.w.item() == 3.0
    updater.backward(model(2.0))
    assert model.w.item() == pytest.approx(2.6)
    updater.backward(model(0.0))
    updater.backward(model(2.0))
    assert model.w.item() == pytest.approx(2.28)
    assert updater.steps_taken == 2


def test_a_larger_micro_batch_weighs_more() -> None:
    """Gradients 6 of three rows and 2 of one: (3 * 6 + 2) / 4 = 5."""
    model = Distance()
    updater = Updater(model, sgd(accumulate=2), steps=1)
    updater.backward(model(0.0), weight=3)
    updater.backward(model(2.0), weight=1)
    assert model.w.item() == pytest.approx(2.5)


def test_what_is_left_of_an_epoch_steps_by_its_own_mean() -> None:
    model = Distance()
    updater = Updater(model, sgd(accumulate=3), steps=1)
    updater.backward(model(0.0))
    updater.backward(model(2.0))
    with pytest.raises(RuntimeError, match="2 micro-batches wait"):
        updater.state_dict()
    updater.flush()
    assert model.w.item() == pytest.approx(2.6)
    updater.flush()
    assert updater.steps_taken == 1


def test_the_mean_gradient_is_clipped_and_not_its_parts() -> None:
    """Gradients 6 and -4 have mean 1, within the bound of 1; each clipped first would have mean 0."""
    model = Distance()
    updater = Updater(model, sgd(accumulate=2, clip_norm=1.0), steps=1)
    updater.backward(model(0.0))
    updater.backward(model(5.0))
    assert model.w.item() == pytest.approx(2.9)


def test_the_rate_follows_its_schedule() -> None:
    """Of four steps the first two rise: 0.05, 0.1; then the cosine falls from 0.1 to half of it."""
    model = Distance()
    updater = Updater(model, sgd(schedule="cosine", warmup_share=0.5), steps=4)
    before = [3.0]
    for _ in range(4):
        updater.backward(model(0.0))
        before.append(model.w.item())
    rates = [(was - now) / (2 * was) for was, now in pairwise(before)]
    assert rates == pytest.approx([0.05, 0.1, 0.1, 0.05], abs=1e-6)


def test_a_loss_that_is_no_number_updates_nothing() -> None:
    model = Distance()
    updater = Updater(model, sgd(accumulate=2), steps=1)
    updater.backward(model(0.0))
    with pytest.raises(FloatingPointError, match="learning rate"):
        updater.backward(model(float("inf")))
    assert model.w.item() == 3.0
    assert updater.steps_taken == 0


def test_a_resumed_updater_takes_the_steps_that_an_unbroken_one_takes() -> None:
    config = sgd(momentum=0.9, schedule="cosine", warmup_share=0.3)
    whole, broken = Distance(), Distance()
    unbroken, first = Updater(whole, config, steps=6), Updater(broken, config, steps=6)
    for _ in range(6):
        unbroken.backward(whole(0.0))
    for _ in range(3):
        first.backward(broken(0.0))
    second = Updater(broken, config, steps=6)
    second.load_state_dict(first.state_dict())
    for _ in range(3):
        second.backward(broken(0.0))
    assert broken.w.item() == pytest.approx(whole.w.item(), abs=1e-7)


def test_bf16_computes_in_bfloat16_and_keeps_float32_parameters() -> None:
    torch.manual_seed(0)
    model = nn.Linear(16, 4)
    rows = torch.randn(8, 16)
    exact = model(rows)
    updater = Updater(model, OptimiserConfig("sgd", 0.1, precision="bf16"), steps=1)
    with updater.autocast():
        found = model(rows)
        loss = found.float().pow(2).mean()
    assert found.dtype == torch.bfloat16
    assert 0 < (found.float() - exact).abs().max() < 0.03
    before = model.weight.detach().clone()
    updater.backward(loss)
    assert model.weight.dtype == torch.float32
    assert not torch.equal(model.weight, before)
    with Updater(model, OptimiserConfig("sgd", 0.1), steps=1).autocast():
        assert model(rows).dtype == torch.float32
