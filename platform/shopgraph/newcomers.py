"""Products and users that came after the release that serves: what is new in the graph, and their vectors' write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from shopgraph.dataset.corpus import READ, ProductWords
from shopgraph.errors import InputError
from shopgraph.graph.connection import Graph, Record, vector
from shopgraph.publish import Served, serving
from shopgraph.registry import Registry, Vectors
from shopgraph.schema import CATALOGUE, FAMILIES, RELATIONS, SEGMENTS
from shopgraph.slot import check_vectors

FAMILY = FAMILIES["graph"]
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


def _no_vectors() -> Vectors:
    return Vectors([], np.empty((0, FAMILY.dimension), np.float32))


@dataclass(frozen=True)
class NewVectors:
    """What newcomers were encoded to; one that could not be is left out."""

    products: Vectors = field(default_factory=_no_vectors)
    near: Sequence[str] = ()
    """By product its nearest ones, as `EmbeddingFamily.list_property` keeps them."""
    users: Vectors = field(default_factory=_no_vectors)


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
    return Newcomers(release.id, served, counts, products, users)


def brand_names(graph: Graph) -> list[str]:
    """Of all brands, which tell the codes among them: read only where new products' texts are."""
    return graph.wide("newcomers_brands")["names"]


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
    near, novel = FAMILY.list_property(slot), FAMILY.novel_list_property(slot)
    edges, until = FAMILY.edges_property(slot), FAMILY.until_property(slot)
    products = {product.id: product for product in found.products}
    users = {user.id: user for user in found.users}
    answer = graph.write(
        "newcomers_written",
        release=found.release,
        slot=f"{FAMILY.name}_{slot}",
        key=FAMILY.vector_property(slot),
        products=[
            {"id": node, "vector": vector(row), "properties": {near: listed, edges: products[node].edges}}
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
