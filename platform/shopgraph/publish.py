"""Releases: which version of each family serves, and the way a new one takes over without a moment of half."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from shopgraph.errors import InputError, PublishError
from shopgraph.graph.connection import Graph
from shopgraph.lease import LEASE_SECONDS, Lease, held
from shopgraph.registry import ModelVersion, Registry, Vectors
from shopgraph.schema import FAMILIES, RANKER, SLOTS
from shopgraph.settings import utc_now
from shopgraph.slot import Slot, check_vectors
from shopgraph.tracking import Progress, new_run_id, silent

if TYPE_CHECKING:
    from shopgraph.dataset.snapshot import Snapshot

Encode = Mapping[str, Callable[[list[str]], np.ndarray]]
"""By family: ids of products newer than the snapshot in, one unit vector each out, shape (n, dimension)."""

MOST_GONE = 0.05
"""Share of a version's products that may have left the graph since its snapshot; above it the graph is another one."""


@dataclass(frozen=True)
class Served:
    """One family of a release: the version, the slot it serves from, and what it was trained on."""

    version: str
    slot: str
    """Empty of a ranker, which is read from files."""
    snapshot: str
    before: datetime


@dataclass(frozen=True)
class Release:
    """One version of each family, switched as one."""

    id: str
    active: bool
    created_at: datetime
    families: dict[str, Served]
    restores: str | None = None
    """The older release that a rollback brought back."""
    checks: dict[str, dict[str, float]] = field(default_factory=dict)
    """By family written now: products in its index, and the index's recall of the exact 20 nearest."""


@dataclass(frozen=True)
class _Wanted:
    card: ModelVersion
    properties: dict[str, Any]


def publish_release(
    graph: Graph,
    registry: Registry,
    versions: Mapping[str, str],
    snapshot: Snapshot,
    progress: Progress = silent,
    *,
    encode: Encode | None = None,
    lease_seconds: int = LEASE_SECONDS,
) -> Release:
    """Make these versions serve; a family that is not given keeps the version that serves.

    Each changed family is written into its spare slot, indexed and checked; then one transaction switches them all.

    Args:
        versions: version id by family.
        snapshot: what the versions were trained on.
        encode: vectors for products that are newer than the snapshot.

    Raises:
        PublishError: a version fails its checks; what served before still serves.
        BusyError: another publish is running.
    """
    wanted = {family: _wanted(registry.get(version), family, snapshot) for family, version in versions.items()}
    for item in wanted.values():
        _check_against(snapshot, item.card, registry)
    with held(graph, "publish", lease_seconds) as lease:
        return _publish(graph, registry, wanted, lease, progress, encode=encode or {}, restores=None)


def rollback(
    graph: Graph,
    registry: Registry,
    release_id: str,
    progress: Progress = silent,
    *,
    lease_seconds: int = LEASE_SECONDS,
) -> Release:
    """Publish the versions of an older release again, from their files or from a slot that still holds them.

    What serves now and that release did not name serves no more.

    Raises:
        InputError: no such release, or the files of one of its versions are gone.
    """
    old = next((release for release in releases(graph) if release.id == release_id), None)
    if old is None:
        raise InputError(f"no release {release_id!r}: 'shopgraph releases' lists them")
    wanted = {
        family: _Wanted(registry.get(served.version), {"before": served.before})
        for family, served in old.families.items()
    }
    with held(graph, "publish", lease_seconds) as lease:
        return _publish(graph, registry, wanted, lease, progress, encode={}, restores=old.id)


def releases(graph: Graph) -> list[Release]:
    """Every release, newest first."""
    return [_release(record) for record in graph.read("releases_listed")]


def serving(graph: Graph) -> Release | None:
    """The release that serves, or None before the first publish."""
    record = graph.record("release_serving")
    return _release({**record, "active": True, "restores": None}) if record else None


def _publish(
    graph: Graph,
    registry: Registry,
    wanted: Mapping[str, _Wanted],
    lease: Lease,
    progress: Progress,
    *,
    encode: Encode,
    restores: str | None,
) -> Release:
    present = serving(graph)
    families = dict(present.families) if present else {}
    changed = {
        family: item
        for family, item in wanted.items()
        if family not in families or families[family].version != item.card.id
    }
    dropped = set(families) - set(wanted) if restores else set()
    if present and not (changed or dropped):
        return present
    checks: dict[str, dict[str, float]] = {}
    named: list[dict[str, Any]] = [
        {"family": family, "slot": s.slot, "version": s.version, "properties": {}}
        for family, s in families.items()
        if family not in changed and family not in dropped
    ]
    for family, item in changed.items():
        if family == RANKER:
            named.append({"family": family, "slot": None, "version": item.card.id, "properties": item.properties})
            continue
        spare = _spare(families[family].slot if family in families else None)
        slot = Slot(graph, FAMILIES[family], spare, lease, progress)
        checks[family] = _bring(graph, registry, slot, item, encode.get(family))
        named.append({"family": family, "slot": spare, "version": item.card.id, "properties": item.properties})
    release_id = new_run_id("release")
    flipped = graph.write(
        "release_flipped",
        id=release_id,
        at=utc_now(),
        restores=restores,
        slots={f"{item['family']}_{what}": item[what] for item in named for what in ("slot", "version")},
        families=named,
        **lease.fence,
    )
    if not flipped:
        raise lease.lost()
    done = serving(graph)
    if done is None:
        raise lease.lost()
    return Release(done.id, True, done.created_at, done.families, restores, checks)


def _bring(
    graph: Graph, registry: Registry, slot: Slot, item: _Wanted, encode: Callable[[list[str]], np.ndarray] | None
) -> dict[str, float]:
    """Have the slot hold the version, written now or still there, and check it."""
    vectors = _vectors(graph, registry, item.card, encode)
    if slot.held_version() == item.card.id and encode is None:
        try:
            return slot.check(vectors)
        except PublishError:
            pass  # the graph has moved on since this slot was written: write it anew
    slot.fill(vectors, _owned(graph, item) if "User" in vectors else {})
    checks = slot.check(vectors)
    slot.mark(item.card.id)
    return checks


def _vectors(
    graph: Graph, registry: Registry, card: ModelVersion, encode: Callable[[list[str]], np.ndarray] | None
) -> dict[str, Vectors]:
    """The version's vectors of the nodes that are in the graph now, by label, newly encoded products included."""
    family = FAMILIES[card.family]
    found: dict[str, Vectors] = {}
    for label in card.labels:
        vectors = registry.vectors(card.id, label)
        check_vectors(family, label, vectors)
        ids = graph.read(f"{label.lower()}_ids", key="id")[0]["ids"]
        present = set(ids)
        here = [row for row, node in enumerate(vectors.ids) if node in present]
        if len(here) < (1 - MOST_GONE) * len(vectors.ids):
            raise PublishError(
                f"{len(vectors.ids) - len(here)} of {len(vectors.ids)} {label} nodes of {card.id} are not in the graph"
            )
        found[label] = Vectors([vectors.ids[row] for row in here], vectors.matrix[here])
        if label == "Product" and encode is not None:
            found[label] = _with_newer(found[label], sorted(present.difference(vectors.ids)), encode, card)
    return found


def _with_newer(
    vectors: Vectors, newer: list[str], encode: Callable[[list[str]], np.ndarray], card: ModelVersion
) -> Vectors:
    if not newer:
        return vectors
    added = Vectors(newer, np.asarray(encode(newer), dtype=np.float32))
    check_vectors(FAMILIES[card.family], "Product", added)
    return Vectors(vectors.ids + newer, np.vstack([vectors.matrix, added.matrix]))


def _owned(graph: Graph, item: _Wanted) -> dict[str, list[str]]:
    records = graph.read("owned_products", before=item.properties["before"])
    return {record["user"]: record["products"] for record in records}


def _wanted(card: ModelVersion, family: str, snapshot: Snapshot) -> _Wanted:
    if family not in {*FAMILIES, RANKER} or card.family != family:
        raise PublishError(f"{card.id} is a version of {card.family!r}, not of {family!r}")
    if card.snapshot_id != snapshot.id:
        raise PublishError(f"{card.id} was trained on snapshot {card.snapshot_id}, not on {snapshot.id}")
    return _Wanted(card, _properties(card, snapshot))


def _properties(card: ModelVersion, snapshot: Snapshot) -> dict[str, Any]:
    import pyarrow.compute as pc  # not with the module, which web processes have too

    newest = [pc.max(table["at"]).as_py() for table in snapshot.relations.values() if "at" in table.column_names]
    return {
        "family": card.family,
        "snapshot": snapshot.id,
        "before": snapshot.before,
        "newest_event_at": max((at for at in newest if at is not None), default=None),
        "created_at": card.created_at,
        "config": json.dumps(card.config, default=str),
        "metrics": json.dumps(card.metrics, default=str),
    }


def _check_against(snapshot: Snapshot, card: ModelVersion, registry: Registry) -> None:
    """Every product of the snapshot has a vector, and nothing has one that the snapshot does not know."""
    labels = () if card.family == RANKER else FAMILIES[card.family].labels
    for label in labels:
        if label not in card.labels:
            raise PublishError(f"{card.id} holds no vectors of {label}")
        vectors = registry.vectors(card.id, label)
        check_vectors(FAMILIES[card.family], label, vectors)
        known = set(snapshot.ids(label))
        unknown = next((node for node in vectors.ids if node not in known), None)
        if unknown is not None:
            raise PublishError(
                f"{card.id} has a vector for {label} {unknown}, which snapshot {snapshot.id} does not know"
            )
        if label == "Product" and len(vectors.ids) != len(known):
            raise PublishError(f"{card.id} has vectors for {len(vectors.ids)} of the snapshot's {len(known)} products")


def _spare(slot: str | None) -> str:
    return SLOTS[1] if slot == SLOTS[0] else SLOTS[0]


def _release(record: dict[str, Any]) -> Release:
    return Release(
        id=record["id"],
        active=bool(record["active"]),
        created_at=_native(record["created_at"]),
        families={
            item["family"]: Served(item["version"], item["slot"] or "", item["snapshot"], _native(item["before"]))
            for item in record["families"]
        },
        restores=record["restores"],
    )


def _native(value: Any) -> datetime:
    return value.to_native() if hasattr(value, "to_native") else value
