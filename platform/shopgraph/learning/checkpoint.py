"""What a killed run goes on from: parameters, optimiser, schedule and curve of its last whole epoch, in one file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from shopgraph.errors import InputError
from shopgraph.learning.trained import EpochRecord

CHECKPOINT = "checkpoint.pt"


class Stateful(Protocol):
    """What moves the parameters: torch's optimisers, and `Updater`, whose state holds its schedule's."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any], /) -> None: ...


@dataclass
class Outcome:
    """Where a run stands; what its checkpoint holds beside the parameters."""

    curve: list[EpochRecord] = field(default_factory=list)
    best_epoch: int = 0
    best_value: float = float("-inf")
    best_state: dict[str, torch.Tensor] = field(default_factory=dict)
    tracked_as: dict[str, str] = field(default_factory=dict)
    """This run's id by kind of tracker, so that a resumed run adds to the same."""

    @property
    def epoch(self) -> int:
        """The last whole one; 0 before the first."""
        return len(self.curve)


@dataclass(frozen=True)
class Checkpoint:
    """The file of one run, with the parts that it keeps the state of."""

    path: Path
    identity: Mapping[str, Any]
    """What the run is of (snapshot, config, seed)."""
    model: nn.Module
    optimiser: Stateful

    def keep(self, outcome: Outcome) -> None:
        """Write the present state; a kill meanwhile leaves the one before."""
        draft = self.path.with_suffix(".draft")
        stored = {
            "identity": dict(self.identity),
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "curve": [asdict(record) for record in outcome.curve],
            "best": (outcome.best_epoch, outcome.best_value, outcome.best_state),
            "tracked_as": outcome.tracked_as,
        }
        torch.save(stored, draft)
        draft.replace(self.path)

    def resume(self) -> Outcome:
        """Bring model and optimiser to the kept state, whatever device it was kept from; nothing kept is a fresh start.

        Raises:
            InputError: the file is that of another run, or can't be read.
        """
        if not self.path.exists():
            return Outcome()
        try:
            stored = torch.load(self.path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, UnpicklingError):
            raise InputError(f"{self.path} is no whole checkpoint: move it away to start anew") from None
        wrong = sorted(name for name in self.identity if stored["identity"].get(name) != self.identity[name])
        if wrong:
            raise InputError(
                f"{self.path} is the checkpoint of a run with another {', '.join(wrong)}: move it away to start anew"
            )
        self.model.load_state_dict(stored["model"])
        self.optimiser.load_state_dict(stored["optimiser"])
        curve = [EpochRecord(**record) for record in stored["curve"]]
        best_epoch, best_value, best_state = stored["best"]
        return Outcome(curve, best_epoch, best_value, best_state, stored.get("tracked_as", {}))


def fingerprint(*arrays: np.ndarray) -> str:
    """What a checkpoint knows arrays by: 16 hexadecimal digits of their values."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
