"""Losses over scores: arithmetic on arrays, callable with no model and no graph.

Shapes, of all of them:
    rivals: (b, m), scores of b users for m products that positives are told apart from, times the scale
    chosen: (n,), scores of the positives, times the scale; row: (n,), the user of each
    weight: (n,), sums to 1: how much each positive counts
    log_inclusion: (m,), log probability that a product was to be a rival
    excluded: (2, e), pairs (row, rival) that are no negatives
    returns: a scalar
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.functional import logsigmoid

MASKED = -1e9
EXACT_COMPARISONS = 1 << 25
"""Comparisons of positives with rivals up to which a smoothed rank takes each of them; beyond, a histogram's."""
BIN_WIDTH = 0.25
"""Of that histogram, in temperatures; an sigmoid interpolated on both sides is off by at most .0015."""

Loss = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
    torch.Tensor,
]
"""Takes rivals, chosen, row, weight, log_inclusion, excluded."""


def scores(users: torch.Tensor, products: torch.Tensor) -> torch.Tensor:
    """Inner products of unit vectors, their cosines: (b, d) and (m, d) -> (b, m)."""
    return users @ products.T


def pair_scores(users: torch.Tensor, products: torch.Tensor, row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
    """The same of single pairs: (b, d), (m, d) and (n,), (n,) -> (n,)."""
    return (users[row] * products[column]).sum(dim=1)


def bpr(
    rivals: torch.Tensor,
    chosen: torch.Tensor,
    row: torch.Tensor,
    weight: torch.Tensor,
    log_inclusion: torch.Tensor,
    excluded: torch.Tensor,
) -> torch.Tensor:
    """-log sigmoid(s+ - s-), each positive against one rival, in turn.

    A negative that is excluded leaves its positive without a term.

    Source: Rendle et al., BPR: Bayesian personalized ranking from implicit feedback (2009).
    """
    negative = torch.arange(len(row), device=row.device) % rivals.shape[1]
    barred = torch.zeros_like(rivals, dtype=torch.bool).index_put((excluded[0], excluded[1]), torch.tensor(True))
    return -(logsigmoid(chosen - rivals[row, negative]) * weight * ~barred[row, negative]).sum()


def sampled_softmax(
    rivals: torch.Tensor,
    chosen: torch.Tensor,
    row: torch.Tensor,
    weight: torch.Tensor,
    log_inclusion: torch.Tensor,
    excluded: torch.Tensor,
) -> torch.Tensor:
    """Cross-entropy of each positive against sampled negatives whose scores are corrected for their sampling (logQ).

    For a positive with score s+ and rivals s_j that were to be there with probability q_j, the loss is
    log(exp(s+) + sum_j exp(s_j - log q_j)) - s+.

    Source: Bengio and Senécal, Adaptive importance sampling to accelerate training of a neural probabilistic language
    model (2008); Yi et al., Sampling-bias-corrected neural modeling (2019).
    """
    corrected = (rivals - log_inclusion).index_put((excluded[0], excluded[1]), rivals.new_tensor(MASKED))
    others = torch.logsumexp(corrected, dim=1)[row]
    return ((torch.logaddexp(chosen, others) - chosen) * weight).sum()


def approx_ndcg(
    rivals: torch.Tensor,
    chosen: torch.Tensor,
    row: torch.Tensor,
    weight: torch.Tensor,
    log_inclusion: torch.Tensor,
    excluded: torch.Tensor,
    temperature: float = 0.5,
) -> torch.Tensor:
    """Minus the discount at each positive's smoothed rank: only the head of the ranking counts, as in NDCG itself.

    The rank of a positive among all products is estimated from its rivals as 1 + sum_j sigmoid((s_j - s+) / t) / q_j,
    its discount is 1 / log2(1 + rank).

    Source: Qin, Liu and Li, A general approximation framework for direct optimization of information retrieval measures
    (2010), with ranks estimated by importance sampling.
    """
    counts, chosen = torch.exp(-log_inclusion), chosen / temperature
    rivals = (rivals / temperature).index_put((excluded[0], excluded[1]), rivals.new_tensor(MASKED))
    ranks = exact_ranks if len(row) * rivals.shape[1] <= EXACT_COMPARISONS else binned_ranks
    rank = ranks(rivals, counts, chosen, row)
    return -(weight / torch.log2(1.0 + rank)).sum()


def exact_ranks(rivals: torch.Tensor, counts: torch.Tensor, chosen: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    """1 + sum_j n_j sigmoid(s_j - s+), every positive against each rival.

    Shapes:
        rivals: (b, m), `MASKED` where there is none; counts: (m,), how many products each stands for
        chosen: (n,), s+; row: (n,), of `rivals`
        returns: (n,)
    """
    return 1.0 + torch.sigmoid(rivals[row] - chosen[:, None]) @ counts


def binned_ranks(rivals: torch.Tensor, counts: torch.Tensor, chosen: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    """The same from a histogram of each user's rivals: b m + n steps instead of n m.

    A rival counts in the two bins it lies between, by its distances, and a positive's rank lies between those of its
    two bins: the sigmoid is interpolated linearly, and gradients reach both.

    Shapes:
        as `exact_ranks`
    """
    there = rivals.detach() > MASKED / 2
    lowest = torch.minimum(torch.where(there, rivals.detach(), float("inf")).min(), chosen.detach().min())
    below, beyond = _bins(torch.where(there, rivals - lowest, 0.0))
    place, further = _bins(chosen - lowest)
    bins = int(torch.maximum(below.max(), place.max())) + 2
    held, counted = rivals.new_zeros((len(rivals), bins)), counts * there
    held = held.scatter_add(1, below, counted * (1 - beyond)).scatter_add(1, below + 1, counted * beyond)
    centres = BIN_WIDTH * torch.arange(bins, device=rivals.device)
    ranks = 1.0 + held @ torch.sigmoid(centres[:, None] - centres)
    return ranks[row, place] * (1 - further) + ranks[row, place + 1] * further


def _bins(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The bin that each value lies in, and how far beyond its centre on the way to the next one's."""
    place = values / BIN_WIDTH
    below = place.detach().floor()
    return below.long(), place - below


LOSSES: dict[str, Loss] = {"bpr": bpr, "sampled_softmax": sampled_softmax, "approx_ndcg": approx_ndcg}
