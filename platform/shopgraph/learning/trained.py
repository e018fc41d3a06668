"""What every embedding learner hands back, whatever it learned from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

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

    def __post_init__(self) -> None:
        for label, entry in self.vectors.items():
            norms = np.linalg.norm(entry.matrix, axis=1)
            if not np.allclose(norms, 1.0, atol=1e-3):
                worst = entry.ids[int(np.abs(norms - 1.0).argmax())]
                raise ValueError(f"{self.family} vectors of {label} are not of unit length, e.g. that of {worst}")

    def save(self, registry: Registry) -> ModelVersion:
        """Keep it as a new version; its curves travel in the card's metrics."""
        metrics = {**self.metrics, "best_epoch": self.best_epoch, "curves": [asdict(record) for record in self.curves]}
        return registry.save(self.family, self.snapshot_id, self.vectors, self.config, metrics, self.files)
