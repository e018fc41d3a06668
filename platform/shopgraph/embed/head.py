"""How an encoder's last vectors become what a cosine index ranks by: taste, popularity and affinity at unit length."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.functional import normalize

from shopgraph.dataset.hetero import EdgeType
from shopgraph.embed.adjacency import Adjacency
from shopgraph.embed.affinity import Affinity
from shopgraph.embed.message_graph import MessageGraph
from shopgraph.embed.structure import ACTIVITY_FEATURES, EVER, POPULARITY_FEATURES

POLES = 2
"""Last coordinates of a vector: how popular a product is, and what keeps its length 1."""

AFFINITY_START = 0.75
"""What affinities count for at first, beside taste; near what is best for an encoder that was trained without them."""

Embeddings = dict[str, torch.Tensor]
Rows = Mapping[str, torch.Tensor]
"""By kind, the distinct rows that are asked for."""


class Head(nn.Module):
    """Reads taste, popularity and affinity out of a graph, at unit length.

    A product's score for a user is scale * (sqrt(1 - c^2) g cos(taste, taste') + c b + w s <affinity, affinity'>): c in
    (0, 1) is how much the user goes with the crowd, (g, b) lie on a half-sphere with a third coordinate that no user
    has, and say how much the product's taste and its popularity count; w is how much the user's affinities count. These
    are small networks over counts, since what a count means is the same for every product.

    Args:
        affinity: columns of the graph's affinities; without any, vectors and scores lack that part.

    Shapes:
        input: x[kind]: (nodes, width); towards: the relations into those nodes
        output[kind]: (nodes, width + POLES + affinity), unit length
    """

    HIDDEN = 16

    def __init__(self, affinity: int = 0) -> None:
        super().__init__()
        self.standing = _perceptron(POPULARITY_FEATURES, self.HIDDEN, 2)
        self.standing_linear = zeroed(nn.Linear(POPULARITY_FEATURES, 2))
        self.crowd = _perceptron(ACTIVITY_FEATURES, self.HIDDEN, 1)
        self.log_scale = nn.Parameter(torch.tensor(3.5))
        with torch.no_grad():
            self.standing_linear.weight[0, EVER] = 1.5
            self.standing_linear.bias.copy_(torch.tensor([-2.0, 0.0]))
        if affinity:
            self.leaning = _perceptron(ACTIVITY_FEATURES, self.HIDDEN, 1)
            self.log_affinity = nn.Parameter(torch.tensor(AFFINITY_START).log())
            self.log_scale.data += 0.5 * math.log(2 * (1 + AFFINITY_START**2))  # vectors of both sides get longer

    @property
    def scale(self) -> torch.Tensor:
        return torch.exp(self.log_scale)

    def forward(
        self, x: Embeddings, graph: MessageGraph, rows: Rows | None, towards: Mapping[EdgeType, Adjacency]
    ) -> Embeddings:
        counted = {"product": graph.popularity, "user": graph.activity}
        if rows is not None:
            counted = {kind: counts[rows[kind]] for kind, counts in counted.items()}
        affinities = self._affinities(graph.affinity, rows, towards, counted["user"]) if graph.affinity else {}
        found = {kind: _padded(normalize(rows, dim=1, eps=1e-9)) for kind, rows in x.items()}
        found |= {"product": self._product(x["product"], counted["product"], affinities.get("product"))}
        found |= {"user": self._user(x["user"], counted["user"])}
        if affinities:
            found = {kind: torch.cat([found[kind], _or_zeros(affinities, kind, found[kind])], dim=1) for kind in found}
        return {kind: normalize(rows, dim=1, eps=1e-9) for kind, rows in found.items()}

    def _product(self, x: torch.Tensor, counts: torch.Tensor, affinity: torch.Tensor | None) -> torch.Tensor:
        """(products, width + POLES), of length 1 alone, of sqrt(1 + s^2) together with the affinity."""
        standing = self.standing(counts) + self.standing_linear(counts)
        gain, popular, rest = normalize(
            torch.stack([torch.exp(standing[:, 0]), standing[:, 1], torch.ones_like(standing[:, 0])], dim=1), dim=1
        ).split(1, dim=1)
        if affinity is not None:
            left = torch.exp(2 * self.log_affinity) - affinity.square().sum(dim=1, keepdim=True)
            rest = torch.sqrt(rest.square() + left.clamp(min=0))
        return torch.cat([normalize(x, dim=1, eps=1e-9) * gain, popular, rest], dim=1)

    def _user(self, x: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        crowd = torch.sigmoid(self.crowd(counts))
        taste = normalize(x, dim=1, eps=1e-9) * torch.sqrt((1 - crowd * crowd).clamp(min=1e-6))
        return torch.cat([taste, crowd, torch.zeros_like(crowd)], dim=1)

    def _affinities(
        self, known: Affinity, rows: Rows | None, towards: Mapping[EdgeType, Adjacency], activity: torch.Tensor
    ) -> Embeddings:
        """[kind]: (nodes, affinity), for the kinds that have any; users weigh theirs, all others have one weight."""
        users = known.user if rows is None else known.user[rows["user"]]
        stated = [towards[edge].mean(known.nodes[edge[0]]) for edge in towards if _describes(edge, known)]
        every = {"product": sum(stated[1:], stated[0])} | (known.nodes if rows is None else {})
        found = {kind: torch.exp(self.log_affinity) * _within_unit_ball(places) for kind, places in every.items()}
        # counts of a later user may lie far outside of those that were learned from
        return found | {"user": users * torch.exp(torch.tanh(self.leaning(activity)))}


def _describes(edge: EdgeType, known: Affinity) -> bool:
    return edge[0] in known.nodes and edge[2] == "product"


def _or_zeros(affinities: Embeddings, kind: str, rows: torch.Tensor) -> torch.Tensor:
    return affinities[kind] if kind in affinities else rows.new_zeros((len(rows), affinities["user"].shape[1]))


def _within_unit_ball(rows: torch.Tensor) -> torch.Tensor:
    return rows / rows.norm(dim=1, keepdim=True).clamp(min=1.0)


def _perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), zeroed(nn.Linear(hidden, outputs)))


def zeroed(layer: nn.Linear) -> nn.Linear:
    """A layer that says nothing until it has learned."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _padded(rows: torch.Tensor) -> torch.Tensor:
    return torch.cat([rows, rows.new_zeros((len(rows), POLES))], dim=1)
