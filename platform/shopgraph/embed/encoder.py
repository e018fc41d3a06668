"""What all feature-based encoders share: where a node's first vector comes from, and how its last one is read.

An encoder is stem, convolutions, head. The stem starts every node at its position in the purchase graph, each
convolution adds what the neighbours say, and the head turns the result into unit-length vectors that a cosine index
can rank by.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from torch import nn
from torch.nn.functional import normalize

from shopgraph.dataset.hetero import EdgeType
from shopgraph.embed.adjacency import Adjacency
from shopgraph.embed.affinity import Affinity
from shopgraph.embed.message_graph import GraphShape, MessageGraph
from shopgraph.embed.structure import ACTIVITY_FEATURES, EVER, POPULARITY_FEATURES

POLES = 2
"""Last coordinates of a vector: how popular a product is, and what keeps its length 1."""

STEP_SHARE = 0.1
"""What every weight of a message is multiplied by: Adam's steps know no scale, so it moves a tenth as fast as the head.
At the head's pace thousands of them fit the training weeks before the head has learned what a count means."""

AFFINITY_START = 0.75
"""What affinities count for at first, beside taste; near what is best for an encoder that was trained without them."""

Embeddings = dict[str, torch.Tensor]
Passing = Callable[[Adjacency, torch.Tensor], torch.Tensor]
"""A way of passing messages, such as `Adjacency.mean`."""


Rows = Mapping[str, torch.Tensor]
"""By kind, the distinct rows that are asked for."""


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
        self.standing_linear = _zeroed(nn.Linear(POPULARITY_FEATURES, 2))
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
