"""What an encoder may see at a moment: behaviour before it, the catalogue, and features made of those alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
import torch
from torch_geometric.data import HeteroData

from shopgraph.dataset.hetero import NODE_KINDS, EdgeType, edge_type, finite, product_features, to_hetero
from shopgraph.dataset.purchases import Purchases, to_ms
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.embed.adjacency import Adjacency
from shopgraph.embed.affinity import KIND_WEIGHTS, Affinity, affinity
from shopgraph.embed.structure import activity, popularity, positions
from shopgraph.schema import BEHAVIOUR, CATALOGUE

CATALOGUE_EDGES = tuple(edge_type(name) for name in CATALOGUE if edge_type(name)[0] == "product")
PURCHASED = edge_type("PURCHASED")


@dataclass(frozen=True)
class GraphShape:
    """What the parameters of an encoder depend on.

    Shapes:
        sizes: nodes of each kind
        widths: columns of each kind's own features, 0 where it has none
        relations: edge types, in a fixed order, reverse ones included
        affinity: columns of the users' affinities, 0 where there are none
    """

    sizes: dict[str, int]
    widths: dict[str, int]
    relations: tuple[EdgeType, ...]
    affinity: int = 0


@dataclass(frozen=True)
class MessageGraph:
    """Everything an encoder's forward pass takes; made of nothing that happened at or after its moment.

    Shapes:
        relations[(source, name, target)]: edges carrying messages from source to target; of behaviour, one edge a pair,
            weighted by the root of its events, each counting half as much every half-life
        features[kind]: (nodes, columns), float32, standardised, 0 where nothing is stated
        position["user"], position["product"]: (nodes, width)
        fold_in: (products of the whole, width), what finds the position of a user who came later: `structure.folded`
        pooled[kind]: (nodes, width), mean position of the products that a brand, author, category, attribute describes
        popularity: (products, POPULARITY_FEATURES); activity: (users, ACTIVITY_FEATURES)
        known: ascending keys of the pairs bought before the moment
        affinity: what users are drawn to among what the catalogue states; None where nobody asked
        nodes[kind]: (nodes,), rows of the whole graph that these are; None where this is the whole
    """

    relations: dict[EdgeType, Adjacency]
    features: dict[str, torch.Tensor]
    position: dict[str, torch.Tensor]
    fold_in: torch.Tensor
    pooled: dict[str, torch.Tensor]
    popularity: torch.Tensor
    activity: torch.Tensor
    sizes: dict[str, int]
    known: np.ndarray
    moment_ms: int
    nodes: dict[str, torch.Tensor] | None = None
    affinity: Affinity | None = None

    @property
    def shape(self) -> GraphShape:
        widths = {kind: self.features[kind].shape[1] if kind in self.features else 0 for kind in self.sizes}
        return GraphShape(self.sizes, widths, tuple(self.relations), self.affinity.width if self.affinity else 0)

    def towards(self, rows: Mapping[str, torch.Tensor]) -> dict[EdgeType, Adjacency]:
        """The relations into some rows of some kinds."""
        return {edge: relation.towards(rows[edge[2]]) for edge, relation in self.relations.items() if edge[2] in rows}

    def to(self, device: str) -> MessageGraph:
        return replace(
            self,
            relations={edge: adjacency.to(device) for edge, adjacency in self.relations.items()},
            features={kind: x.to(device) for kind, x in self.features.items()},
            position={kind: x.to(device) for kind, x in self.position.items()},
            fold_in=self.fold_in.to(device),
            pooled={kind: x.to(device) for kind, x in self.pooled.items()},
            popularity=self.popularity.to(device),
            activity=self.activity.to(device),
            affinity=self.affinity.to(device) if self.affinity else None,
        )


class MessageGraphs:
    """Builds the graph of a snapshot as it was before any moment.

    Args:
        width: columns of the positions.
        half_life_weeks: age at which an event weighs half.
        text: (products, columns), vectors of a frozen language model, joined to the products' features.
        timed: whether an edge of behaviour is to carry the time of its pair's newest event, as sampling takes it.
        affinity_width: columns of the users' affinities, 0 for none; the positions' where the catalogue states nothing.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        width: int,
        half_life_weeks: float,
        seed: int,
        text: np.ndarray | None = None,
        timed: bool = False,
        affinity_width: int = 0,
    ) -> None:
        data = to_hetero(snapshot)
        self.purchases, self.end_ms = Purchases.of(snapshot), to_ms(snapshot.before)
        self.half_life_weeks, self._seed, self._timed = half_life_weeks, seed, timed
        self._sizes = {kind: data[kind].num_nodes for kind in NODE_KINDS.values()}
        self._products, self._lines = snapshot.nodes["Product"], snapshot.relations["PURCHASED"]
        self._text = None if text is None else torch.from_numpy(text)
        self._segments = data["user"].x
        self._catalogue = _catalogue_relations(data)
        self._described = described_by(self._catalogue)
        self._affinity_width = affinity_width if self._described else 0
        self._width = width + affinity_width - self._affinity_width
        self._behaviour = {
            edge_type(name): _events(data, edge_type(name)) for name in BEHAVIOUR if snapshot.relations[name].num_rows
        }

    def before(self, moment_ms: int, aligned_to: MessageGraph | None = None) -> MessageGraph:
        """The graph at a moment; `aligned_to` is an earlier one whose axes its positions are turned to."""
        return self._built(self.purchases.times < moment_ms, moment_ms, None, aligned_to)

    def without(self, keys: np.ndarray) -> MessageGraph:
        """The whole graph less some purchased pairs (ascending keys), with nothing that is made of those pairs."""
        bought = self.purchases.users * self.purchases.product_count + self.purchases.products
        return self._built(~np.isin(bought, keys), self.end_ms, keys, None)

    def _built(
        self, lines: np.ndarray, moment_ms: int, excluded: np.ndarray | None, aligned_to: MessageGraph | None
    ) -> MessageGraph:
        past = self.purchases.chosen(lines)
        known, weight = self._weights(past, moment_ms)
        axes = None if aligned_to is None else aligned_to.position["user"]
        placed = positions(known, weight, past.shape, self._width, self._seed, axes)
        described = {
            edge[2]: relation.mean(placed.product)
            for edge, relation in self._catalogue.items()
            if edge in CATALOGUE_EDGES
        }
        return MessageGraph(
            relations=self._relations(moment_ms, excluded),
            pooled=described,
            features=self._features(lines),
            position={"user": placed.user, "product": placed.product},
            fold_in=placed.fold_in,
            popularity=popularity(past, moment_ms),
            activity=activity(past, moment_ms),
            sizes=self._sizes,
            known=known,
            moment_ms=moment_ms,
            affinity=self._affinity(past.matrix(known, weight), aligned_to),
        )

    def _affinity(self, weights: sp.csr_array, aligned_to: MessageGraph | None) -> Affinity | None:
        if not self._affinity_width:
            return None
        axes = None if aligned_to is None else aligned_to.affinity
        return affinity(weights, self._described, self._affinity_width, self._seed, axes)

    def _features(self, lines: np.ndarray) -> dict[str, torch.Tensor]:
        """Prices are those of the lines given: one from a later purchase would tell that the product will be sold."""
        product = finite("product", product_features(self._products, self._lines.filter(pa.array(lines))))
        joined = product if self._text is None else torch.cat([product, self._text], dim=1)
        return {"product": joined} | ({"user": self._segments} if self._segments.shape[1] else {})

    def _relations(self, moment_ms: int, excluded: np.ndarray | None) -> dict[EdgeType, Adjacency]:
        found: dict[EdgeType, Adjacency] = {}
        for edge, events in self._behaviour.items():
            past = events.before(moment_ms)
            keys, weight = self._weights(past, moment_ms)
            time = past.latest() if self._timed else None
            if edge == PURCHASED and excluded is not None:
                kept = ~np.isin(keys, excluded)
                keys, weight, time = keys[kept], weight[kept], None if time is None else time[kept]
            found |= both_ways(edge, events.matrix(keys, weight), time)
        return found | self._catalogue

    def _weights(self, events: Purchases, moment_ms: int) -> tuple[np.ndarray, np.ndarray]:
        return event_weights(events, moment_ms, self.half_life_weeks)


def event_weights(events: Purchases, moment_ms: int, half_life_weeks: float) -> tuple[np.ndarray, np.ndarray]:
    """Distinct pairs as ascending keys, and what each weighs in a message graph at a moment."""
    keys, count = events.decayed(moment_ms, half_life_weeks)
    return keys, np.sqrt(count)  # a habit counts more than a try, but not tenfold


def both_ways(edge: EdgeType, matrix: sp.csr_array, time: np.ndarray | None = None) -> dict[EdgeType, Adjacency]:
    """An edge type and its reverse, of a (sources, targets) matrix of weights, and one time an entry of it."""
    source, name, target = edge
    backward = Adjacency.of(matrix, time)
    return {edge: backward.reversed(), (target, f"rev_{name}", source): backward}


def described_by(relations: Mapping[EdgeType, Adjacency]) -> dict[str, sp.csr_array]:
    """By kind of what affinities are for, (products, nodes), rows averaged."""
    return {
        source: averaged(relation)
        for (source, _, target), relation in relations.items()
        if target == "product" and source in KIND_WEIGHTS
    }


def averaged(relation: Adjacency) -> sp.csr_array:
    """(targets, sources): the coefficients of `Adjacency.mean`."""
    ends = relation.target.numpy(), relation.source.numpy()
    return sp.csr_array((relation.coefficients()["mean"].numpy(), ends), shape=relation.shape)


def catalogue_matrix(data: HeteroData) -> sp.csr_array:
    """(products, brands + authors + categories with their ancestors + attributes), rows averaged."""
    whole = sp.csr_array(sp.hstack([_stated(data, edge) for edge in CATALOGUE_EDGES]))
    return sp.csr_array(sp.diags_array(1.0 / np.maximum(whole.sum(axis=1), 1.0)) @ whole).astype(np.float32)


def _catalogue_relations(data: HeteroData) -> dict[EdgeType, Adjacency]:
    found: dict[EdgeType, Adjacency] = {}
    for edge in CATALOGUE_EDGES:
        if data[edge].edge_index.shape[1]:
            found |= both_ways(edge, _stated(data, edge))
    return found


def _stated(data: HeteroData, edge: EdgeType) -> sp.csr_array:
    """(products, nodes of the kind), 1 where stated; a product is in its category's ancestors too."""
    index = data[edge].edge_index.numpy()
    shape = (data["product"].num_nodes, data[edge[2]].num_nodes)
    block = sp.csr_array((np.ones(index.shape[1], dtype=np.float32), (index[0], index[1])), shape=shape)
    return _with_ancestors(block, data) if edge[2] == "category" else block


def _with_ancestors(block: sp.csr_array, data: HeteroData) -> sp.csr_array:
    child, parent = data["category", "child_of", "category"].edge_index.numpy()
    size = data["category"].num_nodes
    up = sp.csr_array((np.ones(len(child), dtype=np.float32), (child, parent)), shape=(size, size))
    total, step = block, block
    while (step := sp.csr_array(step @ up)).nnz and total.nnz < block.nnz * 16:
        total = sp.csr_array(total + step)
    return total


def _events(data: HeteroData, edge: EdgeType) -> Purchases:
    source, target = data[edge].edge_index.numpy()
    return Purchases(source, target, data[edge].edge_time.numpy(), data[edge[0]].num_nodes, data[edge[2]].num_nodes)
