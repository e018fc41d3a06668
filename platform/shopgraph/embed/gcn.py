"""Graph convolution: neighbours summed under the symmetric normalisation.

Source: Kipf and Welling, Semi-supervised classification with graph convolutional networks (2017), with one weight
matrix a relation type as in Schlichtkrull et al., Modeling relational data with graph convolutional networks (2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from shopgraph.dataset.hetero import EdgeType
from shopgraph.embed.adjacency import Adjacency
from shopgraph.embed.encoder import Encoder, RelationWeights, added, message_width
from shopgraph.embed.head import Embeddings
from shopgraph.embed.message_graph import GraphShape


@dataclass(frozen=True)
class GCNConfig:
    """How deep."""

    layers: int = 1
    """Rounds of messages."""
    dropout: float = 0.0


class GCNConvolution(nn.Module):
    """x_i + sum over relations r and their neighbours j of w_ij / sqrt(d_i d_j) x_j W_r.

    Shapes:
        as `Convolution`
    """

    def __init__(self, shape: GraphShape, width: int) -> None:
        super().__init__()
        self.weights = RelationWeights(shape, width)

    def forward(self, x: Embeddings, own: Embeddings, relations: Mapping[EdgeType, Adjacency]) -> Embeddings:
        return added(
            own,
            {
                edge: self.weights.carried(Adjacency.symmetric, edge, relation, x[edge[0]])
                for edge, relation in relations.items()
            },
        )


def gcn(shape: GraphShape, dimension: int, config: GCNConfig) -> Encoder:
    layers = [GCNConvolution(shape, message_width(shape, dimension)) for _ in range(config.layers)]
    return Encoder(shape, dimension, layers, config.dropout)
