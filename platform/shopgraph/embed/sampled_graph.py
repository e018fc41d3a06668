"""The part of a message graph that a batch needs: a sample of the neighbourhoods of its users and products."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch_geometric.data import HeteroData
from torch_geometric.loader import LinkLoader

from shopgraph.dataset.hetero import EdgeType
from shopgraph.embed.adjacency import Adjacency
from shopgraph.embed.affinity import Affinity
from shopgraph.embed.head import Rows
from shopgraph.embed.message_graph import PURCHASED, MessageGraph
from shopgraph.embed.sampling import TIME, SamplingConfig, neighbour_sampler


class Neighbourhoods:
    """Draws sub-graphs of a message graph, which stays where it is; what a step holds follows from its batch.

    A draw is an estimate of the whole graph's messages. Where k of a node's n edges along a relation were drawn, each
    weighs n / k times as much: sums are unbiased (Horvitz and Thompson, 1952), relations keep their shares of a joint
    attention, and a mean, which divides by what was drawn, is the ratio estimator. Symmetric coefficients keep the
    whole graph's degrees. With all neighbours drawn the vectors are the whole graph's.

    Args:
        graph: with times of its edges where the newest are to be drawn (`MessageGraphs(timed=True)`).
        device: where sub-graphs are to lie.
    """

    def __init__(self, graph: MessageGraph, config: SamplingConfig, device: str) -> None:
        self._graph, self._device = graph, device
        self._data = laid_out(graph)
        self._sampler = neighbour_sampler(self._data, config)
        self._degrees = {
            edge: torch.bincount(relation.target, minlength=relation.shape[0])
            for edge, relation in graph.relations.items()
        }

    def around(self, rows: Rows, seed: int) -> tuple[MessageGraph, Rows]:
        """The sub-graph around some users and products, and where in it they are; one seed, one draw.

        Shapes:
            rows["user"], rows["product"]: distinct rows of the whole graph, on the CPU
        """
        users, products = rows["user"], rows["product"]
        links = torch.arange(max(len(users), len(products)))
        # PyG's loaders take seeds of two kinds as links: the shorter side is gone through again
        ends = torch.stack([users[links % len(users)], products[links % len(products)]])
        loader = LinkLoader(
            self._data, self._sampler, (PURCHASED, ends), edge_label_time=torch.full_like(links, self._graph.moment_ms)
        )
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            batch = loader(links)
        places = batch[PURCHASED].edge_label_index.to(self._device)
        found = {"user": places[0, : len(users)], "product": places[1, : len(products)]}
        return self._message_graph(batch), found

    def _message_graph(self, batch: HeteroData) -> MessageGraph:
        whole = self._graph
        relations = {edge: self._relation(batch, edge) for edge in whole.relations}
        batch = batch.to(self._device)
        nodes = {kind: batch[kind].n_id for kind in batch.node_types}
        return MessageGraph(
            relations=relations,
            features={kind: batch[kind].features for kind in whole.features},
            position={kind: batch[kind].position for kind in whole.position},
            fold_in=whole.fold_in,
            pooled={kind: batch[kind].pooled for kind in whole.pooled},
            popularity=batch["product"].popularity,
            activity=batch["user"].activity,
            sizes={kind: len(nodes.get(kind, ())) for kind in whole.sizes},
            known=whole.known,
            moment_ms=whole.moment_ms,
            nodes=nodes,
            affinity=None if whole.affinity is None else self._affinity(batch, whole.affinity),
        )

    @staticmethod
    def _affinity(batch: HeteroData, whole: Affinity) -> Affinity:
        return replace(whole, user=batch["user"].affinity, nodes={kind: batch[kind].affinity for kind in whole.nodes})

    def _relation(self, batch: HeteroData, edge: EdgeType) -> Adjacency:
        source, target = batch[edge].edge_index
        shape = (len(batch[edge[2]].n_id), len(batch[edge[0]].n_id))
        drawn = torch.bincount(target, minlength=shape[0])
        share = (self._degrees[edge][batch[edge[2]].n_id] / drawn.clamp(min=1))[target]
        weight, symmetric = batch[edge].weight * share, batch[edge].symmetric * share
        target, source, weight, symmetric = (each.to(self._device) for each in (target, source, weight, symmetric))
        return Adjacency.sampled(target, source, weight, symmetric, shape)


def laid_out(graph: MessageGraph) -> HeteroData:
    """A message graph as PyG's loaders take it.

    Shapes:
        [kind]: the graph's features, position, pooled, popularity and activity, where the kind has them
        [edge].edge_index: (2, edges); [edge].weight, [edge].symmetric: (edges,), its coefficients
        [edge].edge_time: (edges,), int64, where the graph has times
    """
    data = HeteroData()
    for kind, size in graph.sizes.items():
        if size:
            data[kind].num_nodes = size
    for name in ("features", "position", "pooled"):
        for kind, rows in getattr(graph, name).items():
            data[kind][name] = rows
    if graph.affinity is not None:
        for kind, rows in {**graph.affinity.nodes, "user": graph.affinity.user}.items():
            data[kind].affinity = rows
    data["product"].popularity, data["user"].activity = graph.popularity, graph.activity
    for edge, relation in graph.relations.items():
        data[edge].edge_index = torch.stack([relation.source, relation.target])
        data[edge].weight, data[edge].symmetric = relation.weight, relation.coefficients()["symmetric"]
        if relation.time is not None:
            data[edge][TIME] = relation.time
    return data
