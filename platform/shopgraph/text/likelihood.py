"""The likelihood of purchases, each counting by how satisfied the user seems with it: arithmetic on tensors."""

from __future__ import annotations

import torch
from torch import nn


def satisfaction_likelihood(
    scores: torch.Tensor, satisfaction: torch.Tensor, log_inclusion: torch.Tensor | None = None
) -> torch.Tensor:
    """-(1/N) sum_v f(v) log y_v, y_v being the share of the product bought in a user's softmax over the batch's.

    Args:
        log_inclusion: logarithm of how often each product is in a batch, taken off its scores, so that popular products
            are no stronger rivals than they are among all (logQ correction, Bengio and Senecal 2008; Yi et al. 2019).

    Shapes:
        scores: (purchases, purchases): row a user, column a product, purchase v on the diagonal
        satisfaction, log_inclusion: (purchases,)
    """
    if log_inclusion is not None:
        scores = scores - log_inclusion
    return -(satisfaction * scores.log_softmax(dim=1).diagonal()).mean()


class SatisfactionLikelihood(nn.Module):
    """The loss of users and the products they bought, both encoded by one model.

    Args:
        scale: cosines are multiplied by it: the inverse of the temperature.
    """

    def __init__(self, model: nn.Module, scale: float) -> None:
        super().__init__()
        self.model, self._scale = model, scale

    def forward(self, features: list[dict[str, torch.Tensor]], labels: torch.Tensor) -> torch.Tensor:
        """
        Shapes:
            features: of users and of products
            labels: (purchases, 2): satisfaction, log_inclusion
        """
        users, products = (self.model(column)["sentence_embedding"] for column in features)
        return satisfaction_likelihood(self._scale * users @ products.T, labels[:, 0], labels[:, 1])
