"""Perturbations against hand arithmetic: on a quadratic, in the ball, on a loss with a trap, in a layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from shopgraph.errors import ConfigurationError
from shopgraph.learning.adversarial import (
    AdversarialConfig,
    Perturbation,
    adversarial_loss,
    perturbed,
    project,
    steepest,
    worst_perturbation,
)

ROWS = torch.tensor([[3.0, -4.0], [0.0, 0.0], [-1.0, 0.0]])


def quadratic(perturbation: Perturbation) -> torch.Tensor:
    """The squares' sum, whose gradient is twice the row."""
    return (ROWS + perturbation.get("items", 0)).pow(2).sum()


def test_fgsm_goes_along_the_signs_of_the_gradient() -> None:
    found = worst_perturbation(quadratic, {"items": ROWS}, AdversarialConfig("fgsm", 0.5, "linf"))
    assert torch.equal(found["items"], torch.tensor([[0.5, -0.5], [0.0, 0.0], [-0.5, 0.0]]))
    assert not found["items"].requires_grad


def test_in_l2_each_row_moves_by_epsilon_along_its_own_gradient() -> None:
    found = worst_perturbation(quadratic, {"items": ROWS}, AdversarialConfig("fgsm", 0.5, "l2"))
    assert torch.allclose(found["items"], torch.tensor([[0.3, -0.4], [0.0, 0.0], [-0.5, 0.0]]))


def test_projection_shortens_what_is_too_long_and_leaves_the_rest() -> None:
    rows = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]])
    assert torch.allclose(project(rows, 1.0, "l2"), torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]))
    assert torch.allclose(project(rows, 1.0, "linf"), torch.tensor([[1.0, 1.0], [0.3, 0.4], [0.0, 0.0]]))
    assert torch.equal(steepest(torch.zeros(2, 2), "l2"), torch.zeros(2, 2))


def bent(perturbation: Perturbation) -> torch.Tensor:
    """Rises along the second coordinate at first, and along the first one more and more."""
    x, y = (torch.tensor([[0.1, 0.0]]) + perturbation.get("items", 0)).unbind(-1)
    return (y * 0.5 + 4 * x.pow(2) - y.pow(2)).sum()


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_pgd_stays_in_the_ball_and_finds_a_higher_loss(norm: str) -> None:
    start = {"items": torch.zeros(1, 2)}
    one = worst_perturbation(bent, start, AdversarialConfig("fgsm", 1.0, norm))
    several = worst_perturbation(bent, start, AdversarialConfig("pgd", 1.0, norm, steps=20, step_size=0.2))
    length = several["items"].norm() if norm == "l2" else several["items"].abs().max()
    assert length <= 1.0 + 1e-6
    assert bent(several) > bent(one) + 0.1
    assert bent(one) > bent({})


def test_one_step_of_pgd_as_long_as_the_radius_is_fgsm() -> None:
    fgsm = worst_perturbation(quadratic, {"items": ROWS}, AdversarialConfig("fgsm", 0.5))
    pgd = worst_perturbation(quadratic, {"items": ROWS}, AdversarialConfig("pgd", 0.5, steps=1, step_size=0.5))
    assert torch.allclose(fgsm["items"], pgd["items"])


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_a_random_start_follows_its_generator_and_stays_in_the_ball(norm: str) -> None:
    config = AdversarialConfig("pgd", 0.5, norm, steps=1, step_size=0.0)
    wide = torch.zeros(200, 3)
    flat = {"items": wide}

    def level(perturbation: Perturbation) -> torch.Tensor:
        return perturbation["items"].sum()

    drawn = [worst_perturbation(level, flat, config, torch.Generator().manual_seed(n))["items"] for n in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    lengths = drawn[0].norm(dim=-1) if norm == "l2" else drawn[0].abs().amax(dim=-1)
    assert lengths.max() <= 0.5 + 1e-6
    assert 0.3 < lengths.mean() < 0.45


def test_the_loss_is_the_clean_one_plus_the_weighted_one_and_trains_through_both() -> None:
    """w = 3 and loss w^2: with epsilon 0.5 the perturbed loss is 3.5^2, its gradient 7; 9 + 2 * 12.25 and 6 + 2 * 7."""
    w = nn.Parameter(torch.tensor([[3.0]]))
    config = AdversarialConfig("fgsm", 0.5, weight=2.0)
    loss = adversarial_loss(lambda shaken: (w + shaken.get("w", 0)).pow(2).sum(), {"w": w}, config)
    assert loss.item() == pytest.approx(33.5)
    assert w.grad is None
    loss.backward()
    assert w.grad is not None
    assert w.grad.item() == pytest.approx(20.0)


def test_none_is_the_clean_loss_computed_once() -> None:
    calls: list[Perturbation] = []

    def loss_of(perturbation: Perturbation) -> torch.Tensor:
        calls.append(perturbation)
        return quadratic(perturbation)

    assert adversarial_loss(loss_of, {"items": ROWS}, AdversarialConfig()).item() == pytest.approx(26.0)
    assert calls == [{}]


def test_a_layer_gives_its_rows_perturbed_and_itself_again_after() -> None:
    layer = nn.Embedding(4, 2, padding_idx=3)
    ids = torch.tensor([0, 2, 2, 3])
    target = torch.ones(4, 2)

    def loss_of(shaken: Perturbation) -> torch.Tensor:
        with perturbed(layer, shaken.get("layer")):
            return functional.mse_loss(layer(ids), target)

    found = worst_perturbation(loss_of, {"layer": layer.weight}, AdversarialConfig("fgsm", 0.1))["layer"]
    assert found.norm(dim=-1) == pytest.approx(torch.tensor([0.1, 0.0, 0.1, 0.0]), abs=1e-6)
    with perturbed(layer, found):
        assert torch.allclose(layer(ids), layer.weight[ids] + found[ids])
    assert torch.equal(layer(ids), layer.weight[ids])
    assert loss_of({"layer": found}) > loss_of({})
    assert layer.weight.grad is None


def test_a_perturbation_that_the_loss_does_not_see_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="not have been used"):
        worst_perturbation(quadratic, {"items": ROWS, "users": ROWS}, AdversarialConfig("fgsm"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "cw"}, "none, fgsm, pgd"),
        ({"norm": "l1"}, "l2, linf"),
        ({"epsilon": -1.0}, "at least 0"),
        ({"steps": 0}, "at least 1"),
    ],
)
def test_what_is_out_of_range_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        AdversarialConfig(**wrong)
