"""What serving reads and no source states: products bought together, users who buy alike, and popularity."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from shopgraph.dataset.purchases import WEEK_MS
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.derivation.differences import write_neighbours, write_popularity
from shopgraph.derivation.neighbours import bought_with, similar_users
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
    similar_users: int = 20
    """Most SIMILAR_TO relations a user may have."""
    half_life_weeks: float = 12.0
    """Age at which a purchase counts half in how alike two users are."""
    popularity_weeks: int = 4
    """Weeks before `as_of` whose distinct buyers are counted."""


@dataclass(frozen=True)
class Derived:
    """What a derivation changed: relations created or updated, relations removed, products whose popularity moved."""

    bought_with: int
    similar_users: int
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
    """Write BOUGHT_WITH, SIMILAR_TO and Product.popularity from the purchases before `as_of`.

    Only what differs from the graph is written, in batches; an interrupted derivation is mended by the next one.
    The stamps (`run`, `as_of`, snapshot, newest event used) stand once, on a `Derivation` node each.

    Raises:
        InputError: the snapshot holds no purchase before `as_of`.
    """
    config, run = config or DerivationConfig(), run or new_run_id("derive")
    purchases = _purchases_before(snapshot, as_of)
    newest = datetime.fromtimestamp(purchases["at"].max().item() / 1000, UTC)
    users, ids = snapshot.ids("User"), snapshot.ids("Product")
    begin = partial(graph.write, "derivation_begun", newest_event_at=newest, run=run)
    finish = partial(graph.write, "derivation_finished", as_of=as_of, newest_event_at=newest, snapshot=snapshot.id)
    progress("bought together", 0, 1)
    liking = _liking(purchases, as_of, config.half_life_weeks, (len(users), len(ids)))
    neighbours = {
        "bought_with": (
            ids,
            bought_with(purchases["order"], purchases["product"], len(ids), config.minimum_support, config.neighbours),
        ),
        "similar_users": (users, similar_users(liking, config.similar_users)),
    }
    written, removed = 0, 0
    for name, (nodes, pairs) in neighbours.items():
        begin(id=name)
        changed, gone = write_neighbours(graph, name, nodes, pairs, progress)
        finish(id=name, count=len(pairs.start))
        written, removed = written + changed, removed + gone

    begin(id="popularity")
    buyers = popularity(purchases, _milliseconds(as_of - timedelta(weeks=config.popularity_weeks)), len(ids))
    moved = write_popularity(graph, dict(zip(ids, buyers.tolist(), strict=True)), progress)
    finish(id="popularity", count=int((buyers > 0).sum()))
    kept = {name: len(pairs.start) for name, (_, pairs) in neighbours.items()}
    return Derived(**kept, written=written, removed=removed, popularity_changed=moved)


def _liking(
    purchases: dict[str, np.ndarray], as_of: datetime, half_life_weeks: float, shape: tuple[int, int]
) -> sp.csr_matrix:
    """(users, products): the root of a user's purchases of a product, each counting half as much every half-life."""
    age_weeks = (_milliseconds(as_of) - purchases["at"]) / WEEK_MS
    counted = (0.5 ** (age_weeks / half_life_weeks), (purchases["user"], purchases["product"]))
    return sp.csr_matrix(counted, shape=shape).sqrt()


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


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
