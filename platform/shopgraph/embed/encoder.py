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

from shopgraph.dataset.hetero import EdgeType
from shopgraph.embed.adjacency import Adjacency
from shopgraph.embed.head import POLES, Embeddings, Head, Rows, zeroed
from shopgraph.embed.message_graph import GraphShape, MessageGraph

STEP_SHARE = 0.1
"""What every weight of a message is multiplied by: Adam's steps know no scale, so it moves a tenth as fast as the head.
At the head's pace thousands of them fit the training weeks before the head has learned what a count means."""

Passing = Callable[[Adjacency, torch.Tensor], torch.Tensor]
"""A way of passing messages, such as `Adjacency.mean`."""


def message_width(shape: GraphShape, dimension: int) -> int:
    """Columns of the vectors that messages pass: those of an encoder's output that are a direction of taste."""
    return dimension - POLES - shape.affinity


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
        dimension: width of the output; its last coordinates, `POLES` and those of the graph's affinities, are no
            direction of taste.

    Shapes:
        input: a `MessageGraph` of positions `message_width` wide, and the rows whose vectors are wanted (all of
            every kind by default): the last round of messages passes to those alone
        output[kind]: (nodes or rows, dimension), float32, unit length (0 for what no message reaches)
    """

    def __init__(
        self, shape: GraphShape, dimension: int, convolutions: Sequence[nn.Module], dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.stem = Stem(shape, message_width(shape, dimension))
        self.convolutions = nn.ModuleList(convolutions)
        self.dropout = nn.Dropout(dropout)
        self.head = Head(shape.affinity)

    def forward(self, graph: MessageGraph, rows: Rows | None = None) -> Embeddings:
        x = self.stem(graph)
        towards = graph.relations if rows is None else graph.towards(rows)
        for number, convolution in enumerate(self.convolutions, start=1):
            own, relations = x, graph.relations
            if rows is not None and number == len(self.convolutions):
                own, relations = {kind: x[kind][chosen] for kind, chosen in rows.items()}, towards
            x = {kind: self.dropout(found) for kind, found in convolution(x, own, relations).items()}
        return self.head(x, graph, rows, towards)

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
            {kind: zeroed(nn.Linear(columns, width, bias=False)) for kind, columns in shape.widths.items() if columns}
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
