"""Products and users that came after the release that serves: what is new in the graph, and their vectors' write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from shopgraph.dataset.corpus import READ, ProductWords
from shopgraph.errors import InputError
from shopgraph.graph.connection import Graph, Record, vector
from shopgraph.nearest import nearest
from shopgraph.publish import Served, serving
from shopgraph.registry import Registry, Vectors
from shopgraph.schema import CATALOGUE, FAMILIES, RELATIONS, SEGMENTS
from shopgraph.slot import LIST_LENGTH, check_vectors

FAMILY, TEXT = FAMILIES["graph"], FAMILIES["text"]
ARTEFACT_FILE = "inductive.pt"
"""In a version's folder: what nodes that came after its snapshot are encoded with."""
LEAST_PURCHASES = 3
"""Since the snapshot, from which on a user is encoded anew; before it, serving moves the vector by what was bought."""
MOST_AT_ONCE = 1000
"""Nodes of a label that one step encodes; the next step takes the rest."""
COUNTED = tuple(name for name in CATALOGUE if RELATIONS[name].source == "Product")


@dataclass(frozen=True)
class NewProduct:
    """A product as the catalogue states it. Its price is no input: encoders know prices paid, and nobody paid one."""

    id: str
    stated: Mapping[str, Sequence[str]]
    """By relation type the ids at its other ends; of IN_CATEGORY each category's ancestors too, an id as often as paths
    lead to it."""
    package_size: bool = False
    """Whether one is printed."""
    edges: int = 0
    """Catalogue relations that it has in the graph."""
    words: ProductWords = field(default_factory=ProductWords)
    """What its text is made of."""


@dataclass(frozen=True)
class NewUser:
    """A user's whole behaviour."""

    id: str
    events: Mapping[str, Sequence[tuple[str, int]]]
    """By relation type (id at the other end, milliseconds since 1970 UTC)."""
    segments: Mapping[str, str]
    edges: int = 0
    """Purchases that the user has in the graph."""

    @property
    def until(self) -> datetime:
        """The user's newest event."""
        newest = max(at for events in self.events.values() for _, at in events)
        return datetime.fromtimestamp(newest / 1000, UTC)


@dataclass(frozen=True)
class Newcomers:
    """What has no vector of the release that serves, or one made of fewer relations than there are now."""

    release: str
    served: Served
    counts: list[int]
    """Of the graph's nodes and relations, read before all else: while they stay, nothing is new."""
    products: list[NewProduct]
    users: list[NewUser]
    texts: Served | None = None
    """The release's text version, where it has one."""


def _no_vectors() -> Vectors:
    return Vectors([], np.empty((0, FAMILY.dimension), np.float32))


def _no_texts() -> Vectors:
    return Vectors([], np.empty((0, TEXT.dimension), np.float32))


@dataclass(frozen=True)
class NewVectors:
    """What newcomers were encoded to; one that could not be is left out."""

    products: Vectors = field(default_factory=_no_vectors)
    near: Sequence[str] = ()
    """By product its nearest ones, as `EmbeddingFamily.list_property` keeps them."""
    users: Vectors = field(default_factory=_no_vectors)
    texts: Vectors = field(default_factory=_no_texts)
    """Of products in the text family, in the order of `products`; none where the release has no text."""
    texts_near: Sequence[str] = ()
    """As `near`, by the text family."""


def require_artefact(folder: Path) -> None:
    """Raises InputError where a version has none: an older one, or of LightGCN, which learns a vector a node."""
    if not (folder / ARTEFACT_FILE).exists():
        raise InputError(
            f"version {folder.name} can't encode what came after its snapshot: it has no {ARTEFACT_FILE} "
            "(an older version, or an encoder that learns a vector a node); retrain with graphsage, gcn, gat or hgt"
        )


def find_newcomers(graph: Graph, registry: Registry) -> Newcomers | None:
    """What is to be encoded now; None where nothing serves, or no node or relation came since the last look.

    The look reads counts that the server keeps; only where they changed is the graph searched, and only for a version
    that can encode.

    Raises:
        InputError: the version that serves keeps nothing to encode with, or its files are gone.
    """
    release = serving(graph)
    served = release.families.get(FAMILY.name) if release else None
    if release is None or served is None:
        return None
    found = graph.single("graph_counts")
    counts = [found["nodes"]["Product"], *(found["relations"][name] for name in (*COUNTED, "CHILD_OF", "PURCHASED"))]
    looked_for = graph.single("newcomers_looked_for", release=release.id)["counts"]
    if looked_for == counts:
        return None
    require_artefact(registry.path(registry.get(served.version).id))
    products = _new_products(graph, served.slot) if looked_for[:-1] != counts[:-1] else []
    users = _new_users(graph, served) if looked_for[-1:] != counts[-1:] else []
    return Newcomers(release.id, served, counts, products, users, release.families.get(TEXT.name))


def brand_names(graph: Graph) -> list[str]:
    """Of all brands, which tell the codes among them: read only where new products' texts are."""
    return graph.wide("newcomers_brands")["names"]


def nearest_to_newcomers(ids: Sequence[str], matrix: np.ndarray, stored: Vectors) -> list[str]:
    """Each new product's nearest ones among a version's and each other, as `EmbeddingFamily.list_property` keeps them.

    Shapes:
        matrix: (ids, dimension), float32, unit length
    """
    every, count = [*stored.ids, *ids], len(ids)
    own = np.arange(len(stored.ids), len(every))
    itself = sp.csr_matrix((np.ones(count, np.int8), (np.arange(count), own)), shape=(count, len(every)))
    lists = nearest(matrix, np.vstack([stored.matrix, matrix]), LIST_LENGTH, excluded=itself)
    return ["\n".join(every[row] for row in rows.tolist() if row >= 0) for rows in lists]


def write_newcomers(graph: Graph, found: Newcomers, vectors: NewVectors) -> bool:
    """Write vectors under the release their nodes were found for, all or none; whether it still served.

    The release is checked under a lock in the transaction that writes: a publish either waits for it or came before it,
    and then nothing is written.

    Raises:
        PublishError: a vector that the index would leave out.
    """
    slot = found.served.slot
    check_vectors(FAMILY, "Product", vectors.products)
    check_vectors(FAMILY, "User", vectors.users)
    check_vectors(TEXT, "Product", vectors.texts)
    near, novel = FAMILY.list_property(slot), FAMILY.novel_list_property(slot)
    edges, until = FAMILY.edges_property(slot), FAMILY.until_property(slot)
    products = {product.id: product for product in found.products}
    users = {user.id: user for user in found.users}
    text_slot = found.texts.slot if found.texts else slot
    texts = {node: vector(row) for node, row in zip(vectors.texts.ids, vectors.texts.matrix, strict=True)}
    listed_by_text = zip(vectors.texts.ids, vectors.texts_near, strict=True)
    texts_near = {node: {TEXT.list_property(text_slot): listed} for node, listed in listed_by_text}
    answer = graph.write(
        "newcomers_written",
        release=found.release,
        slot=f"{FAMILY.name}_{slot}",
        key=FAMILY.vector_property(slot),
        text_slot=f"{TEXT.name}_{text_slot}",
        text_key=TEXT.vector_property(text_slot),
        products=[
            {
                "id": node,
                "vector": vector(row),
                "properties": {near: listed, edges: products[node].edges, **texts_near.get(node, {})},
                "text": texts.get(node),
            }
            for node, row, listed in zip(vectors.products.ids, vectors.products.matrix, vectors.near, strict=True)
        ],
        users=[
            {
                "id": node,
                "vector": vector(row),
                "properties": {near: None, novel: None, edges: users[node].edges, until: users[node].until},
            }
            for node, row in zip(vectors.users.ids, vectors.users.matrix, strict=True)
        ],
        counts=found.counts if max(len(products), len(users)) < MOST_AT_ONCE else [],
    )
    return bool(answer)


def _new_products(graph: Graph, slot: str) -> list[NewProduct]:
    found = graph.read(
        "newcomers_products",
        key=FAMILY.vector_property(slot),
        edges=FAMILY.edges_property(slot),
        limit=MOST_AT_ONCE,
    )
    return [
        NewProduct(row["id"], _by_type(row["stated"]), row["package_size"], row["edge_count"], _words(row))
        for row in found
    ]


def _words(row: Record) -> ProductWords:
    """As a snapshot's tables would say it: ends in the order of their ids, those without the property left out."""
    related: dict[str, list[str]] = {}
    for kind, end, name in sorted(row["named"], key=lambda stated: stated[:2]):
        said = name if READ[kind] == "name" else end
        if said:
            related.setdefault(kind, []).append(said)
    return ProductWords(row["title"], related, row["description"])


def _new_users(graph: Graph, served: Served) -> list[NewUser]:
    found = graph.read(
        "newcomers_users",
        before=served.before,
        least=LEAST_PURCHASES,
        edges=FAMILY.edges_property(served.slot),
        segments=list(SEGMENTS),
        limit=MOST_AT_ONCE,
    )
    return [NewUser(row["id"], _by_type(row["events"]), dict(row["segments"]), row["edge_count"]) for row in found]


def _by_type(pairs: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    """[type, id] or [type, id, time] to ids, or to (id, time), by type."""
    found: dict[str, list[Any]] = {}
    for name, *rest in pairs:
        found.setdefault(name, []).append(rest[0] if len(rest) == 1 else tuple(rest))
    return found
