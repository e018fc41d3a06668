"""The steps of a retraining: each takes ids that earlier steps put out, and puts out ids."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from shopgraph.errors import InputError, PublishError
from shopgraph.jobs import RetrainRequest
from shopgraph.tracking import Progress
from shopgraph.wiring_ranking import train_ranker_version
from shopgraph.wiring_training import Training
from shopgraph_workers.run_state import RunState

Step = Callable[[Training, RetrainRequest, RunState, Path, Progress], dict[str, Any]]


def export(training: Training, request: RetrainRequest, state: RunState, work: Path, progress: Progress) -> dict:
    """Cut the snapshot, and hold its last weeks out unless later purchases are given in a file."""
    snapshot_id = training.export(request.before, progress)
    if not request.holds_out:
        return {"snapshot": snapshot_id, "learned": snapshot_id, "holdout": str(request.holdout_file)}
    learned, holdout = training.hold_out(snapshot_id, request.holdout_weeks, work)
    return {"snapshot": snapshot_id, "learned": learned, "holdout": str(holdout)}


def train_graph(training: Training, request: RetrainRequest, state: RunState, work: Path, progress: Progress) -> dict:
    if "graph" not in request.families:
        return {}
    exported = state.outputs["retrain.export"]
    config = request.config.get("graph", {})
    version = training.train_graph(exported["learned"], Path(exported["holdout"]), work / "graph", config, progress)
    return {"version": version}


def evaluate(training: Training, request: RetrainRequest, state: RunState, work: Path, progress: Progress) -> dict:
    """Judge the candidate on the held-out weeks; a worse one ends the run here, unless it is forced."""
    version = state.output("retrain.train_graph", "version")
    if version is None:
        return {}
    exported = state.outputs["retrain.export"]
    verdict = training.evaluate(version, exported["learned"], Path(exported["holdout"]), progress)
    if not verdict.passed and not request.force:
        raise PublishError(f"not published: {verdict.reason}")
    return {"metrics": verdict.metrics, "reason": verdict.reason}


def refit(training: Training, request: RetrainRequest, state: RunState, work: Path, progress: Progress) -> dict:
    """Learn once more from everything, where something was held out."""
    version = state.output("retrain.train_graph", "version")
    if version is None or not (request.refit and request.holds_out):
        return {"version": version} if version else {}
    snapshot_id = state.output("retrain.export", "snapshot")
    return {"version": training.refit_graph(version, snapshot_id, work / "graph-refit", progress)}


def train_text(training: Training, request: RetrainRequest, state: RunState, work: Path, progress: Progress) -> dict:
    """Text comes after the graph, whose vectors are its input: those just trained, or those that serve."""
    if "text" not in request.families:
        return {}
    config = request.config.get("text", {})
    snapshot_id, graph = state.output("retrain.export", "snapshot"), state.output("retrain.refit", "version")
    return {"version": training.train_text(snapshot_id, work / "text", config, progress, graph)}


def train_ranker(training: Training, request: RetrainRequest, state: RunState, work: Path, progress: Progress) -> dict:
    """What ranks comes last: the graph's vectors are one of its sources. Too little to learn from holds nothing up."""
    if "ranker" not in request.families:
        return {}
    snapshot_id, graph = state.output("retrain.export", "snapshot"), state.output("retrain.refit", "version")
    config, text = request.config.get("ranker", {}), state.output("retrain.train_text", "version")
    try:
        return {"version": train_ranker_version(training, snapshot_id, work / "ranker", config, progress, graph, text)}
    except InputError as error:
        if request.families == ["ranker"]:
            raise
        progress("ranker", 1, 1, f"none: {error}")
        return {"reason": str(error)}


def publish(training: Training, request: RetrainRequest, state: RunState, work: Path, progress: Progress) -> dict:
    """Derive what serving reads, then switch the release."""
    snapshot_id = state.output("retrain.export", "snapshot")
    training.derive(snapshot_id, progress)
    steps = {"graph": "retrain.refit", "text": "retrain.train_text", "ranker": "retrain.train_ranker"}
    trained = {family: state.output(step, "version") for family, step in steps.items()}
    versions = {family: version for family, version in trained.items() if version}
    return {"release": training.publish(versions, snapshot_id, progress), **versions}


STEPS: dict[str, Step] = {
    "retrain.export": export,
    "retrain.train_graph": train_graph,
    "retrain.evaluate": evaluate,
    "retrain.refit": refit,
    "retrain.train_text": train_text,
    "retrain.train_ranker": train_ranker,
    "retrain.publish": publish,
}


def summary(state: RunState) -> dict[str, Any]:
    """What the run log keeps of a finished run."""
    found: dict[str, Any] = {"snapshot": state.output("retrain.export", "snapshot")}
    found |= state.outputs.get("retrain.publish", {})
    metrics = state.outputs.get("retrain.evaluate", {}).get("metrics")
    return found | ({"metrics": metrics} if metrics else {})
