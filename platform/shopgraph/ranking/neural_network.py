"""Deep & Cross over features of any scale: quantiles inside the network, products of features, and a deep tower."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import nn

LARGEST = 1e9
"""What is beyond counts as this, infinity too."""


class QuantileBins(nn.Module):
    """Features as shares of the bins between their quantiles that lie below the value, and what is missing.

    A value's bins are 1 below it, 0 above it and a share where it lies; a missing one's are all 1/2. Their mean is the
    value's rank, up to a line within each bin.

    Source: Gorishniy, Rubachev and Babenko, On embeddings for numerical features in tabular deep learning (2022),
    piecewise linear encoding.
    """

    low: torch.Tensor
    width: torch.Tensor
    may_miss: torch.Tensor

    def __init__(self, values: np.ndarray, bins: int, noise: float) -> None:
        """Take the quantiles of training rows.

        Args:
            noise: in training, the standard deviation of what is added to every rank: products are fewer than rows, and
                a network that knows their features to the last digit learns what became of each.

        Shapes:
            values: (rows, features), NaN where missing
        """
        super().__init__()
        self.noise, self.bins = noise, bins
        missing = np.isnan(values)
        known = np.clip(np.where(missing.all(axis=0), 0.0, values), -LARGEST, LARGEST)
        edges = np.nanquantile(known, np.linspace(0.0, 1.0, bins + 1), axis=0).T.astype(np.float32)
        self.register_buffer("low", torch.from_numpy(np.ascontiguousarray(edges[:, :-1])))
        # equal quantiles are a step
        self.register_buffer("width", torch.from_numpy(np.maximum(np.diff(edges, axis=1), 1e-6)))
        self.register_buffer("may_miss", torch.from_numpy(np.flatnonzero(missing.any(axis=0))))

    @property
    def rank_width(self) -> int:
        return len(self.low) + len(self.may_miss)

    @property
    def bin_width(self) -> int:
        return len(self.low) * self.bins + len(self.may_miss)

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Shapes:
            values: (rows, features), NaN where missing
            returns: (rows, rank_width), of about unit variance, and (rows, bin_width)
        """
        missing = torch.isnan(values)
        known = torch.where(missing, torch.zeros_like(values), values).clamp(-LARGEST, LARGEST)
        # (rows, features, bins)
        below = ((known.unsqueeze(-1) - self.low) / self.width).clamp(0.0, 1.0)
        below = torch.where(missing.unsqueeze(-1), torch.full_like(below, 0.5), below)
        rank = below.mean(dim=-1)
        if self.training and self.noise:
            rank = rank + self.noise * torch.randn_like(rank)
            places = torch.arange(self.bins, device=rank.device, dtype=rank.dtype)
            below = (rank.unsqueeze(-1) * self.bins - places).clamp(0.0, 1.0)
        flags = missing[:, self.may_miss].to(values.dtype)
        # a uniform rank has variance 1/12
        ranks = torch.cat([(rank - 0.5) * 12**0.5, flags], dim=1)
        return ranks, torch.cat([below.flatten(1) - 0.5, flags], dim=1)


class CrossLayer(nn.Module):
    """x0 * (U V x + b) + x: products of one more feature each layer, of low rank.

    Source: Wang et al., DCN V2: Improved deep & cross network (2021), equation 2 with the factors of section 3.
    """

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, rank, bias=False), nn.Linear(rank, width)

    def forward(self, first: torch.Tensor, layer: torch.Tensor) -> torch.Tensor:
        """
        Shapes:
            first, layer, returns: (rows, width)
        """
        return first * self.up(self.down(layer)) + layer


class DeepCrossNetwork(nn.Module):
    """Cross layers on the features' ranks beside a deep tower on their bins, scored together."""

    def __init__(
        self, bins: QuantileBins, cross_layers: int, cross_rank: int, hidden: tuple[int, ...], dropout: float
    ) -> None:
        super().__init__()
        self.bins = bins
        self.cross = nn.ModuleList(CrossLayer(bins.rank_width, cross_rank) for _ in range(cross_layers))
        widths = (bins.bin_width, *hidden)
        self.deep = nn.Sequential(
            *(layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU(), nn.Dropout(dropout)))
        )
        self.score = nn.Linear(widths[-1] + bins.rank_width, 1)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """
        Shapes:
            values: (rows, features), NaN where missing
            returns: (rows,)
        """
        ranks, deep = self.bins(values)
        crossed = ranks
        for layer in self.cross:
            crossed = layer(ranks, crossed)
        return self.score(torch.cat([crossed, self.deep(deep)], dim=1)).squeeze(1)


class MeanScore(nn.Module):
    """The mean of several networks' scores."""

    def __init__(self, networks: list[DeepCrossNetwork]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """
        Shapes:
            values: (rows, features), NaN where missing
            returns: (rows,)
        """
        return torch.stack([network(values) for network in self.networks]).mean(dim=0)
