"""Weights & Biases: online where it is given an address, else in files that can be sent later."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shopgraph.errors import ServiceError
from shopgraph.learning.dotted import dotted
from shopgraph.learning.tracker import PROJECT, required


class WandbTracker:
    """One run a training; the offline files lie in `<folder>/wandb`, and `wandb sync` sends them."""

    def __init__(self, folder: Path, address: str | None = None) -> None:
        """
        Args:
            address: https://api.wandb.ai or an own server; wandb itself reads the key for it (`wandb login`).
        """
        self._wandb = required("wandb", "wandb")
        self.folder, self.address = folder, address

    def start(self, config: Mapping[str, Any], run_id: str | None = None) -> str:
        self.folder.mkdir(parents=True, exist_ok=True)
        online = {"mode": "online", "resume": "allow"} if self.address else {"mode": "offline"}
        try:
            self._run = self._wandb.init(
                project=PROJECT,
                dir=str(self.folder),
                config=dotted(config),
                id=run_id,
                settings=self._quiet(),
                **online,
            )
        except self._wandb.Error as error:
            raise ServiceError(f"Weights & Biases at {self.address or self.folder}: {error}") from None
        return self._run.id

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        self._run.log(dict(figures), step=step)

    def finish(self, succeeded: bool, figures: Mapping[str, float]) -> None:
        self._run.summary.update({f"best.{name}": value for name, value in figures.items()})
        self._run.finish(exit_code=0 if succeeded else 1)

    def _quiet(self) -> Any:
        """Figures and config are sent, and nothing about the code, the packages or the machine."""
        address = {"base_url": self.address} if self.address else {}
        return self._wandb.Settings(
            silent=True,
            console="off",
            disable_code=True,
            disable_git=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
            **address,
        )
