"""Scores and the loss over them: arithmetic on arrays, callable with no model and no graph."""

from __future__ import annotations

import torch

MASKED = -1e9


def scores(users: torch.Tensor, products: torch.Tensor) -> torch.Tensor:
    """Inner products of unit vectors, their cosines: (b, d) and (m, d) -> (b, m)."""
    return users @ products.T


def sampled_softmax(
    logits: torch.Tensor, positives: torch.Tensor, log_inclusion: torch.Tensor, excluded: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy of each positive against sampled negatives whose scores are corrected for their sampling (logQ).

    For a positive with score s+ and negatives s_j drawn with probability q_j, the loss is
    log(exp(s+) + sum_j exp(s_j - log q_j)) - s+, averaged over users and positives.

    Shapes:
        logits: (b, m), scores over temperature
        positives: (b, p), columns of `logits`
        log_inclusion: (m,)
        excluded: (2, e), pairs that are no negatives

    Source: Bengio and Senécal, Adaptive importance sampling to accelerate training of a neural probabilistic language
    model (2008); Yi et al., Sampling-bias-corrected neural modeling (2019).
    """
    chosen = logits.gather(1, positives)
    corrected = logits - log_inclusion
    corrected = corrected.index_put((excluded[0], excluded[1]), corrected.new_tensor(MASKED))
    others = torch.logsumexp(corrected, dim=1, keepdim=True)
    return (torch.logaddexp(chosen, others) - chosen).mean()
