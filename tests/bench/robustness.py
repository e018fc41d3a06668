"""How much of an encoder's ranking survives when its vectors are pushed the way that hurts it most."""

from __future__ import annotations

import numpy as np
import torch

from shopgraph.evaluation import Setting, evaluate
from shopgraph.learning.adversarial import AdversarialConfig, Perturbation, worst_perturbation

EPSILONS = (0.1, 0.2)
"""Lengths of the push; the vectors themselves have length 1."""


def under_attack(users: np.ndarray, products: np.ndarray, setting: Setting, scale: float = 20.0) -> dict[str, float]:
    """NDCG@20 after one step (FGSM) of each length that raises the cross-entropy of the setting's true products.

    Args:
        users, products: (n, dimension), unit length.
        scale: what cosines are multiplied by before the softmax.

    Source: He et al., Adversarial personalized ranking for recommendation (2018), which measures the same fall.
    """
    found = {}
    for epsilon in EPSILONS:
        pushed = _pushed(users, products, setting, scale, AdversarialConfig(name="fgsm", epsilon=epsilon))
        shifted = {name: vectors + pushed[name] for name, vectors in {"user": users, "product": products}.items()}
        ranking = evaluate(lambda rows, at=shifted: at["user"][rows] @ at["product"].T, setting)
        found[f"{epsilon:g}"] = float(ranking.ndcg.mean())
    return found


def _pushed(
    users: np.ndarray, products: np.ndarray, setting: Setting, scale: float, config: AdversarialConfig
) -> dict[str, np.ndarray]:
    judged = setting.users
    truth = setting.truth[judged].tocoo()
    row, column = (torch.from_numpy(side.astype(np.int64)) for side in truth.coords)
    barred = setting.excluded[judged].toarray() | ~setting.candidates
    barred_scores = torch.from_numpy(np.where(barred, -np.inf, 0.0).astype(np.float32))
    fixed = {"user": torch.from_numpy(users), "product": torch.from_numpy(products)}

    def cross_entropy(shaken: Perturbation) -> torch.Tensor:
        moved = {name: vectors + shaken[name] for name, vectors in fixed.items()}
        logits = scale * moved["user"][judged] @ moved["product"].T + barred_scores
        return (torch.logsumexp(logits, dim=1)[row] - logits[row, column]).mean()

    return {name: step.numpy() for name, step in worst_perturbation(cross_entropy, fixed, config).items()}
