"""Where a run's curve can be watched: TensorBoard, Weights & Biases or MLflow, chosen by name.

The package of a tracker is imported only where it is chosen. Without an address nothing leaves the machine.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from shopgraph.errors import ConfigurationError

TRACKERS = ("none", "tensorboard", "wandb", "mlflow")
PROJECT = "shopgraph"
"""What runs are filed under where a server holds those of others too."""


class Tracker(Protocol):
    """What a training run tells of itself: a start, a log an epoch, a finish."""

    def start(self, config: Mapping[str, Any], run_id: str | None = None) -> str:
        """Begin a run, or go on with the one that an earlier start named; its id.

        Raises:
            ServiceError: the tracker's server can't be used; `log` and `finish` raise it too.
        """

    def log(self, step: int, figures: Mapping[str, float]) -> None: ...

    def finish(self, succeeded: bool, figures: Mapping[str, float]) -> None:
        """Close the run with the figures that it ends with: its best epoch's."""


class Untracked:
    """The tracker of a run that nobody watches."""

    def start(self, config: Mapping[str, Any], run_id: str | None = None) -> str:
        return run_id or ""

    def log(self, step: int, figures: Mapping[str, float]) -> None: ...

    def finish(self, succeeded: bool, figures: Mapping[str, float]) -> None: ...


UNTRACKED = Untracked()


class TensorBoardTracker:
    """Event files, a folder a run; `tensorboard --logdir` over the folder above shows the runs side by side."""

    def __init__(self, folder: Path) -> None:
        self._tensorboard = required("torch.utils.tensorboard", "train")
        self.folder = folder / "tensorboard"

    def start(self, config: Mapping[str, Any], run_id: str | None = None) -> str:
        run_id = run_id or secrets.token_hex(4)
        self._writer = self._tensorboard.SummaryWriter(str(self.folder / run_id))
        self._writer.add_text("config", f"```\n{json.dumps(dict(config), indent=2, default=str)}\n```")
        return run_id

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def finish(self, succeeded: bool, figures: Mapping[str, float]) -> None:
        self._writer.add_text("ended", "succeeded" if succeeded else "failed")
        for name, value in figures.items():
            self._writer.add_scalar(f"best/{name}", value)
        self._writer.close()


def open_tracker(name: str, folder: Path, address: str | None = None) -> Tracker:
    """The tracker of a name.

    Args:
        name: one of `TRACKERS`.
        folder: the run's; what is kept on this machine goes there.
        address: of a Weights & Biases or MLflow server; without one both keep files under `folder`.

    Raises:
        ConfigurationError: an unknown name, an address for what has no server, or a package that is not installed.
    """
    if name not in TRACKERS:
        raise ConfigurationError(f"tracker {name!r}: choose from {', '.join(TRACKERS)}")
    if name == "wandb":
        from shopgraph.learning.wandb_tracker import WandbTracker

        return WandbTracker(folder, address)
    if name == "mlflow":
        from shopgraph.learning.mlflow_tracker import MlflowTracker

        return MlflowTracker(folder, address)
    if address:
        raise ConfigurationError(f"tracker {name!r} has no server: leave out its address, {address}")
    return TensorBoardTracker(folder) if name == "tensorboard" else UNTRACKED


def required(module: str, extra: str) -> ModuleType:
    """A module of a package that only an extra of ours installs.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{module} needs the package {error.name!r}, which is not installed: pip install 'shopgraph[{extra}]'"
        ) from None
