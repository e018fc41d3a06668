"""What a run has done so far, as a file: a step that finished is never done again, whoever is handed its task."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from shopgraph.jobs import RETRAIN_STEPS, RetrainRequest
from shopgraph_workers.lease import LeaseLostError

STATE = "run.json"


@dataclass(frozen=True)
class RunState:
    """A run's request, how it stands, and the ids its finished steps put out."""

    id: str
    request: dict[str, Any]
    status: str = "running"
    error: str | None = None
    reported: bool = False
    """Whether the run log has been told how it ended."""
    fence: int = 0
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def next_step(self) -> str | None:
        return next((step for step in RETRAIN_STEPS if step not in self.outputs), None)

    def output(self, step: str, name: str) -> Any:
        """An id that a step put out; None where it put out none, or was not reached."""
        return self.outputs.get(step, {}).get(name)


class RunFolder:
    """Keeps the states of runs, and a work folder for each, under one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def work(self, run_id: str) -> Path:
        path = self.folder / run_id
        path.mkdir(parents=True, exist_ok=True)
        return path

    def open(self, run_id: str, request: RetrainRequest, fence: int) -> RunState:
        """The run's state, begun when it is new; the fencing number is noted before anything is done under it."""
        state = self.read(run_id) or RunState(run_id, request.model_dump(mode="json"))
        state = replace(state, fence=max(fence, state.fence))
        self._write(state, fence)
        return state

    def read(self, run_id: str) -> RunState | None:
        try:
            return RunState(**json.loads((self.folder / run_id / STATE).read_text()))
        except FileNotFoundError:
            return None

    def record(self, state: RunState, step: str, output: dict[str, Any], fence: int) -> RunState:
        state = replace(state, outputs={**state.outputs, step: output})
        self._write(state, fence)
        return state

    def close(self, state: RunState, status: str, fence: int, error: str | None = None) -> RunState:
        state = replace(state, status=status, error=error)
        self._write(state, fence)
        return state

    def tidy(self, run_id: str) -> None:
        """Remove the work of a run that has ended: checkpoints and encodings are as large as the models."""
        for path in self.work(run_id).iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)

    def mark_reported(self, state: RunState) -> None:
        self._write(replace(state, reported=True), state.fence)

    def open_ends(self) -> list[RunState]:
        """Runs that some process began and none has closed, or whose end the run log has not been told."""
        found = (self.read(path.parent.name) for path in sorted(self.folder.glob(f"*/{STATE}")))
        return [state for state in found if state is not None and not state.reported]

    def _write(self, state: RunState, fence: int) -> None:
        newest = self.read(state.id)
        if newest is not None and newest.fence > fence:
            raise LeaseLostError(f"run {state.id} was taken over by another process")
        draft = self.work(state.id) / f".{STATE}"
        draft.write_text(json.dumps(asdict(state), indent=1))
        draft.replace(self.folder / state.id / STATE)
