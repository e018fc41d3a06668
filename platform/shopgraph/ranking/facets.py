"""What the catalogue says of a product, one value a facet: its categories by level, its brand, its size, and so on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from shopgraph.dataset.snapshot import Snapshot

NONE = -1
"""Stands where a product states nothing."""


@dataclass(frozen=True)
class FacetConfig:
    """Which facets are read, apart from brand, author and title."""

    category_levels: int = 3
    """Levels of the category tree, from the top."""
    attribute_keys: int = 3
    """Keys of attributes; those that most products state are kept."""


@dataclass(frozen=True)
class Facet:
    """A partition of the products that state anything.

    Shapes:
        values: (products,), int32, numbers of values from 0, or `NONE`
    """

    name: str
    values: np.ndarray

    @cached_property
    def count(self) -> int:
        return int(self.values.max(initial=NONE)) + 1


def facets_of(snapshot: Snapshot, config: FacetConfig = FacetConfig()) -> tuple[Facet, ...]:
    """The facets that any product states, from the snapshot's relations alone.

    Of several categories, brands, authors or attributes of a key, the one with the lowest row number counts.
    """
    return tuple(Facet(facet.name, facet.values.astype(np.int32)) for facet in _stated(snapshot, config) if facet.count)


def _stated(snapshot: Snapshot, config: FacetConfig) -> Iterator[Facet]:
    levels = _levels(snapshot, config.category_levels)
    brand = _first(snapshot, "MADE_BY")
    for level, values in enumerate(levels, start=1):
        yield Facet(f"category_{level}", values)
    yield Facet("brand", brand)
    yield Facet("author", _first(snapshot, "WRITTEN_BY"))
    yield Facet("title", _coded(snapshot.nodes["Product"]["title"]))
    yield Facet("brand_in_category", _both(brand, _first(snapshot, "IN_CATEGORY")))
    yield from _attributes(snapshot, config.attribute_keys)


def _first(snapshot: Snapshot, relation: str, kept: np.ndarray | None = None) -> np.ndarray:
    """(products,): the lowest row number that each product is related to."""
    table = snapshot.relations[relation]
    start, end = table["start"].to_numpy(), table["end"].to_numpy()
    if kept is not None:
        start, end = start[kept], end[kept]
    values = np.full(snapshot.nodes["Product"].num_rows, np.iinfo(np.int64).max)
    np.minimum.at(values, start, end)
    return np.where(values == np.iinfo(np.int64).max, NONE, values)


def _levels(snapshot: Snapshot, count: int) -> list[np.ndarray]:
    """The category of each product at each level, or above it where the tree ends earlier."""
    tree, categories = snapshot.relations["CHILD_OF"], snapshot.nodes["Category"]
    parent = np.full(categories.num_rows + 1, NONE)
    parent[tree["start"].to_numpy()] = tree["end"].to_numpy()
    level = np.append(categories["level"].fill_null(1).to_numpy(), 0)
    values, found = _first(snapshot, "IN_CATEGORY"), []
    for wanted in range(count, 0, -1):
        for _ in range(int(level.max(initial=0))):
            values = np.where(level[values] > wanted, parent[values], values)
        found.append(values)
    return found[::-1]


def _both(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    stated = (left != NONE) & (right != NONE)
    return _dense(np.where(stated, left * (right.max(initial=0) + 1) + right, NONE))


def _coded(texts: pa.ChunkedArray) -> np.ndarray:
    """(products,): equal texts have equal numbers; an empty one is nothing."""
    import pyarrow as pa  # not with the module, which web processes have too
    import pyarrow.compute as pc

    texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    codes = pc.index_in(texts, pc.drop_null(pc.unique(texts)))
    return pc.fill_null(codes, NONE).to_numpy().astype(np.int64)


def _attributes(snapshot: Snapshot, most: int) -> Iterator[Facet]:
    keys = np.array(snapshot.nodes["Attribute"]["key"].to_pylist(), dtype=object)
    of_edge = keys[snapshot.relations["HAS_ATTRIBUTE"]["end"].to_numpy()] if len(keys) else keys
    stated, counts = np.unique(of_edge.astype(str), return_counts=True)
    for key in stated[np.lexsort((stated, -counts))][:most]:
        yield Facet(f"attribute_{key}", _dense(_first(snapshot, "HAS_ATTRIBUTE", of_edge == key)))


def _dense(values: np.ndarray) -> np.ndarray:
    distinct, codes = np.unique(values, return_inverse=True)
    return codes - (1 if len(distinct) and distinct[0] == NONE else 0)
