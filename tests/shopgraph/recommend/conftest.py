"""A planted shop of soups, breads and toys, loaded, derived and published the way a real one is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shopgraph.dataset.snapshot import Snapshot, assemble
from shopgraph.derivation.derive import derive
from shopgraph.graph.connection import Graph
from shopgraph.ingest.loading import load_incremental
from shopgraph.publish import Release, publish_release, serving
from shopgraph.recommend.candidate import Candidate, Sources
from shopgraph.records import NODE_TABLES, RELATION_TABLES, Feed, SourceInfo
from shopgraph.registry import Registry, Vectors
from shopgraph.schema import FAMILIES

NOW = datetime(2024, 6, 3, tzinfo=UTC)
LEVELS = {"FOOD": 1, "FOOD > SOUP": 2, "FOOD > BREAD": 2, "PLAY": 1}
AXES = {"soup": 0, "bread": 1, "toy": 2}
PRODUCTS = {
    **{f"s:soup{i}": ("FOOD > SOUP", "kettle") for i in range(6)},
    **{f"s:bread{i}": ("FOOD > BREAD", "mill") for i in range(4)},
    **{f"s:toy{i}": ("PLAY", "bricks") for i in range(8)},
}


@dataclass
class Shop:
    """What is planted; lists of (user, product, weeks before NOW, order)."""

    purchases: list[tuple[str, str, float, str]]
    views: list[tuple[str, str, float]] = field(default_factory=list)
    products: Mapping[str, tuple[str, str]] = field(default_factory=lambda: PRODUCTS)
    users: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    product_changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def feed(self) -> Feed:
        ids = {user for user, *_ in [*self.purchases, *self.views]} | set(self.users)
        brands = sorted({brand for _, brand in self.products.values()})
        nodes = {
            "Product": [self._product(product) for product in self.products],
            "User": [{"id": user, **self.users.get(user, {})} for user in sorted(ids)],
            "Brand": [{"id": brand, "name": brand.title()} for brand in brands],
            "Category": [{"id": name, "name": name.split(" > ")[-1], "level": level} for name, level in LEVELS.items()],
        }
        relations = {
            "PURCHASED": [
                {"start": user, "end": product, "line_id": f"{user}/{order}/{product}", "order_id": f"{user}/{order}",
                 "at": NOW - timedelta(weeks=weeks), "quantity": 1, "amount": 1.0, "discount": 0.0}
                for user, product, weeks, order in self.purchases
            ],
            "VIEWED": [
                {"start": user, "end": product, "line_id": f"v/{user}/{product}", "at": NOW - timedelta(weeks=weeks)}
                for user, product, weeks in self.views
            ],
            "MADE_BY": [{"start": product, "end": brand} for product, (_, brand) in self.products.items()],
            "IN_CATEGORY": [{"start": product, "end": category} for product, (category, _) in self.products.items()],
        }  # fmt: skip
        return Feed(
            SourceInfo("s", "Planted shop", "EUR", "made for tests"),
            {label: pa.Table.from_pylist(rows, NODE_TABLES[label]) for label, rows in nodes.items()},
            {kind: pa.Table.from_pylist(rows, RELATION_TABLES[kind]) for kind, rows in relations.items()},
        )

    def _product(self, product: str) -> dict[str, Any]:
        category, brand = self.products[product]
        parts = category.split(" > ")
        levels = {f"category_{i + 1}": " > ".join(parts[: i + 1]) if i < len(parts) else "" for i in range(3)}
        row = {"id": product, "title": product.removeprefix("s:").title(), "brand_id": brand, **levels}
        return {**row, **self.product_changes.get(product, {})}


def towards(family: str, ids: Iterable[str], groups: Mapping[str, int], spread: float = 0.05) -> Vectors:
    """Unit vectors near the axis of each id's group, a little apart from each other; the same at every call."""
    names = sorted(ids)
    rng = np.random.default_rng(0)
    matrix = spread * rng.standard_normal((len(names), FAMILIES[family].dimension))
    for row, name in enumerate(names):
        matrix[row, groups[name]] += 1
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return Vectors(names, matrix.astype(np.float32))


@dataclass
class Planted:
    """A planted shop with everything that stands on it."""

    graph: Graph
    snapshot: Snapshot
    registry: Registry

    def publish(self, users: Mapping[str, int], families: Iterable[str] = ("graph", "text")) -> Release:
        """Publish vectors: soups near axis 0, breads near 1, toys near 2, users near the axis given."""
        kinds = {
            product: next(a for kind, a in AXES.items() if kind in product) for product in self.snapshot.ids("Product")
        }
        groups = {**kinds, **dict.fromkeys(self.snapshot.ids("User"), 0), **users}
        versions = {}
        for family in families:
            vectors = {label: towards(family, self.snapshot.ids(label), groups) for label in FAMILIES[family].labels}
            versions[family] = self.registry.save(family, self.snapshot.id, vectors, {}, {}).id
        return publish_release(self.graph, self.registry, versions, self.snapshot)


def planted(graph: Graph, models: Path, purchases: list[tuple[str, str, float, str]], **fields: Any) -> Planted:
    """Load a shop (the fields of `Shop`), cut a snapshot at NOW and derive from it."""
    feed = Shop(purchases, **fields).feed()
    load_incremental(graph, feed, "plant")
    snapshot = assemble(feed.nodes, feed.relations, NOW)
    derive(graph, snapshot, NOW)
    return Planted(graph, snapshot, Registry(models))


@pytest.fixture
def plant(graph: Graph, tmp_path: Path) -> Callable[..., Planted]:
    """See `planted`."""
    return partial(planted, graph, tmp_path / "models")


BREAD = [float(place == AXES["bread"]) for place in range(FAMILIES["text"].dimension)]
"""A query for bread in the space of the planted texts."""


def ask(graph: Graph, source: str, user: str = "u_me", **given: Any) -> list[Candidate]:
    release = serving(graph)
    slots = {family: served.slot for family, served in release.families.items()} if release else {}
    context = {
        "user": user, "product": "", "session": [], "searches": [], "like": [], "unlike": [],
        "unlike_share": 0.5, "query": "bread0", "vector": BREAD, "as_of": NOW, "limit": 50,
        "without": [], "novel": bool(given.get("without")), "reach": 50, "categories": [], "min_price": None,
        "max_price": None, "unbought_before": None,
        "release": release.id if release else None, "half_life_weeks": 12.0, **given,
    }  # fmt: skip
    return Sources(graph).candidates(source, context, slots)


def ids(found: list[Candidate]) -> list[str]:
    return [candidate.id for candidate in found]
