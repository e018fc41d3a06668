"""Composition root of what the version that serves tells a curator; nothing is written."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from shopgraph.dataset.snapshot import Snapshot
from shopgraph.embed import findings
from shopgraph.embed.artefact import EncodingArtefact, open_artefact
from shopgraph.embed.edge import EdgeConfig
from shopgraph.embed.relation import RelationConfig
from shopgraph.errors import InputError
from shopgraph.publish import serving
from shopgraph.tracking import Progress, silent
from shopgraph.wiring_training import Training


def missing_statements(
    training: Training, relation: str, limit: int, depth: int, progress: Progress = silent
) -> findings.Suggestions:
    """What products that state nothing of a relation seem to lead to.

    Raises:
        InputError: nothing serves yet, its files are gone, or the relation has too little to learn from.
    """
    artefact, snapshot = _served(training)
    seed = training.settings.seed
    with TemporaryDirectory() as folder:
        return findings.missing_statements(
            artefact, snapshot, relation, RelationConfig(), Path(folder), seed, limit, depth, progress
        )


def odd_purchases(training: Training, limit: int, weeks: int, progress: Progress = silent) -> findings.OddPurchases:
    """The least plausible purchases of the snapshot's last week.

    Raises:
        InputError: nothing serves yet, its files are gone, or there are too few purchases.
    """
    artefact, snapshot = _served(training)
    seed = training.settings.seed
    with TemporaryDirectory() as folder:
        return findings.odd_purchases(artefact, snapshot, EdgeConfig(), Path(folder), seed, weeks, limit, progress)


def _served(training: Training) -> tuple[EncodingArtefact, Snapshot]:
    """The encoder that serves and the snapshot that it was trained on."""
    release = serving(training.graph)
    served = release.families.get("graph") if release else None
    if served is None:
        raise InputError("no graph embedding serves yet: run shopgraph retrain first")
    snapshot_id = training.registry.get(served.version).snapshot_id
    return open_artefact(training.registry.path(served.version)), training.snapshot(snapshot_id)
