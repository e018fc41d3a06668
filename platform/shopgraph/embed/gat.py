"""Graph attention: how much a neighbour counts is learned from both ends of the edge.

Source: Veličković et al., Graph attention networks (2018), with parameters of their own a relation type; an edge's
weight enters its logit, so that without learning an edge counts by its weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import leaky_relu

from shopgraph.dataset.hetero import EdgeType
from shopgraph.embed.adjacency import Adjacency
from shopgraph.embed.encoder import Encoder, RelationWeights, added, message_width
from shopgraph.embed.head import Embeddings
from shopgraph.embed.message_graph import GraphShape
from shopgraph.errors import ConfigurationError


@dataclass(frozen=True)
class GATConfig:
    """How deep, and how many opinions on a neighbour."""

    layers: int = 1
    """Rounds of messages."""
    heads: int = 2
    """Attention heads; each reads and writes its share of the vector."""
    dropout: float = 0.0


class GATConvolution(nn.Module):
    """x_i + sum over relations r of concat over heads of sum over j of a_ij x_j W_r, a = softmax over j.

    Shapes:
        as `Convolution`
    """

    def __init__(self, shape: GraphShape, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.weights = RelationWeights(shape, width)
        self.from_source = RelationWeights(shape, width, heads, deviation=1.0)
        self.from_target = RelationWeights(shape, width, heads, deviation=1.0)

    def forward(self, x: Embeddings, own: Embeddings, relations: Mapping[EdgeType, Adjacency]) -> Embeddings:
        return added(own, {edge: self._attended(x, own, edge, relation) for edge, relation in relations.items()})

    def _attended(self, x: Embeddings, own: Embeddings, edge: EdgeType, relation: Adjacency) -> torch.Tensor:
        source, _, target = edge
        logits = (x[source] @ self.from_source[edge])[relation.source]
        logits = leaky_relu(logits + (own[target] @ self.from_target[edge])[relation.target], 0.2)
        attention = relation.softmax(logits + torch.log(relation.weight)[:, None])
        return multi_head(relation, x[source] @ self.weights[edge], attention)


def multi_head(relation: Adjacency, x: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
    """Each head passes its share of the columns: (sources, width) and (edges, heads) -> (targets, width)."""
    shares = torch.tensor_split(x, attention.shape[1], dim=1)
    return torch.cat(
        [relation.attend(share.contiguous(), attention[:, head].contiguous()) for head, share in enumerate(shares)],
        dim=1,
    )


def gat(shape: GraphShape, dimension: int, config: GATConfig) -> Encoder:
    """Raises ConfigurationError where the heads outnumber the columns."""
    width = message_width(shape, dimension)
    if not 1 <= config.heads <= width:
        raise ConfigurationError(f"heads {config.heads}: at least 1 and at most {width}")
    layers = [GATConvolution(shape, width, config.heads) for _ in range(config.layers)]
    return Encoder(shape, dimension, layers, config.dropout)
