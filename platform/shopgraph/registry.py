"""Model versions as folders: vectors, config, metrics and the model's own files, kept so that any can serve again."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shopgraph.errors import InputError
from shopgraph.settings import utc_now

CARD = "card.json"


@dataclass(frozen=True)
class Vectors:
    """The learned vectors of one label.

    Shapes:
        ids: n strings
        matrix: (n, dimension), float32, unit length
    """

    ids: list[str]
    matrix: np.ndarray


@dataclass(frozen=True)
class ModelVersion:
    """What a version's card says: what was trained, from which snapshot, how, and how well it did."""

    id: str
    family: str
    snapshot_id: str
    created_at: str
    config: dict[str, Any]
    metrics: dict[str, Any]
    labels: list[str]


class Registry:
    """Saves and opens versions under one folder; a version is whole or absent (written aside, then renamed)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(
        self,
        family: str,
        snapshot_id: str,
        vectors: Mapping[str, Vectors],
        config: Mapping[str, Any],
        metrics: Mapping[str, Any],
        files: Mapping[str, Path] | None = None,
    ) -> ModelVersion:
        """Keep a trained model.

        Args:
            vectors: by label.
            files: extra files or folders to copy in, by the name they get (checkpoint, curves, adapter).
        """
        created = utc_now()
        version = ModelVersion(
            id=f"{family}-{created:%y%m%d%H%M%S}-{secrets.token_hex(2)}",
            family=family,
            snapshot_id=snapshot_id,
            created_at=created.isoformat(timespec="seconds"),
            config=dict(config),
            metrics=dict(metrics),
            labels=list(vectors),
        )
        draft = self.folder / f".{version.id}"
        draft.mkdir(parents=True)
        for label, entry in vectors.items():
            _write(entry, draft / f"{label}.parquet")
        for name, path in (files or {}).items():
            copy = shutil.copytree if path.is_dir() else shutil.copy2
            copy(path, draft / name)
        (draft / CARD).write_text(json.dumps(asdict(version), indent=2, default=str))
        draft.rename(self.folder / version.id)
        return version

    def get(self, version_id: str) -> ModelVersion:
        """Read a version's card.

        Raises:
            InputError: no such version.
        """
        card = self.path(version_id) / CARD
        if not card.exists():
            raise InputError(f"no model version {version_id!r} in {self.folder}")
        return ModelVersion(**json.loads(card.read_text()))

    def path(self, version_id: str) -> Path:
        return self.folder / version_id

    def vectors(self, version_id: str, label: str) -> Vectors:
        return _read(self.path(version_id) / f"{label}.parquet")

    def list(self, family: str | None = None) -> list[ModelVersion]:
        """All versions, newest first."""
        cards = self.folder.glob(f"[!.]*/{CARD}")
        found = [ModelVersion(**json.loads(card.read_text())) for card in cards]
        return sorted(
            (version for version in found if family in (None, version.family)), key=lambda v: v.created_at, reverse=True
        )


def _write(entry: Vectors, path: Path) -> None:
    import pyarrow as pa  # not with the module: web processes read cards and no vectors
    import pyarrow.parquet as pq

    flat = pa.array(np.ascontiguousarray(entry.matrix, dtype=np.float32).ravel())
    vectors = pa.FixedSizeListArray.from_arrays(flat, entry.matrix.shape[1])
    pq.write_table(pa.table({"id": pa.array(entry.ids), "vector": vectors}), path)


def _read(path: Path) -> Vectors:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    matrix = table["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return Vectors(table["id"].to_pylist(), matrix.reshape(table.num_rows, -1).astype(np.float32, copy=False))
