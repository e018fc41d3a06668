"""What serving reads and no source states, written as differences: products bought together, and popularity."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from shopgraph.dataset.snapshot import Snapshot
from shopgraph.errors import InputError
from shopgraph.graph.connection import Graph
from shopgraph.tracking import Progress, new_run_id, silent

BLOCK_ROWS = 4096
WEIGHT_DECIMALS = 4
"""Weights are rounded so that a product whose baskets did not change is not written again."""


@dataclass(frozen=True)
class DerivationConfig:
    """How baskets become neighbours and purchases become popularity."""

    minimum_support: int = 3
    """Baskets that must hold both products."""
    neighbours: int = 20
    """Most BOUGHT_WITH relations a product may have."""
    popularity_weeks: int = 4
    """Weeks before `as_of` whose distinct buyers are counted."""


@dataclass(frozen=True)
class Derived:
    """What a derivation changed: relations created or updated, relations removed, products whose popularity moved."""

    bought_with: int
    written: int
    removed: int
    popularity_changed: int


@dataclass(frozen=True)
class Neighbours:
    """Weighted product pairs.

    Shapes:
        start, end: (pairs,), int64 product rows, sorted by start, then by falling weight, then by end
        weight: (pairs,), float64
    """

    start: np.ndarray
    end: np.ndarray
    weight: np.ndarray


def derive(
    graph: Graph,
    snapshot: Snapshot,
    as_of: datetime,
    progress: Progress = silent,
    *,
    config: DerivationConfig | None = None,
    run: str | None = None,
) -> Derived:
    """Write BOUGHT_WITH and Product.popularity from the purchases before `as_of`.

    Only what differs from the graph is written, in batches; an interrupted derivation is mended by the next one.
    The stamps (`run`, `as_of`, snapshot, newest event used) stand once, on the two `Derivation` nodes.

    Raises:
        InputError: the snapshot holds no purchase before `as_of`.
    """
    config, run = config or DerivationConfig(), run or new_run_id("derive")
    purchases = _purchases_before(snapshot, as_of)
    newest = purchases["at"].max().item()
    ids = snapshot.ids("Product")

    progress("bought together", 0, 1)
    pairs = bought_with(purchases["order"], purchases["product"], len(ids), config)
    with_stamp = {"newest_event_at": _instant(newest), "run": run}
    graph.write("derivation_begun", id="bought_with", **with_stamp)
    written, removed = _write_pairs(graph, ids, pairs, progress)
    _finish(graph, "bought_with", as_of, newest, snapshot=snapshot, count=len(pairs.start))

    graph.write("derivation_begun", id="popularity", **with_stamp)
    since = _milliseconds(as_of - timedelta(weeks=config.popularity_weeks))
    counts = popularity(purchases, since, len(ids))
    changed = _write_popularity(graph, dict(zip(ids, counts.tolist(), strict=True)), progress)
    _finish(graph, "popularity", as_of, newest, snapshot=snapshot, count=int((counts > 0).sum()))
    return Derived(len(pairs.start), written, removed, changed)


def bought_with(order: np.ndarray, product: np.ndarray, product_count: int, config: DerivationConfig) -> Neighbours:
    """The products that share most baskets with each product.

    The weight is the cosine of two binary basket vectors, |A and B| / sqrt(|A| |B|) (Sarwar et al., "Item-based
    collaborative filtering recommendation algorithms", WWW 2001).

    Shapes:
        order, product: (lines,), integers
    """
    baskets = sp.csr_matrix(
        (np.ones(len(order), np.float32), (order, product)), shape=(int(order.max()) + 1, product_count)
    )
    baskets.data[:] = 1
    support = np.asarray(baskets.sum(axis=0)).ravel()
    by_product = baskets.T.tocsr()
    parts = []
    for first in range(0, product_count, BLOCK_ROWS):
        together = (by_product[first : first + BLOCK_ROWS] @ baskets).tocoo()
        start, end, shared = together.row + first, together.col, together.data
        keep = (shared >= config.minimum_support) & (start != end)
        start, end, shared = start[keep], end[keep], shared[keep]
        parts.append(_strongest(start, end, shared / np.sqrt(support[start] * support[end]), config.neighbours))
    start, end, weight = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return Neighbours(start, end, weight)


def _strongest(
    start: np.ndarray, end: np.ndarray, weight: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    weight = np.round(weight.astype(np.float64), WEIGHT_DECIMALS)
    by_weight = np.lexsort((end, -weight, start))
    start, end, weight = start[by_weight], end[by_weight], weight[by_weight]
    first_of_start = np.searchsorted(start, start, side="left")
    keep = np.arange(len(start)) - first_of_start < count
    return start[keep].astype(np.int64), end[keep].astype(np.int64), weight[keep]


def popularity(purchases: dict[str, np.ndarray], since_milliseconds: int, product_count: int) -> np.ndarray:
    """Distinct buyers of each product since an instant.

    Shapes:
        returns: (product_count,), int64
    """
    recent = purchases["at"] >= since_milliseconds
    pairs = np.unique(purchases["user"][recent].astype(np.int64) * product_count + purchases["product"][recent])
    return np.bincount(pairs % product_count, minlength=product_count)


def _purchases_before(snapshot: Snapshot, as_of: datetime) -> dict[str, np.ndarray]:
    table = snapshot.relations["PURCHASED"]
    columns = {
        "user": table["start"].to_numpy(),
        "product": table["end"].to_numpy(),
        "order": table["order"].to_numpy(),
        "at": table["at"].cast(pa.timestamp("ms", tz="UTC")).cast(pa.int64()).to_numpy(),
    }
    before = columns["at"] < _milliseconds(as_of)
    if not before.any():
        raise InputError(
            f"snapshot {snapshot.id} holds no purchase before {as_of:%Y-%m-%d %H:%M}: nothing to derive from"
        )
    return {name: values[before] for name, values in columns.items()}


def _write_pairs(graph: Graph, ids: list[str], pairs: Neighbours, progress: Progress) -> tuple[int, int]:
    stored = {
        record["id"]: dict(zip(record["ids"], record["weights"], strict=True))
        for record in graph.read("bought_with_stored")
    }
    wanted: dict[str, dict[str, float]] = {}
    for start, end, weight in zip(pairs.start.tolist(), pairs.end.tolist(), pairs.weight.tolist(), strict=True):
        wanted.setdefault(ids[start], {})[ids[end]] = weight
    changed, gone = [], []
    for product, new in wanted.items():
        old = stored.get(product, {})
        moved = [other for other, weight in new.items() if old.get(other) != weight]
        if moved:
            changed.append({"id": product, "ids": moved, "weights": [new[other] for other in moved]})
    for product, old in stored.items():
        lost = [other for other in old if other not in wanted.get(product, {})]
        if lost:
            gone.append({"id": product, "ids": lost})
    removed = _send(graph, "bought_with_removed", "removed", gone, progress)
    return _send(graph, "bought_with_written", "written", changed, progress), removed


def _write_popularity(graph: Graph, wanted: dict[str, int], progress: Progress) -> int:
    stored = graph.wide("popularity_stored")
    rows = [
        {"id": product, "count": wanted.get(product, 0)}
        for product, count in zip(stored["ids"], stored["counts"], strict=True)
        if max(count, 0) != wanted.get(product, 0)
    ]
    return _send(graph, "popularity_written", "written", rows, progress)


def _send(graph: Graph, query: str, column: str, rows: list[dict[str, Any]], progress: Progress) -> int:
    total, sent = 0, 0
    for count, records in graph.write_batches(query, _in_order(rows), batch_size=1000):
        sent += count
        total += records[0][column]
        progress(query.replace("_", " "), sent, len(rows))
    return total


def _in_order(rows: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """One order of locking for all writers: by id."""
    return sorted(rows, key=lambda row: row["id"])


def _finish(graph: Graph, name: str, as_of: datetime, newest: int, *, snapshot: Snapshot, count: int) -> None:
    graph.write(
        "derivation_finished", id=name, as_of=as_of, newest_event_at=_instant(newest), snapshot=snapshot.id, count=count
    )


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
