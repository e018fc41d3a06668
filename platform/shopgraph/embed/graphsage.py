"""GraphSAGE: a node's own vector and an aggregate of its neighbours', each with its weights.

Source: Hamilton, Ying and Leskovec, Inductive representation learning on large graphs (2017), with one weight matrix a
relation type as in Schlichtkrull et al., Modeling relational data with graph convolutional networks (2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from shopgraph.dataset.hetero import EdgeType
from shopgraph.embed.adjacency import Adjacency
from shopgraph.embed.encoder import STEP_SHARE, Encoder, RelationWeights, added, message_width
from shopgraph.embed.head import Embeddings
from shopgraph.embed.message_graph import GraphShape
from shopgraph.errors import ConfigurationError

LINEAR = {"sum": Adjacency.total, "mean": Adjacency.mean}
AGGREGATIONS = (*LINEAR, "max")


@dataclass(frozen=True)
class GraphSAGEConfig:
    """How deep, and how neighbours are put together."""

    layers: int = 1
    """Rounds of messages."""
    aggregation: str = "mean"
    """sum, mean or max; the first two weigh neighbours by their edges."""
    dropout: float = 0.0

    def __post_init__(self) -> None:
        if self.aggregation not in AGGREGATIONS:
            raise ConfigurationError(f"aggregation {self.aggregation!r}: choose from {', '.join(AGGREGATIONS)}")


class GraphSAGEConvolution(nn.Module):
    """x_i W_kind + sum over relations r of aggregate(x_j, j a neighbour of i along r) W_r.

    Shapes:
        as `Convolution`
    """

    def __init__(self, shape: GraphShape, width: int, aggregation: str) -> None:
        super().__init__()
        self.aggregation = aggregation
        self.own = nn.ParameterDict(
            {kind: nn.Parameter(torch.eye(width) / STEP_SHARE) for kind, size in shape.sizes.items() if size}
        )
        self.weights = RelationWeights(shape, width)

    def forward(self, x: Embeddings, own: Embeddings, relations: Mapping[EdgeType, Adjacency]) -> Embeddings:
        own = {kind: rows @ (STEP_SHARE * self.own[kind]) for kind, rows in own.items()}
        messages = {edge: self._message(edge, relation, x[edge[0]]) for edge, relation in relations.items()}
        return added(own, messages)

    def _message(self, edge: EdgeType, relation: Adjacency, x: torch.Tensor) -> torch.Tensor:
        if self.aggregation == "max":
            return relation.maximum(x) @ self.weights[edge]
        return self.weights.carried(LINEAR[self.aggregation], edge, relation, x)


def graphsage(shape: GraphShape, dimension: int, config: GraphSAGEConfig) -> Encoder:
    layers = [
        GraphSAGEConvolution(shape, message_width(shape, dimension), config.aggregation) for _ in range(config.layers)
    ]
    return Encoder(shape, dimension, layers, config.dropout)
