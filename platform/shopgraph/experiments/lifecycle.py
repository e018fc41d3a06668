"""Experiments from their begin to their stop: kept in the graph with who did what when, and never deleted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from shopgraph.errors import ConfigurationError, InputError, OverdueError
from shopgraph.experiments.report import report_of
from shopgraph.graph.connection import Graph, Record
from shopgraph.recommend.experiment import Experiment, Variant
from shopgraph.recommend.place import Places
from shopgraph.recommend.standing import read_standing
from shopgraph.schema import RANKER
from shopgraph.settings import utc_now
from shopgraph.tracking import new_run_id


def new_experiment_id() -> str:
    """It is the salt by which users are dealt out too: each experiment deals anew."""
    return new_run_id("experiment")


def read_variants(given: Mapping[str, Any]) -> tuple[Variant, ...]:
    """Variants by name, the control first: each an object of what it changes, and its `weight` where it is not 1.

    Raises:
        InputError: one is no object, or its weight is no number.
    """
    variants = []
    for name, said in given.items():
        if not isinstance(said, Mapping):
            raise InputError(f"{name}: a variant is an object of what it changes, not {said!r}")
        changes = dict(said)
        weight = changes.pop("weight", 1.0)
        if isinstance(weight, bool) or not isinstance(weight, int | float):
            raise InputError(f"{name}: weight = {weight!r}: not a number")
        variants.append(Variant(name, float(weight), changes))
    return tuple(variants)


def begin(graph: Graph, places: Places, experiment: Experiment, *, by: str) -> None:
    """Start an experiment; the very next answer at its place follows it.

    Args:
        places: what the variants change.
        by: who decides it.

    Raises:
        InputError: there is no such place, a variant can't be made, another experiment runs there, or its variants
            would differ for strangers alone.
    """
    if experiment.scenario not in places.named:
        raise InputError(f"{experiment.scenario!r} is no place: choose from {', '.join(places.named)}")
    try:
        for_strangers = places.differs_for_strangers_alone(experiment)
    except ConfigurationError as error:
        raise InputError(str(error)) from None
    if for_strangers and RANKER in read_standing(graph, None).versions:
        raise InputError(
            "users whom the ranker knows would get the same of every variant, since it ranks in place of the sources "
            'that they weigh: change something else too, or set "ranker": false in each'
        )
    (running,) = graph.write(
        "experiment_begun",
        id=experiment.id,
        name=experiment.name,
        scenario=experiment.scenario,
        kind=experiment.kind,
        variants=experiment.variants_json,
        by=by,
        at=utc_now(),
        said=_said("begun", by),
    )
    if running["id"] != experiment.id:
        raise InputError(f"{running['name']} ({running['id']}) runs at {experiment.scenario}: stop it first")


def stop(graph: Graph, experiment_id: str, *, by: str) -> None:
    """Stop an experiment: everybody gets what the place has; what was found until now stays with it.

    Raises:
        InputError: no running experiment has that id.
    """
    experiment = find(graph, experiment_id)
    try:
        kept = json.dumps(asdict(report_of(graph, experiment)), default=str)
    except OverdueError:  # it must stop all the same; what was shown is kept, and the report made anew
        kept = None
    stopped = graph.write(
        "experiment_stopped", id=experiment_id, by=by, at=utc_now(), said=_said("stopped", by), report=kept
    )
    if not stopped:
        raise InputError(f"{experiment_id} does not run")


def resume(graph: Graph, experiment_id: str, *, by: str) -> None:
    """Take a stop back; everybody sees the variant they saw.

    Raises:
        InputError: no stopped experiment has that id, or another one runs at its place.
    """
    node = find(graph, experiment_id)
    if not graph.write("experiment_resumed", id=experiment_id, said=_said("resumed", by)):
        raise InputError(f"{experiment_id} runs already, or another experiment runs at {node['scenario']}")


def find(graph: Graph, experiment_id: str) -> Record:
    """The node of an experiment.

    Raises:
        InputError: there is none of that id.
    """
    found = graph.single("experiments_listed", id=experiment_id)["experiments"] if experiment_id else []
    if not found:
        raise InputError(f"no experiment has the id {experiment_id!r}")
    return found[0]


def list_experiments(graph: Graph) -> list[Record]:
    """All experiments, those that run first, then the latest first."""
    return list(graph.single("experiments_listed", id="")["experiments"])


def _said(what: str, by: str) -> str:
    return f"{what} {utc_now():%Y-%m-%d %H:%M} UTC by {by}"
