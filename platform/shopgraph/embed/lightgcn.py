"""LightGCN: learned vectors of users and products, smoothed over purchases alone; the collaborative reference.

Source: He et al., LightGCN: simplifying and powering graph convolution network for recommendation (2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import normalize

from shopgraph.embed.head import Embeddings, Rows
from shopgraph.embed.message_graph import PURCHASED, GraphShape, MessageGraph


@dataclass(frozen=True)
class LightGCNConfig:
    """How far vectors are smoothed."""

    layers: int = 2
    """Rounds of messages; the output is the mean over all of them, the first vectors included."""


class LightGCN(nn.Module):
    """No weights, no features: propagation under the symmetric normalisation, then the mean over rounds.

    The inner product ranks, so a product's length counts; it is kept in one more coordinate, which no user has.

    Shapes:
        input: a `MessageGraph`, of which only the purchases are read
        output["user"], output["product"]: (nodes, dimension), float32, unit length
    """

    def __init__(self, shape: GraphShape, dimension: int, config: LightGCNConfig) -> None:
        super().__init__()
        self.layers = config.layers
        sizes = {kind: shape.sizes[kind] for kind in ("user", "product")}
        self.first = nn.ParameterDict(
            {kind: nn.Parameter(torch.randn(size, dimension - 1) * 0.1) for kind, size in sizes.items()}
        )
        self.log_scale = nn.Parameter(torch.tensor(3.0))

    @property
    def scale(self) -> torch.Tensor:
        return torch.exp(self.log_scale)

    def forward(self, graph: MessageGraph, rows: Rows | None = None) -> Embeddings:
        users, products = self.first["user"], self.first["product"]
        bought_by, buys = graph.relations[PURCHASED], graph.relations["product", "rev_purchased", "user"]
        summed = [users, products]
        for _ in range(self.layers):
            users, products = buys.symmetric(products), bought_by.symmetric(users)
            summed = [summed[0] + users, summed[1] + products]
        found = {"user": _directions(summed[0]), "product": within_unit_ball(summed[1])}
        return found if rows is None else {kind: found[kind][chosen] for kind, chosen in rows.items()}


def _directions(users: torch.Tensor) -> torch.Tensor:
    unit = normalize(users, dim=1, eps=1e-9)
    return torch.cat([unit, unit.new_zeros((len(unit), 1))], dim=1)


def within_unit_ball(products: torch.Tensor) -> torch.Tensor:
    """Divided by the largest length and filled up to length 1: (n, width) -> (n, width + 1), inner products in order.

    Source: Bachrach et al., Speeding up the Xbox recommender system using a Euclidean transformation for inner-product
    spaces (2014).
    """
    scaled = products / products.norm(dim=1).max().clamp(min=1e-9)
    rest = torch.sqrt((1 - scaled.square().sum(dim=1, keepdim=True)).clamp(min=1e-6))
    return torch.cat([scaled, rest], dim=1)
