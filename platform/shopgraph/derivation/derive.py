"""What serving reads and no source states, written as differences: products bought together, and popularity."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from shopgraph.dataset.snapshot import Snapshot
from shopgraph.derivation.differences import write_neighbours, write_popularity
from shopgraph.derivation.neighbours import bought_with
from shopgraph.errors import InputError
from shopgraph.graph.connection import Graph
from shopgraph.tracking import Progress, new_run_id, silent


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
    pairs = bought_with(purchases["order"], purchases["product"], len(ids), config.minimum_support, config.neighbours)
    with_stamp = {"newest_event_at": _instant(newest), "run": run}
    graph.write("derivation_begun", id="bought_with", **with_stamp)
    written, removed = write_neighbours(graph, "bought_with", ids, pairs, progress)
    _finish(graph, "bought_with", as_of, newest, snapshot=snapshot, count=len(pairs.start))

    graph.write("derivation_begun", id="popularity", **with_stamp)
    since = _milliseconds(as_of - timedelta(weeks=config.popularity_weeks))
    counts = popularity(purchases, since, len(ids))
    changed = write_popularity(graph, dict(zip(ids, counts.tolist(), strict=True)), progress)
    _finish(graph, "popularity", as_of, newest, snapshot=snapshot, count=int((counts > 0).sum()))
    return Derived(len(pairs.start), written, removed, changed)


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


def _finish(graph: Graph, name: str, as_of: datetime, newest: int, *, snapshot: Snapshot, count: int) -> None:
    graph.write(
        "derivation_finished", id=name, as_of=as_of, newest_event_at=_instant(newest), snapshot=snapshot.id, count=count
    )


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
