"""Adversarial training: the loss under the perturbation of the embeddings that hurts it most, within a small ball.

Adversarial personalised ranking (He et al. 2018) perturbs the embeddings that are ranked by, since ids have no pixels.
One step along the gradient is the fast gradient method (Goodfellow et al. 2015; in l2, Miyato et al. 2017); several
steps, each followed by a projection, are projected gradient descent (Madry et al. 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from shopgraph.errors import ConfigurationError

ATTACKS, NORMS = ("none", "fgsm", "pgd"), ("l2", "linf")

Perturbation = Mapping[str, torch.Tensor]
"""What is added to the embeddings, by the name the loss knows them by."""


@dataclass(frozen=True)
class AdversarialConfig:
    """How hard the embeddings are shaken.

    Raises:
        ConfigurationError: a name that is not known, or a number out of its range.
    """

    name: str = "none"
    """none, fgsm (one step) or pgd (several)."""
    epsilon: float = 0.1
    """Radius of the ball: of each row's perturbation (l2), or of each of its coordinates (linf)."""
    norm: str = "l2"
    """l2 or linf."""
    steps: int = 3
    """Steps of pgd."""
    step_size: float = 0.05
    """Length of a step of pgd, in the same norm."""
    weight: float = 1.0
    """Of the loss under perturbation, beside the clean loss."""

    def __post_init__(self) -> None:
        for field, value, known in (("adversarial", self.name, ATTACKS), ("norm", self.norm, NORMS)):
            if value not in known:
                raise ConfigurationError(f"{field} {value!r}: choose from {', '.join(known)}")
        for field, least in (("epsilon", 0.0), ("steps", 1), ("step_size", 0.0), ("weight", 0.0)):
            if getattr(self, field) < least:
                raise ConfigurationError(f"{field}={getattr(self, field)}: must be at least {least}")


def adversarial_loss(
    loss_of: Callable[[Perturbation], torch.Tensor],
    embeddings: Mapping[str, torch.Tensor],
    config: AdversarialConfig,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """The clean loss plus `weight` times the loss under the worst perturbation; with "none" the clean loss alone.

    The perturbation is held fixed: gradients reach the parameters through both losses, and not through the search.

    Args:
        loss_of: the loss with these perturbations added; an empty mapping means none.
        embeddings: what is perturbed; only shape, type and device are read.
        generator: see `worst_perturbation`.
    """
    clean = loss_of({})
    if config.name == "none" or config.weight == 0:
        return clean
    return clean + config.weight * loss_of(worst_perturbation(loss_of, embeddings, config, generator))


def worst_perturbation(
    loss_of: Callable[[Perturbation], torch.Tensor],
    embeddings: Mapping[str, torch.Tensor],
    config: AdversarialConfig,
    generator: torch.Generator | None = None,
) -> dict[str, torch.Tensor]:
    """The perturbation within epsilon that raises a loss most, as far as the gradient tells; parameters get none of it.

    Args:
        generator: pgd starts at a random point of the ball drawn by it; without one at the centre.

    Shapes:
        embeddings[name]: (rows, dimension) or (dimension,)
        returns[name]: the same, detached

    Raises:
        RuntimeError: the loss does not depend on one of the perturbations.
    """
    found = {name: torch.zeros_like(item, requires_grad=False) for name, item in embeddings.items()}
    if config.name == "none":
        return found
    pgd = config.name == "pgd"
    if pgd and generator is not None:
        found = {name: _drawn(item, config, generator) for name, item in found.items()}
    length = config.step_size if pgd else config.epsilon
    for _ in range(config.steps if pgd else 1):
        with torch.enable_grad():
            leaves = {name: item.requires_grad_() for name, item in found.items()}
            gradients = torch.autograd.grad(loss_of(leaves), list(leaves.values()))
        found = {
            name: project(item.detach() + length * steepest(gradient, config.norm), config.epsilon, config.norm)
            for (name, item), gradient in zip(leaves.items(), gradients, strict=True)
        }
    return found


def steepest(gradient: torch.Tensor, norm: str) -> torch.Tensor:
    """The unit step along which a loss rises fastest: the gradient by its length (l2, a row), or its signs (linf).

    A row without a gradient is left where it is.
    """
    if norm == "linf":
        return gradient.sign()
    lengths = gradient.norm(dim=-1, keepdim=True)
    return torch.where(lengths > 0, gradient / lengths, torch.zeros_like(gradient))


def project(perturbation: torch.Tensor, epsilon: float, norm: str) -> torch.Tensor:
    """The nearest point of the ball of radius epsilon, a row at a time."""
    if norm == "linf":
        return perturbation.clamp(-epsilon, epsilon)
    lengths = perturbation.norm(dim=-1, keepdim=True)
    return torch.where(lengths > epsilon, perturbation * (epsilon / lengths), perturbation)


@contextmanager
def perturbed(layer: nn.Embedding, perturbation: torch.Tensor | None) -> Iterator[None]:
    """Within it an embedding layer gives each row with its perturbation added; for a `loss_of` over such layers.

    Shapes:
        perturbation: (rows of the layer, dimension); None leaves the layer as it is
    """
    if perturbation is None:
        yield
        return

    def shaken(_: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        return output + functional.embedding(inputs[0], perturbation, padding_idx=layer.padding_idx)

    hook = layer.register_forward_hook(shaken)
    try:
        yield
    finally:
        hook.remove()


def _drawn(like: torch.Tensor, config: AdversarialConfig, generator: torch.Generator) -> torch.Tensor:
    """Uniform in a cube (linf) or a ball (l2) of radius epsilon."""
    if config.norm == "linf":
        drawn = torch.rand(like.shape, generator=generator, dtype=like.dtype, device=generator.device)
        return ((2 * drawn - 1) * config.epsilon).to(like.device)
    direction = torch.randn(like.shape, generator=generator, dtype=like.dtype, device=generator.device)
    radius = torch.rand(like.shape[:-1], generator=generator, dtype=like.dtype, device=generator.device)
    radius = radius.pow(1 / like.shape[-1]).unsqueeze(-1)
    return (steepest(direction, "l2") * radius * config.epsilon).to(like.device)
