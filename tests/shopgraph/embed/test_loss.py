"""Losses against hand arithmetic."""

from __future__ import annotations

import math

import pytest
import torch

from shopgraph.embed.loss import LOSSES, MASKED, approx_ndcg, binned_ranks, bpr, pair_scores, sampled_softmax, scores

NOTHING = torch.zeros(3)
NONE = torch.zeros((2, 0), dtype=torch.int64)


def one(value: int) -> torch.Tensor:
    return torch.tensor([value])


def test_scores_are_inner_products() -> None:
    users, products = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    assert scores(users, products).tolist() == [[11.0, 2.0]]
    assert pair_scores(users, products, torch.tensor([0, 0]), torch.tensor([1, 0])).tolist() == [2.0, 11.0]


def test_sampled_softmax_corrects_for_sampling() -> None:
    rivals, chosen = torch.tensor([[2.0, 1.0, 0.5]]), torch.tensor([2.0])
    log_inclusion = torch.log(torch.tensor([1.0, 0.5, 0.25]))
    loss = sampled_softmax(rivals, chosen, one(0), torch.ones(1), log_inclusion, torch.tensor([[0], [0]]))
    others = math.exp(1.0) / 0.5 + math.exp(0.5) / 0.25
    assert float(loss) == pytest.approx(math.log(math.exp(2.0) + others) - 2.0)


def test_sampled_softmax_weighs_positives() -> None:
    rivals, chosen = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 0.0]]), torch.tensor([2.0, 3.0])
    excluded = torch.tensor([[0, 1], [0, 1]])
    loss = sampled_softmax(rivals, chosen, torch.tensor([0, 1]), torch.tensor([0.25, 0.75]), NOTHING, excluded)
    first = math.log(math.exp(2) + math.exp(1) + 1) - 2
    second = math.log(math.exp(3) + 2) - 3
    assert float(loss) == pytest.approx(0.25 * first + 0.75 * second)


def test_bpr_is_the_log_odds_of_one_pair() -> None:
    loss = bpr(torch.tensor([[0.5, -1.0]]), torch.tensor([2.0]), one(0), torch.ones(1), NOTHING, NONE)
    assert float(loss) == pytest.approx(math.log(1 + math.exp(-(2.0 - 0.5))))


def test_bpr_takes_rivals_in_turn() -> None:
    rivals, chosen = torch.tensor([[0.5, -1.0], [4.0, 0.0]]), torch.tensor([2.0, 1.0, 3.0])
    weight = torch.tensor([0.5, 0.25, 0.25])
    loss = bpr(rivals, chosen, torch.tensor([0, 1, 1]), weight, NOTHING, NONE)
    expected = [math.log(1 + math.exp(-margin)) for margin in (2.0 - 0.5, 1.0 - 0.0, 3.0 - 4.0)]
    assert float(loss) == pytest.approx(0.5 * expected[0] + 0.25 * expected[1] + 0.25 * expected[2])


def test_approx_ndcg_estimates_the_rank_from_the_rivals() -> None:
    rivals, chosen = torch.tensor([[1.0, 2.0, 0.0]]), torch.tensor([1.0])
    log_inclusion = torch.log(torch.tensor([1.0, 0.5, 0.1]))
    loss = approx_ndcg(rivals, chosen, one(0), torch.ones(1), log_inclusion, torch.tensor([[0], [0]]))
    sigmoid = lambda value: 1 / (1 + math.exp(-value / 0.5))  # noqa: E731
    rank = 1 + sigmoid(1.0) / 0.5 + sigmoid(-1.0) / 0.1
    assert float(loss) == pytest.approx(-1 / math.log2(1 + rank))


def test_ranks_and_gradients_of_a_histogram_are_nearly_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator()
    row, column = torch.arange(20) % 5, torch.arange(20) * 2
    excluded = torch.tensor([[0, 1, 1], [1, 3, 6]])
    found = []
    for comparisons in (10**6, 1):
        monkeypatch.setattr("shopgraph.embed.loss.EXACT_COMPARISONS", comparisons)
        logits = (5 * torch.randn(5, 40, generator=generator.manual_seed(3))).requires_grad_()
        chosen = logits[row, column]
        loss = approx_ndcg(logits, chosen, row, torch.full((20,), 0.05), torch.full((40,), -0.7), excluded)
        loss.backward()
        found.append((loss.item(), logits.grad))
    (exact, slope), (binned, near) = found
    assert binned == pytest.approx(exact, abs=1e-3)
    assert torch.nn.functional.cosine_similarity(slope.flatten(), near.flatten(), dim=0) > 0.999
    assert float((near - slope).abs().max()) < 0.05 * float(slope.abs().max())


def test_a_histogram_counts_each_rival_once() -> None:
    rivals, row = torch.tensor([[0.0, 0.25, 0.6, MASKED]]), torch.zeros(1, dtype=torch.int64)
    counts = torch.tensor([1.0, 2.0, 4.0, 8.0])
    assert float(binned_ranks(rivals, counts, torch.tensor([100.0]), row)) == pytest.approx(1.0)
    assert float(binned_ranks(rivals, counts, torch.tensor([-100.0]), row)) == pytest.approx(1.0 + 1 + 2 + 4)


@pytest.mark.parametrize("name", list(LOSSES))
def test_an_excluded_product_is_no_negative(name: str) -> None:
    arguments = (torch.zeros(1), one(0), torch.ones(1), NOTHING, torch.tensor([[0, 0], [0, 1]]))
    low = LOSSES[name](torch.tensor([[-50.0, -50.0, 0.0]]), *arguments)
    high = LOSSES[name](torch.tensor([[50.0, 50.0, 0.0]]), *arguments)
    assert float(low) == float(high)


@pytest.mark.parametrize("name", list(LOSSES))
def test_a_higher_positive_lowers_the_loss(name: str) -> None:
    rivals = torch.tensor([[0.2, 0.5, 0.2]])
    arguments = (one(0), torch.ones(1), NOTHING, NONE)
    assert float(LOSSES[name](rivals, torch.ones(1), *arguments)) < float(LOSSES[name](rivals, NOTHING[:1], *arguments))
