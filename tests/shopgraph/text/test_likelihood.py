"""The satisfaction-weighted likelihood by hand."""

from __future__ import annotations

import math

import pytest
import torch

from shopgraph.text.likelihood import satisfaction_likelihood

SCORES = torch.tensor([[math.log(3.0), 0.0], [math.log(4.0), 0.0]])
"""Shares 3/4 and 1/4 for the first user, 4/5 and 1/5 for the second."""


def test_it_is_the_weighted_mean_of_log_shares():
    found = satisfaction_likelihood(SCORES, torch.tensor([1.0, 0.5]))
    assert found.item() == pytest.approx(-(1.0 * math.log(3 / 4) + 0.5 * math.log(1 / 5)) / 2)


def test_who_is_not_satisfied_at_all_says_nothing():
    scores = SCORES.clone().requires_grad_()
    satisfaction_likelihood(scores, torch.tensor([1.0, 0.0])).backward()
    assert (scores.grad[0] != 0).all()
    assert (scores.grad[1] == 0).all()


def test_popular_rivals_are_corrected_for():
    """The first product is in batches three times as often: its scores count a third."""
    found = satisfaction_likelihood(SCORES, torch.ones(2), torch.tensor([math.log(3.0), 0.0]))
    assert found.item() == pytest.approx(-(math.log(1 / 2) + math.log(1 / (4 / 3 + 1))) / 2)
