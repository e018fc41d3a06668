"""Losses over scores: arithmetic on arrays, callable with no model and no graph.

Shapes, of all of them:
    logits: (b, m), scores of b users for a pool of m products, times the scale
    row, column: (n,), the positives among them
    weight: (n,), sums to 1: how much each positive counts
    log_inclusion: (m,), log probability that the pool holds the product
    excluded: (2, e), (row, column) pairs that are no negatives
    returns: a scalar
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.functional import logsigmoid

MASKED = -1e9
BLOCK_ELEMENTS = 1 << 25
"""Comparisons of positives with the pool that are held at once."""

Loss = Callable[
    [torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor],
    torch.Tensor,
]


def scores(users: torch.Tensor, products: torch.Tensor) -> torch.Tensor:
    """Inner products of unit vectors, their cosines: (b, d) and (m, d) -> (b, m)."""
    return users @ products.T


def bpr(
    logits: torch.Tensor,
    row: torch.Tensor,
    column: torch.Tensor,
    weight: torch.Tensor,
    log_inclusion: torch.Tensor,
    excluded: torch.Tensor,
) -> torch.Tensor:
    """-log sigmoid(s+ - s-), each positive against one negative of the pool, as they come.

    A negative that is excluded leaves its positive without a term.

    Source: Rendle et al., BPR: Bayesian personalized ranking from implicit feedback (2009).
    """
    negative = (column + 1 + torch.arange(len(column), device=column.device)) % logits.shape[1]
    barred = torch.zeros_like(logits, dtype=torch.bool).index_put((excluded[0], excluded[1]), torch.tensor(True))
    kept = weight * ~barred[row, negative] * (negative != column)
    return -(logsigmoid(logits[row, column] - logits[row, negative]) * kept).sum()


def sampled_softmax(
    logits: torch.Tensor,
    row: torch.Tensor,
    column: torch.Tensor,
    weight: torch.Tensor,
    log_inclusion: torch.Tensor,
    excluded: torch.Tensor,
) -> torch.Tensor:
    """Cross-entropy of each positive against sampled negatives whose scores are corrected for their sampling (logQ).

    For a positive with score s+ and negatives s_j that the pool holds with probability q_j, the loss is
    log(exp(s+) + sum_j exp(s_j - log q_j)) - s+.

    Source: Bengio and Senécal, Adaptive importance sampling to accelerate training of a neural probabilistic language
    model (2008); Yi et al., Sampling-bias-corrected neural modeling (2019).
    """
    corrected = (logits - log_inclusion).index_put((excluded[0], excluded[1]), logits.new_tensor(MASKED))
    others, chosen = torch.logsumexp(corrected, dim=1)[row], logits[row, column]
    return ((torch.logaddexp(chosen, others) - chosen) * weight).sum()


def approx_ndcg(
    logits: torch.Tensor,
    row: torch.Tensor,
    column: torch.Tensor,
    weight: torch.Tensor,
    log_inclusion: torch.Tensor,
    excluded: torch.Tensor,
    temperature: float = 0.5,
) -> torch.Tensor:
    """Minus the discount at each positive's smoothed rank: only the head of the ranking counts, as in NDCG itself.

    The rank of a positive among all products is estimated from the pool as 1 + sum_j sigmoid((s_j - s+) / t) / q_j, its
    discount is 1 / log2(1 + rank).

    Source: Qin, Liu and Li, A general approximation framework for direct optimization of information retrieval measures
    (2010), with ranks estimated by importance sampling.
    """
    counts, logits = torch.exp(-log_inclusion), logits / temperature
    chosen = logits[row, column]
    rivals = logits.index_put((excluded[0], excluded[1]), logits.new_tensor(MASKED))
    discounted = []
    block = max(1, BLOCK_ELEMENTS // logits.shape[1])
    for part in torch.split(torch.arange(len(row), device=row.device), block):
        rank = 1.0 + torch.sigmoid(rivals[row[part]] - chosen[part, None]) @ counts
        discounted.append(weight[part] / torch.log2(1.0 + rank))
    return -torch.cat(discounted).sum()


LOSSES: dict[str, Loss] = {"bpr": bpr, "sampled_softmax": sampled_softmax, "approx_ndcg": approx_ndcg}
