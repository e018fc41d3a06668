"""GraphSAGE over the heterogeneous graph, with unit-length output that a cosine index can rank by.

Source: Hamilton, Ying and Leskovec, Inductive representation learning on large graphs (2017), with one weight matrix a
relation type as in Schlichtkrull et al., Modeling relational data with graph convolutional networks (2018).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import normalize

from shopgraph.embed.message_graph import MessageGraph

STEEPEST = 0.95
"""Largest share of a product's vector that its popularity may take."""


class GraphSAGE(nn.Module):
    """One convolution between users, products and what describes products.

    The last coordinate is a pole of its own: how popular the product is, and how much the user goes with the crowd. An
    inner product of unit vectors has no other place for it. The rest is the direction of taste.

    Args:
        dimension: width of the output.
        catalogue_nodes: brands, authors, categories and attributes together; each has a learned vector.

    Shapes:
        input: a `MessageGraph` of positions `dimension - 1` wide
        output: (users, dimension) and (products, dimension), float32, unit length
    """

    def __init__(self, dimension: int, catalogue_nodes: int) -> None:
        super().__init__()
        width = dimension - 1
        self.catalogue = nn.Parameter(torch.randn(catalogue_nodes, width) * 0.05)
        self.user_self = nn.Parameter(torch.eye(width))
        self.product_self = nn.Parameter(torch.eye(width))
        self.from_products = nn.Parameter(torch.randn(width, width) * 0.02)
        self.from_users = nn.Parameter(torch.randn(width, width) * 0.02)
        self.crowd = nn.Linear(width, 1)
        self.popularity = nn.Linear(3, 1)
        with torch.no_grad():
            self.crowd.weight.zero_()
            self.crowd.bias.fill_(2.0)
            self.popularity.weight.copy_(torch.tensor([[0.14, 0.07, 0.0]]))
            self.popularity.bias.fill_(-0.2)

    def forward(self, graph: MessageGraph) -> tuple[torch.Tensor, torch.Tensor]:
        products = graph.product_position + graph.describes(self.catalogue)
        users = graph.user_position @ self.user_self + graph.buys(products) @ self.from_products
        products = products @ self.product_self + graph.bought_by(graph.user_position) @ self.from_users
        taste = normalize(users, dim=1, eps=1e-9)
        crowd = torch.sigmoid(self.crowd(taste))
        popular = STEEPEST * torch.tanh(self.popularity(graph.popularity))
        return _with_pole(taste, crowd), _with_pole(normalize(products, dim=1, eps=1e-9), popular)


def _with_pole(direction: torch.Tensor, pole: torch.Tensor) -> torch.Tensor:
    """(n, width) unit or zero rows and (n, 1) in (-1, 1) -> (n, width + 1) unit rows."""
    return normalize(torch.cat([direction * torch.sqrt(1.0 - pole * pole), pole], dim=1), dim=1)
