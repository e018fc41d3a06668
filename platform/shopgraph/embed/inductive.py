"""Vectors of products and users that came after the snapshot, without training: the forward pass over the graph with
them in it.

All else is as it was: positions, features, what counts are standardised by, and the mean positions of brands, authors,
categories and attributes are the artefact's. The new nodes' edges are real ones, so that their ends' degrees count them
and, in encoders of more rounds, what they say is heard by their neighbours.

Source: Hamilton, Ying and Leskovec, Inductive representation learning on large graphs (2017).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
import torch

from shopgraph.dataset.hetero import EdgeType, edge_type, reverse_type
from shopgraph.dataset.purchases import Purchases
from shopgraph.embed.adjacency import Adjacency
from shopgraph.embed.artefact import EncodingArtefact
from shopgraph.embed.message_graph import (
    CATALOGUE_EDGES,
    PURCHASED,
    MessageGraph,
    both_ways,
    described_by,
    event_weights,
)
from shopgraph.embed.structure import NEVER_SOLD, POPULARITY_FEATURES, activity, folded
from shopgraph.errors import InputError
from shopgraph.newcomers import Newcomers, NewProduct, NewUser, NewVectors, nearest_to_newcomers
from shopgraph.registry import Vectors
from shopgraph.schema import BEHAVIOUR, CATALOGUE

Links = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Of one edge type: (edges,) numbers of new nodes from 0, (edges,) rows of what they lead to, (edges,) weights."""

PRICE = 0
"""Column of the products' features that tells prices paid."""
CATALOGUE_NAMES = {edge_type(name): name for name in CATALOGUE if edge_type(name) in CATALOGUE_EDGES}


def encode_products(
    artefact: EncodingArtefact, products: Sequence[NewProduct], text: np.ndarray | None = None
) -> np.ndarray:
    """Vectors of products that nobody bought yet.

    A brand, author, category or attribute that the artefact does not know says nothing. A product it knows is taken out
    of the graph first, purchases and all.

    Args:
        text: vectors of the language model that the encoder was trained with; only where it was trained with one.

    Shapes:
        text: (products, text columns)
        returns: (products, dimension), float32, unit length

    Raises:
        InputError: text for an encoder that was trained without, none for one trained with it, or of another width.
    """
    _require_text(artefact, products, text)
    links = {
        edge: _stated(artefact, edge, [product.stated.get(name, ()) for product in products])
        for edge, name in CATALOGUE_NAMES.items()
        if edge in artefact.graph.relations
    }
    sized = np.array([[0.0, float(product.package_size)] for product in products], np.float32).reshape(-1, 2)
    features = sized if text is None else np.hstack([sized, text.astype(np.float32)])
    return _never_sold(artefact, [product.id for product in products], links, features)


def encode_unbought(artefact: EncodingArtefact, at_once: int = 4096) -> Vectors:
    """Vectors of the artefact's own products as if nobody had bought them: what the catalogue alone says of each.

    Args:
        at_once: products taken out of the graph together, purchases and all.
    """
    ids = artefact.vocabulary["product"].ids
    stated = {
        edge: sp.csr_array(
            (backward.weight.numpy(), (backward.target.numpy(), backward.source.numpy())),
            shape=(len(ids), artefact.graph.sizes[edge[2]]),
        )
        for edge, name in CATALOGUE_NAMES.items()
        if (backward := artefact.graph.relations.get(reverse_type(name))) is not None
    }
    features = artefact.graph.features["product"].numpy().copy()
    features[:, PRICE] = 0.0
    count = max(1, -(-len(ids) // at_once))
    order, parts = [np.arange(first, len(ids), count) for first in range(count)], []
    for rows in order:  # not one after another: neighbours in a catalogue are not taken out together
        links = {}
        for edge, matrix in stated.items():
            block = matrix[rows].tocoo()
            links[edge] = block.row.astype(np.int64), block.col.astype(np.int64), block.data
        parts.append(_never_sold(artefact, [ids[row] for row in rows.tolist()], links, features[rows]))
    return Vectors(ids, np.concatenate(parts)[np.argsort(np.concatenate(order))])


def _never_sold(
    artefact: EncodingArtefact, ids: Sequence[str], links: Mapping[EdgeType, Links], features: np.ndarray
) -> np.ndarray:
    standing = torch.zeros((len(ids), POPULARITY_FEATURES))
    standing[:, -1] = NEVER_SOLD
    position = torch.zeros((len(ids), artefact.graph.position["product"].shape[1]))
    graph = _with_nodes(artefact, "product", ids, links, position, features)
    graph = replace(graph, popularity=torch.cat([graph.popularity, standing]))
    return _encoded(artefact, graph, "product", len(ids))


def encode_users(artefact: EncodingArtefact, users: Sequence[NewUser]) -> np.ndarray:
    """Vectors of users by all that they did; one whom the artefact knows is taken out of the graph first.

    Their positions are folded into the singular vectors of the snapshot's purchases, which stay. Events that lead to
    what the artefact does not know count for nothing.

    Shapes:
        returns: (users, dimension), float32, unit length
    """
    events = {
        edge_type(name): _events(artefact, edge_type(name), [user.events.get(name, ()) for user in users])
        for name in BEHAVIOUR
        if edge_type(name) in artefact.graph.relations
    }
    links: dict[EdgeType, Links] = {}
    for edge, lines in events.items():
        keys, weight = event_weights(lines, artefact.graph.moment_ms, artefact.half_life_weeks)
        links[edge] = keys // lines.product_count, keys % lines.product_count, weight.astype(np.float32)
    bought = events[PURCHASED]
    new, products, weight = links[PURCHASED]
    weights = sp.csr_array((weight, (new, products)), shape=bought.shape)
    position = folded(weights, artefact.graph.fold_in)
    segments = [[float(user.segments.get(name) == value) for name, value in artefact.segments] for user in users]
    features = np.array(segments, np.float32).reshape(len(users), len(artefact.segments))
    graph = _with_nodes(artefact, "user", [user.id for user in users], links, position, features)
    counted = activity(bought, artefact.graph.moment_ms, artefact.activity)
    if (known := graph.affinity) is not None:
        places = known.folded(weights, described_by(artefact.graph.relations))
        graph = replace(graph, affinity=known.joined_by(places))
    return _encoded(artefact, replace(graph, activity=torch.cat([graph.activity, counted])), "user", len(users))


def encode_newcomers(
    artefact: EncodingArtefact, stored: Vectors, found: Newcomers, text: np.ndarray | None = None
) -> NewVectors:
    """Vectors of what came after a release, and the products' exact nearest ones.

    A user of whose purchases the artefact knows none has no taste to encode yet and is left out.

    Args:
        stored: of the version's products.
        text: (new products, text columns), as `encode_products` takes it.

    Raises:
        InputError: see `encode_products`.
    """
    products = encode_products(artefact, found.products, text)
    ids = [product.id for product in found.products]
    known = artefact.vocabulary["product"]
    users = [user for user in found.users if any(end in known for end, _ in user.events.get("PURCHASED", ()))]
    return NewVectors(
        Vectors(ids, products),
        nearest_to_newcomers(ids, products, stored),
        Vectors([u.id for u in users], encode_users(artefact, users)),
    )


def _require_text(artefact: EncodingArtefact, products: Sequence[NewProduct], text: np.ndarray | None) -> None:
    if (text is None) != (artefact.text_width == 0):
        was = "with" if artefact.text_width else "without"
        raise InputError(f"the encoder was trained {was} text vectors: new products need the same")
    if text is not None and text.shape != (len(products), artefact.text_width):
        raise InputError(f"text vectors have shape {text.shape}, expected ({len(products)}, {artefact.text_width})")


def _stated(artefact: EncodingArtefact, edge: EdgeType, ends: Sequence[Sequence[str]]) -> Links:
    numbers = np.repeat(np.arange(len(ends)), [len(of_one) for of_one in ends])
    rows = artefact.vocabulary[edge[2]].known([end for of_one in ends for end in of_one])
    known = rows >= 0
    return numbers[known], rows[known], np.ones(int(known.sum()), np.float32)


def _events(artefact: EncodingArtefact, edge: EdgeType, events: Sequence[Sequence[tuple[str, int]]]) -> Purchases:
    numbers = np.repeat(np.arange(len(events)), [len(of_one) for of_one in events])
    rows = artefact.vocabulary[edge[2]].known([end for of_one in events for end, _ in of_one])
    times = np.array([at for of_one in events for _, at in of_one], np.int64)
    known = rows >= 0
    return Purchases(numbers[known], rows[known], times[known], len(events), len(artefact.vocabulary[edge[2]]))


def _with_nodes(
    artefact: EncodingArtefact,
    kind: str,
    ids: Sequence[str],
    links: Mapping[EdgeType, Links],
    position: torch.Tensor,
    features: np.ndarray,
) -> MessageGraph:
    """The graph with rows more of a kind, in the order of `ids`, after those there are; links lead from them."""
    graph = artefact.graph
    rows = artefact.vocabulary[kind].known(ids)
    sizes = {**graph.sizes, kind: graph.sizes[kind] + len(ids)}
    relations: dict[EdgeType, Adjacency] = {}
    for name in (*BEHAVIOUR, *CATALOGUE):
        edge, backward = edge_type(name), graph.relations.get(reverse_type(name))
        if backward is None:
            continue
        if kind not in (edge[0], edge[2]):
            relations |= {edge: graph.relations[edge], reverse_type(name): backward}
            continue
        source, target, weight = (x.numpy() for x in (backward.target, backward.source, backward.weight))
        kept = ~np.isin(source if edge[0] == kind else target, rows[rows >= 0])
        new, towards, how_much = links.get(edge, (rows[:0], rows[:0], weight[:0]))
        ends = np.append(source[kept], graph.sizes[kind] + new), np.append(target[kept], towards)
        matrix = sp.csr_array((np.append(weight[kept], how_much), ends), shape=(sizes[edge[0]], sizes[edge[2]]))
        relations |= both_ways(edge, matrix)
    stated = dict(graph.features)
    if kind in stated:
        stated[kind] = torch.cat([stated[kind], torch.from_numpy(features)])
    placed = {**graph.position, kind: torch.cat([graph.position[kind], position])}
    return replace(graph, relations=relations, sizes=sizes, features=stated, position=placed)


@torch.no_grad()
def _encoded(artefact: EncodingArtefact, graph: MessageGraph, kind: str, count: int) -> np.ndarray:
    """The last rows of a kind; the last round of messages passes to those alone."""
    rows = {other: torch.arange(0) for other in ("product", "user")}
    rows[kind] = torch.arange(graph.sizes[kind] - count, graph.sizes[kind])
    return artefact.encoder(graph, rows)[kind].numpy()
