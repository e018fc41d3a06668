"""MLflow: an experiment on a server, or an SQLite file in the run's folder."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from shopgraph.errors import ServiceError
from shopgraph.learning.dotted import dotted
from shopgraph.learning.tracker import PROJECT, required

LONGEST_PARAMETER, PARAMETERS_A_CALL = 6000, 100
"""Limits of MLflow's interface, in characters and in number."""


class MlflowTracker:
    """Speaks through MLflow's client object, which leaves MLflow's process-wide "active run" alone."""

    def __init__(self, folder: Path, address: str | None = None) -> None:
        """
        Args:
            address: a tracking server's, or any tracking URI; MLflow's own variables hold its credentials and timeouts.
        """
        self._client_class = required("mlflow.tracking", "mlflow").MlflowClient
        self._entities = required("mlflow.entities", "mlflow")
        self._failure = required("mlflow.exceptions", "mlflow").MlflowException
        self.folder = folder
        self.address = address or f"sqlite:///{folder.absolute() / 'mlflow.db'}"
        self._files = None if address else (folder.absolute() / "mlflow").as_uri()

    def start(self, config: Mapping[str, Any], run_id: str | None = None) -> str:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._client = self._asked(self._client_class, self.address)
        if run_id:
            self._run_id = run_id
            self._asked(self._client.update_run, run_id, status="RUNNING")
            return run_id
        self._run_id = self._asked(self._client.create_run, self._experiment()).info.run_id
        parameters = [
            self._entities.Param(permitted(name), str(value)[:LONGEST_PARAMETER])
            for name, value in dotted(config).items()
        ]
        for first in range(0, len(parameters), PARAMETERS_A_CALL):
            part = parameters[first : first + PARAMETERS_A_CALL]
            self._asked(self._client.log_batch, self._run_id, params=part)
        return self._run_id

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        now_ms = time.time_ns() // 1_000_000
        metrics = [self._entities.Metric(permitted(name), value, now_ms, step) for name, value in figures.items()]
        self._asked(self._client.log_batch, self._run_id, metrics=metrics)

    def finish(self, succeeded: bool, figures: Mapping[str, float]) -> None:
        self.log(0, {f"best.{name}": value for name, value in figures.items()})
        self._asked(self._client.set_terminated, self._run_id, "FINISHED" if succeeded else "FAILED")

    def _experiment(self) -> str:
        known = self._asked(self._client.get_experiment_by_name, PROJECT)
        return known.experiment_id if known else self._asked(self._client.create_experiment, PROJECT, self._files)

    def _asked(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        try:
            return call(*arguments, **named)
        except self._failure as error:
            raise ServiceError(f"MLflow at {self.address}: {str(error).splitlines()[0]}") from None


def permitted(name: str) -> str:
    """A figure's name in the characters that MLflow takes: `ndcg@20` as `ndcg_at_20`."""
    return re.sub(r"[^\w/.\- ]", "_", name.replace("@", "_at_"))
