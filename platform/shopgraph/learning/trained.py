"""What every embedding learner hands back, whatever it learned from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from shopgraph.learning.card import ModelCard, write_card
from shopgraph.registry import ModelVersion, Registry, Vectors


@dataclass(frozen=True)
class EpochRecord:
    """One line of a learning curve."""

    epoch: int
    """Counted from 1."""
    loss: float
    """Mean training loss of the epoch."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Figures on the holdout; empty in a refit."""
    seconds: float = 0.0


@dataclass(frozen=True)
class TrainedEmbedding:
    """Vectors by label with how they came to be.

    Shapes:
        vectors[label].matrix: (nodes of the label, dimension), float32, unit length, rows in the snapshot's order
    """

    family: str
    snapshot_id: str
    vectors: dict[str, Vectors]
    config: dict[str, Any]
    metrics: dict[str, float]
    """Figures of the best epoch on the holdout; of a refit, only its loss."""
    best_epoch: int
    """What a refit should train for."""
    curves: list[EpochRecord]
    files: dict[str, Path] = field(default_factory=dict)
    """The model's own files by the name the registry gives them."""
    segments: dict[str, dict[str, float]] = field(default_factory=dict)
    """Figures of the best epoch by segment (of users, of products)."""
    curve_unit: str = "epoch"
    """What one record of the curves stands for."""
    seeds: tuple[int, ...] = ()
    device: str = ""
    """Where it was trained."""
    terms: dict[str, str] = field(default_factory=dict)
    """Licence or terms of what it was made from, by source."""

    def __post_init__(self) -> None:
        for label, entry in self.vectors.items():
            norms = np.linalg.norm(entry.matrix, axis=1)
            if not np.allclose(norms, 1.0, atol=1e-3):
                worst = entry.ids[int(np.abs(norms - 1.0).argmax())]
                raise ValueError(f"{self.family} vectors of {label} are not of unit length, e.g. that of {worst}")

    def save(self, registry: Registry, shown: Mapping[str, Any] | None = None) -> ModelVersion:
        """Keep it as a new version, with its card as a page and its curves as a picture.

        Args:
            shown: figures for the card in place of its own; a refit, which nothing is left to judge, shows those of
                the version that chose its epochs.
        """
        metrics = dict(shown) if shown is not None else self._own_metrics()
        with TemporaryDirectory() as folder:
            files = {**self.files, **write_card(self._card(metrics), Path(folder))}
            return registry.save(self.family, self.snapshot_id, self.vectors, self.config, metrics, files)

    def _own_metrics(self) -> dict[str, Any]:
        """What the registry's card holds; the curves travel in it."""
        return {
            **self.metrics,
            "best_epoch": self.best_epoch,
            "segments": self.segments,
            "training": {"seeds": list(self.seeds), "device": self.device, "terms": self.terms},
            "curves": [asdict(record) for record in self.curves],
        }

    def _card(self, metrics: Mapping[str, Any]) -> ModelCard:
        return ModelCard(
            family=self.family,
            snapshot_id=self.snapshot_id,
            shapes={label: entry.matrix.shape for label, entry in self.vectors.items()},
            config=self.config,
            metrics={name: value for name, value in metrics.items() if name != "best_epoch"},
            best_epoch=self.best_epoch,
            curve=self.curves,
            curve_unit=self.curve_unit,
            segments=metrics.get("segments", {}),
            seeds=self.seeds,
            device=self.device,
            terms=self.terms,
        )
