from __future__ import annotations

import math

import pytest
import torch

from shopgraph.embed.decoder import sampled_softmax, scores


def test_scores_are_inner_products() -> None:
    assert scores(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0]])).tolist() == [[11.0, 2.0]]


def test_sampled_softmax_agrees_with_hand_arithmetic() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.5]])
    log_inclusion = torch.log(torch.tensor([1.0, 0.5, 0.25]))
    loss = sampled_softmax(logits, torch.tensor([[0]]), log_inclusion, torch.tensor([[0], [0]]))
    others = math.exp(1.0) / 0.5 + math.exp(0.5) / 0.25
    assert float(loss) == pytest.approx(math.log(math.exp(2.0) + others) - 2.0)


def test_an_excluded_product_is_no_negative() -> None:
    logits = torch.tensor([[0.0, 50.0, 0.0]])
    nothing = torch.zeros(3)
    kept_out = sampled_softmax(logits, torch.tensor([[0]]), nothing, torch.tensor([[0, 0], [0, 1]]))
    assert float(kept_out) == pytest.approx(math.log(2.0))
