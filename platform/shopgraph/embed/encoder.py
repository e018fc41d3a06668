"""What all feature-based encoders share: where a node's first vector comes from, and how its last one is read.

An encoder is stem, convolutions, head. The stem starts every node at its position in the purchase graph, each
convolution adds what the neighbours say, and the head turns the result into unit-length vectors that a cosine index
can rank by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import nn
from torch.nn.functional import normalize

from shopgraph.dataset.hetero import EdgeType
from shopgraph.embed.adjacency import Adjacency
from shopgraph.embed.message_graph import GraphShape, MessageGraph
from shopgraph.embed.structure import ACTIVITY_FEATURES, EVER, POPULARITY_FEATURES

POLES = 2
"""Last coordinates of a vector: how popular a product is, and what keeps its length 1."""

STEP_SHARE = 0.1
"""What every weight of a message is multiplied by: Adam's steps know no scale, so it moves a tenth as fast as the head.
At the head's pace thousands of them fit the training weeks before the head has learned what a count means."""

Embeddings = dict[str, torch.Tensor]
Passing = Callable[[Adjacency, torch.Tensor], torch.Tensor]
"""A way of passing messages, such as `Adjacency.mean`."""


Rows = Mapping[str, torch.Tensor]
"""By kind, the distinct rows that are asked for."""


class Convolution(Protocol):
    """One round of messages.

    Shapes:
        x[kind]: (nodes, width), what messages are made of
        own[kind]: (targets, width), the vectors of those who receive them
        relations[edge type]: (targets, nodes)
        returns[kind]: (targets, width)
    """

    def __call__(self, x: Embeddings, own: Embeddings, relations: Mapping[EdgeType, Adjacency]) -> Embeddings: ...


class Encoder(nn.Module):
    """A graph network over all labels.

    Args:
        dimension: width of the output; its last `POLES` coordinates are no direction of taste.

    Shapes:
        input: a `MessageGraph` of positions `dimension - POLES` wide, and the rows whose vectors are wanted (all of
            every kind by default): the last round of messages passes to those alone
        output[kind]: (nodes or rows, dimension), float32, unit length (0 for what no message reaches)
    """

    def __init__(
        self, shape: GraphShape, dimension: int, convolutions: Sequence[nn.Module], dropout: float = 0.0
    ) -> None:
        super().__init__()
        width = dimension - POLES
        self.stem = Stem(shape, width)
        self.convolutions = nn.ModuleList(convolutions)
        self.dropout = nn.Dropout(dropout)
        self.head = Head()

    def forward(self, graph: MessageGraph, rows: Rows | None = None) -> Embeddings:
        x = self.stem(graph)
        for number, convolution in enumerate(self.convolutions, start=1):
            own, relations = x, graph.relations
            if rows is not None and number == len(self.convolutions):
                own, relations = {kind: x[kind][chosen] for kind, chosen in rows.items()}, graph.towards(rows)
            x = {kind: self.dropout(found) for kind, found in convolution(x, own, relations).items()}
        return self.head(x, graph, rows)

    @property
    def scale(self) -> torch.Tensor:
        """What cosines are multiplied by before a loss."""
        return self.head.scale


class Stem(nn.Module):
    """First vectors: position and features of users and products, learned vectors of what has neither.

    A node that describes products (brand, category, attribute) starts at the mean position of its products plus a
    learned vector, so that a product nobody bought yet can be reached from its siblings. What is learned starts at 0:
    the untrained encoder is the graph's own structure.
    """

    def __init__(self, shape: GraphShape, width: int) -> None:
        super().__init__()
        self.from_features = nn.ModuleDict(
            {kind: _zeroed(nn.Linear(columns, width, bias=False)) for kind, columns in shape.widths.items() if columns}
        )
        self.learned = nn.ParameterDict(
            {
                kind: nn.Parameter(torch.zeros(size, width))
                for kind, size in shape.sizes.items()
                if kind not in ("user", "product") and size
            }
        )

    def forward(self, graph: MessageGraph) -> Embeddings:
        x = dict(graph.position)
        for kind, layer in self.from_features.items():
            x[kind] = x[kind] + STEP_SHARE * layer(graph.features[kind])
        for kind, every in self.learned.items():
            rows = every if graph.nodes is None else every[graph.nodes[kind]]
            x[kind] = STEP_SHARE * rows + graph.pooled[kind] if kind in graph.pooled else STEP_SHARE * rows
        return x


class Head(nn.Module):
    """Reads taste and popularity out of a vector, at unit length.

    A product's score for a user is scale * (sqrt(1 - c^2) g cos(taste, taste') + c b): c in (0, 1) is how much the user
    goes with the crowd, (g, b) lie on a half-sphere with a third coordinate that no user has, and say how much the
    product's taste and its popularity count. Both are small networks over counts, since what a count means is the same
    for every product.

    Shapes:
        input: x[kind]: (nodes, width)
        output[kind]: (nodes, width + POLES), unit length
    """

    HIDDEN = 16

    def __init__(self) -> None:
        super().__init__()
        self.standing = _perceptron(POPULARITY_FEATURES, self.HIDDEN, 2)
        self.standing_linear = _zeroed(nn.Linear(POPULARITY_FEATURES, 2))
        self.crowd = _perceptron(ACTIVITY_FEATURES, self.HIDDEN, 1)
        self.log_scale = nn.Parameter(torch.tensor(3.5))
        with torch.no_grad():
            self.standing_linear.weight[0, EVER] = 1.5
            self.standing_linear.bias.copy_(torch.tensor([-2.0, 0.0]))

    @property
    def scale(self) -> torch.Tensor:
        return torch.exp(self.log_scale)

    def forward(self, x: Embeddings, graph: MessageGraph, rows: Rows | None) -> Embeddings:
        counted = {"product": graph.popularity, "user": graph.activity}
        if rows is not None:
            counted = {kind: counts[rows[kind]] for kind, counts in counted.items()}
        found = {kind: _padded(normalize(rows, dim=1, eps=1e-9)) for kind, rows in x.items()}
        standing = self.standing(counted["product"]) + self.standing_linear(counted["product"])
        gain, popular, rest = normalize(
            torch.stack([torch.exp(standing[:, 0]), standing[:, 1], torch.ones_like(standing[:, 0])], dim=1), dim=1
        ).split(1, dim=1)
        crowd = torch.sigmoid(self.crowd(counted["user"]))
        user, product = (normalize(x[kind], dim=1, eps=1e-9) for kind in ("user", "product"))
        found["user"] = torch.cat(
            [user * torch.sqrt((1 - crowd * crowd).clamp(min=1e-6)), crowd, torch.zeros_like(crowd)], dim=1
        )
        found["product"] = torch.cat([product * gain, popular, rest], dim=1)
        return {kind: normalize(rows, dim=1, eps=1e-9) for kind, rows in found.items()}


def _perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), _zeroed(nn.Linear(hidden, outputs)))


def _zeroed(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _padded(rows: torch.Tensor) -> torch.Tensor:
    return torch.cat([rows, rows.new_zeros((len(rows), POLES))], dim=1)


class RelationWeights(nn.Module):
    """A weight matrix a relation type (Schlichtkrull et al., 2018).

    Shapes:
        [edge type]: (width, columns), by default square
    """

    def __init__(self, shape: GraphShape, width: int, columns: int | None = None, deviation: float = 0.0) -> None:
        super().__init__()
        size = (width, columns or width)
        self.matrices = nn.ParameterDict(
            {_name(edge): nn.Parameter(torch.randn(size) * deviation) for edge in shape.relations}
        )

    def __getitem__(self, edge: EdgeType) -> torch.Tensor:
        return STEP_SHARE * self.matrices[_name(edge)]

    def carried(self, passing: Passing, edge: EdgeType, relation: Adjacency, x: torch.Tensor) -> torch.Tensor:
        """Messages of a linear way of passing, weighed where there are fewer rows: (A x) W = A (x W)."""
        if relation.shape[1] < relation.shape[0]:
            return passing(relation, x @ self[edge])
        return passing(relation, x) @ self[edge]


def added(x: Embeddings, messages: Mapping[EdgeType, torch.Tensor]) -> Embeddings:
    """Each kind's vectors plus what its relations brought."""
    found = dict(x)
    for (_, _, target), brought in messages.items():
        found[target] = found[target] + brought
    return found


def _name(edge: EdgeType) -> str:
    return "__".join(edge)
