"""Heterogeneous graph transformer: keys, queries and values of each node type meet through each relation's matrices.

Source: Hu, Dong, Wang and Sun, Heterogeneous graph transformer (2020), without its relative temporal encoding: an
edge's age is in its weight, which enters the logit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from shopgraph.dataset.hetero import EdgeType
from shopgraph.embed.adjacency import Adjacency, target_maximum
from shopgraph.embed.encoder import STEP_SHARE, Encoder, RelationWeights, message_width
from shopgraph.embed.gat import multi_head
from shopgraph.embed.head import Embeddings
from shopgraph.embed.message_graph import GraphShape
from shopgraph.errors import ConfigurationError


@dataclass(frozen=True)
class HGTConfig:
    """How deep, and how many opinions on a neighbour."""

    layers: int = 1
    """Rounds of messages."""
    heads: int = 2
    """Attention heads; the width of a direction of taste must be divisible by it."""
    dropout: float = 0.0


class HGTConvolution(nn.Module):
    """x_i + A_kind(sum over relations r and j of a_ij x_j V_kind M_r), a = softmax over all j of all relations.

    The logit of an edge is (x_j K_kind W_r)(x_i Q_kind)^T m_r / sqrt(width / heads) + log w_ij.

    Shapes:
        as `Convolution`
    """

    def __init__(self, shape: GraphShape, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.columns = heads, width // heads
        kinds = [kind for kind, size in shape.sizes.items() if size]
        self.key, self.query, self.value = (
            nn.ModuleDict({kind: nn.Linear(width, width, bias=False) for kind in kinds}) for _ in range(3)
        )
        self.out = nn.ModuleDict({kind: nn.Linear(width, width, bias=False) for kind in kinds})
        self.attention = RelationWeights(shape, width, deviation=width**-0.5 / STEP_SHARE)
        self.message = RelationWeights(shape, width, deviation=width**-0.5 / STEP_SHARE)
        self.prior = nn.ParameterDict({"__".join(edge): nn.Parameter(torch.ones(heads)) for edge in shape.relations})
        for layer in self.out.values():
            nn.init.zeros_(layer.weight)  # type: ignore[arg-type]

    def forward(self, x: Embeddings, own: Embeddings, relations: Mapping[EdgeType, Adjacency]) -> Embeddings:
        key, value = ({kind: layers[kind](rows) for kind, rows in x.items()} for layers in (self.key, self.value))
        query = {kind: self.query[kind](rows) for kind, rows in own.items()}
        logits = {
            edge: self._logits(edge, relation, key[edge[0]], query[edge[2]]) for edge, relation in relations.items()
        }
        found = dict(own)
        for kind in dict.fromkeys(target for _, _, target in relations):
            towards = {edge: relations[edge] for edge in relations if edge[2] == kind}
            brought = sum(
                multi_head(relation, value[edge[0]] @ self.message[edge], attention)
                for (edge, relation), attention in zip(towards.items(), joint_softmax(towards, logits), strict=True)
            )
            found[kind] = own[kind] + STEP_SHARE * self.out[kind](brought)
        return found

    def _logits(self, edge: EdgeType, relation: Adjacency, key: torch.Tensor, query: torch.Tensor) -> torch.Tensor:
        # (edges, heads): one inner product a head, a head at a time so that no (edges, width) tensor is kept
        keys = torch.tensor_split(key @ self.attention[edge], self.heads, dim=1)
        queries = torch.tensor_split(query, self.heads, dim=1)
        products = [(k[relation.source] * q[relation.target]).sum(dim=1) for k, q in zip(keys, queries, strict=True)]
        prior = self.prior["__".join(edge)] / math.sqrt(self.columns)
        return torch.stack(products, dim=1) * prior + torch.log(relation.weight)[:, None]


def joint_softmax(towards: dict[EdgeType, Adjacency], logits: dict[EdgeType, torch.Tensor]) -> list[torch.Tensor]:
    """Coefficients that sum to 1 over all edges of all relations into a target: one (edges, heads) a relation."""
    largest = torch.stack([target_maximum(relation, logits[edge]) for edge, relation in towards.items()]).amax(dim=0)
    exponents = [torch.exp(logits[edge] - largest[relation.target]) for edge, relation in towards.items()]
    total = torch.zeros_like(largest)
    for relation, exponent in zip(towards.values(), exponents, strict=True):
        total = total.index_add(0, relation.target, exponent)
    return [exponent / total[relation.target] for relation, exponent in zip(towards.values(), exponents, strict=True)]


def hgt(shape: GraphShape, dimension: int, config: HGTConfig) -> Encoder:
    """Raises ConfigurationError where the heads don't divide the width."""
    width = message_width(shape, dimension)
    if config.heads < 1 or width % config.heads:
        raise ConfigurationError(f"heads {config.heads}: must divide the {width} columns of a direction of taste")
    layers = [HGTConvolution(shape, width, config.heads) for _ in range(config.layers)]
    return Encoder(shape, dimension, layers, config.dropout)
