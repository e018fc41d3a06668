"""One vector for many nodes: a category with all below it, a brand, an attribute, a user's neighbourhood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from shopgraph.dataset.purchases import Purchases, to_ms
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.errors import ConfigurationError, InputError
from shopgraph.schema import CATALOGUE, RELATIONS

GROUPS = tuple(name for name in CATALOGUE if RELATIONS[name].source == "Product")
"""The relations whose targets are groups of products."""


@dataclass(frozen=True)
class NeighbourhoodConfig:
    """What belongs to a user's neighbourhood, and how much it counts."""

    half_life_weeks: float = 20.0
    """Age at which a purchase counts half."""
    power: float = 0.5
    """Power that a pair's decayed count is taken to: a habit counts more than a try, but not tenfold."""
    ring_share: float = 0.25
    """Of the second ring: what shares a brand or category with the user's products; the rest is of those products."""
    ring: tuple[str, ...] = ("MADE_BY", "IN_CATEGORY")
    """Relations that lead to the second ring, each an equal part of it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "ring", tuple(self.ring))
        if not 0 <= self.ring_share <= 1:
            raise ConfigurationError(f"ring_share={self.ring_share}: must lie between 0 and 1")
        if wrong := [name for name in self.ring if name not in GROUPS]:
            raise ConfigurationError(f"ring {wrong[0]!r}: choose from {', '.join(GROUPS)}")


@dataclass(frozen=True)
class PooledVectors:
    """A vector for each group.

    Shapes:
        matrix: (groups, dimension), float32, unit length; 0 of an empty group
        empty: (groups,), bool: no member, or members that cancel out
    """

    matrix: np.ndarray
    empty: np.ndarray


def pool(weights: sp.csr_array, vectors: np.ndarray) -> PooledVectors:
    """Weighted mean of the members, brought to unit length; nothing depends on the order of the members.

    Shapes:
        weights: (groups, members), 0 or more
        vectors: (members, dimension)

    Raises:
        InputError: vectors that don't fit or are not finite, or a weight that is negative or not finite.
    """
    require_vectors("member", vectors, weights.shape[1])
    if not np.isfinite(weights.data).all() or (weights.data < 0).any():
        raise InputError("a weight is negative or no finite number: pooled vectors are means, mend the weights")
    return _unit(_mean(weights) @ vectors.astype(np.float64))


def pool_groups(
    snapshot: Snapshot, relation: str, vectors: np.ndarray, weight: np.ndarray | None = None
) -> PooledVectors:
    """Vectors of the brands, authors, categories or attributes that a relation of products leads to.

    A category holds the products of its descendants too, each once.

    Shapes:
        vectors: (products, dimension)
        weight: (products,), 0 or more; 1 by default

    Raises:
        InputError: a relation that leads from no product, or vectors or weights that `pool` refuses.
    """
    if relation not in GROUPS:
        raise InputError(f"{relation} groups no products: choose from {', '.join(GROUPS)}")
    members = memberships(snapshot, relation).astype(np.float64).T
    if weight is not None:
        require_vectors("Product weight", weight[:, None], members.shape[1])
        members = members @ sp.diags_array(weight.astype(np.float64))
    return pool(sp.csr_array(members), vectors)


def pool_neighbourhoods(
    snapshot: Snapshot,
    vectors: Mapping[str, np.ndarray],
    config: NeighbourhoodConfig = NeighbourhoodConfig(),
    moment_ms: int | None = None,
) -> PooledVectors:
    """Vectors of what surrounds each user before a moment, by default the snapshot's.

    The first ring is the user's products, weighted by their decayed purchases. The second is, for each relation of
    `ring`, the pooled vectors of the groups that these products are in, weighted alike. Either ring is a mean before it
    gets its share; a user with one of them alone has that one whole.

    Shapes:
        vectors["product"]: (products, dimension)
        returns: one row a user
    """
    moment_ms = to_ms(snapshot.before) if moment_ms is None else moment_ms
    products = vectors["product"]
    require_vectors("Product", products, snapshot.nodes["Product"].num_rows)
    past = Purchases.of(snapshot).before(moment_ms)
    keys, count = past.decayed(moment_ms, config.half_life_weeks)
    bought = sp.csr_array(past.matrix(keys, count**config.power).astype(np.float64))
    first = _unit(_mean(bought) @ products.astype(np.float64))
    ways = [_second_ring(snapshot, name, bought, products) for name in config.ring]
    second = _unit(np.sum([way.matrix for way in ways], axis=0)) if ways else None
    if second is None:
        return first
    shares = np.where(first.empty, 0.0, 1 - config.ring_share), np.where(second.empty, 0.0, config.ring_share)
    alone = first.empty | second.empty
    near, far = (np.where(alone & (share > 0), 1.0, share)[:, None] for share in shares)
    return _unit(near * first.matrix.astype(np.float64) + far * second.matrix)


def memberships(snapshot: Snapshot, relation: str) -> sp.csr_array:
    """(sources, targets), bool: who is in which; of categories, in their ancestors too."""
    stated = _stated(snapshot, relation)
    if relation != "IN_CATEGORY":
        return stated
    reach = sp.csr_array(stated)
    up = _stated(snapshot, "CHILD_OF").astype(np.int32)
    while (wider := sp.csr_array((reach.astype(np.int32) @ up).astype(bool) + reach)).nnz > reach.nnz:
        reach = wider
    return reach


def require_vectors(what: str, vectors: np.ndarray, count: int) -> None:
    """Raises InputError unless there is one finite row for each of `count` nodes."""
    if vectors.ndim != 2 or len(vectors) != count:
        raise InputError(
            f"{what} vectors of shape {vectors.shape}: there are {count} of them, encode the same snapshot"
        )
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise InputError(f"{len(bad)} {what} vectors are not finite, the first in row {bad[0]}: encode again")


def _second_ring(snapshot: Snapshot, relation: str, bought: sp.csr_array, products: np.ndarray) -> PooledVectors:
    """The groups directly stated of a user's products; an ancestor would bring the whole shop to everyone."""
    stated = _stated(snapshot, relation).astype(np.float64)
    groups = pool(sp.csr_array(stated.T), products)
    return _unit(_mean(sp.csr_array(bought @ stated)) @ groups.matrix.astype(np.float64))


def _stated(snapshot: Snapshot, relation: str) -> sp.csr_array:
    table, ends = snapshot.relations[relation], RELATIONS[relation]
    shape = snapshot.nodes[ends.source].num_rows, snapshot.nodes[ends.target].num_rows
    edges = table["start"].to_numpy(), table["end"].to_numpy()
    return sp.csr_array((np.ones(table.num_rows, dtype=bool), edges), shape=shape)


def _mean(weights: sp.csr_array) -> sp.csr_array:
    """Rows that sum to 1, or to 0 where nothing weighs; columns in order, so that sums round the same."""
    kept = sp.csr_array(weights, dtype=np.float64)
    kept.sum_duplicates()
    total = np.asarray(kept.sum(axis=1))
    return sp.csr_array(sp.diags_array(np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)) @ kept)


def _unit(rows: np.ndarray) -> PooledVectors:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    empty = length[:, 0] < 1e-9  # members that cancel out leave only rounding, which points nowhere
    return PooledVectors((rows / np.where(empty[:, None], 1.0, length)).astype(np.float32), empty)
