"""What a neural ranker is made of, readable where there is no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NeuralConfig:
    """Networks, their size and their training."""

    bins: int = 4
    """Between the quantiles of each feature."""
    cross_layers: int = 2
    """Each multiplies by one more feature."""
    cross_rank: int = 16
    """Of the matrix of each cross layer."""
    hidden: tuple[int, ...] = (32, 16)
    """Widths of the deep tower."""
    dropout: float = 0.2
    """Share of the tower's units left out of a step."""
    noise: float = 0.1
    """Standard deviation of what is added to the features' ranks in training, see `QuantileBins`."""
    truncation_level: int = 50
    """Ranks from which a pair's better product must come to count."""
    learning_rate: float = 0.002
    """At its height: it rises over the first tenth of the steps and falls over the rest."""
    weight_decay: float = 0.1
    """Pull of the matrices to zero (decoupled)."""
    users_per_batch: int = 32
    epochs: int = 8
    """At most."""
    patience: int = 3
    """Epochs without a better figure of those who judge before stopping."""
    networks: int = 3
    """Trained from seeds that follow one another; their scores are averaged."""
