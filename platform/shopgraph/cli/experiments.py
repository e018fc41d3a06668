"""`shopgraph experiments` and `shopgraph scenarios`: what is tried at which place, and what it found."""

from __future__ import annotations

import getpass
import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from shopgraph.experiments import lifecycle
from shopgraph.experiments.report import Conversion, Report, report_of
from shopgraph.experiments.statistics import Estimate
from shopgraph.recommend.experiment import AB, KINDS, Experiment
from shopgraph.settings import load_settings, read_json
from shopgraph.wiring_serving import build_serving, open_graph, recommend_config

app = typer.Typer(help="Try variants of a place's answers on its users, and see what they did.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[str, typer.Argument(help="Its id, as 'experiments list' shows it.")]


@app.command()
def start(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    variants: Annotated[
        str,
        typer.Argument(
            help="JSON, or a file of it, by variant of what it changes, the control first, e.g. "
            '{"control": {}, "varied": {"weight": 1, "diversity": 0.3, "ranker": false, "fusion": {}}}'
        ),
    ],
    scenario: Annotated[str, typer.Option(help="The place, as 'scenarios' lists them.")],
    kind: Annotated[str, typer.Option(help=", ".join(KINDS))] = AB,
) -> None:
    """Start an experiment; the very next answer at its place follows it."""
    read = lifecycle.read_variants(read_json(variants, "variants"))
    experiment = Experiment(lifecycle.new_experiment_id(), name, scenario, kind, read)
    with build_serving(load_settings()) as serving:
        lifecycle.begin(serving.graph, serving.recommender.places, experiment, by=getpass.getuser())
    print(experiment.id)


@app.command()
def stop(experiment: Id) -> None:
    """Stop an experiment: everybody gets what the place has, and what was found is kept."""
    with open_graph(load_settings()) as graph:
        lifecycle.stop(graph, experiment, by=getpass.getuser())
    print(f"{experiment} is stopped; 'shopgraph experiments resume {experiment}' takes that back")


@app.command()
def resume(experiment: Id) -> None:
    """Take a stop back: everybody sees the variant they saw."""
    with open_graph(load_settings()) as graph:
        lifecycle.resume(graph, experiment, by=getpass.getuser())
    print(f"{experiment} runs again")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List all experiments, those that run first."""
    with open_graph(load_settings()) as graph:
        found = lifecycle.list_experiments(graph)
    if as_json:
        print(json.dumps(found, default=str))
        return
    table = Table("experiment", "name", "place", "kind", "variants", "history", "")
    for node in found:
        names = ", ".join(variant.name for variant in Experiment.read(node).variants)
        state = "runs" if node["running"] else "stopped"
        table.add_row(
            node["id"], node["name"], node["scenario"], node["kind"], names, "\n".join(node["history"]), state
        )
    Console().print(table)


@app.command()
def report(experiment: Id, as_json: AsJson = False) -> None:
    """Say what users did with what each variant showed them, and how sure that is."""
    with open_graph(load_settings()) as graph:
        found = report_of(graph, lifecycle.find(graph, experiment))
    if as_json:
        print(json.dumps(asdict(found), default=str))
        return
    console = Console(highlight=False)
    console.print(f"{found.name} at {found.scenario}, {found.kind}, from {found.begun_at:%Y-%m-%d %H:%M} UTC on")
    console.print(_table(found))
    for outcome, won in found.wins.items():
        console.print(
            f"{outcome}: {won.first:,} users chose more of the first, {won.second:,} of the second, {won.ties:,} as "
            f"much of both; the second's share {_interval(won.share)}, p = {won.p_value:.2g}"
        )
    if found.sample_ratio_p is not None:
        console.print(f"users dealt out as the weights say: p = {found.sample_ratio_p:.2g}")
    for warning in found.warnings:
        console.print(f"[red]warning:[/red] {warning}", soft_wrap=True)


def _table(found: Report) -> Table:
    table = Table("variant", "users", "answers", "outcome", "products", "of users", "more than control")
    for variant in found.variants:
        for number, (outcome, told) in enumerate(variant.outcomes.items()):
            first = (variant.name, f"{variant.users:,}", f"{variant.answers:,}") if not number else ("", "", "")
            table.add_row(*first, outcome, f"{told.products:,}", _interval(told.share), _apart(told))
    return table


def _apart(told: Conversion) -> str:
    return "-" if told.difference is None else _interval(told.difference, "+")


def _interval(estimate: Estimate, sign: str = "") -> str:
    """In percent."""
    value, low, high = (f"{100 * each:{sign}.2f}" for each in (estimate.value, estimate.low, estimate.high))
    return f"{value} % ({low} to {high})"


def scenarios(as_json: AsJson = False) -> None:
    """List the places that have blends and a ranker of their own, and what each has."""
    found = recommend_config(load_settings()).scenarios
    if as_json:
        told = {
            name: {
                "ranker": place.ranker,
                "diversity": place.diversity,
                "fusion": {
                    setting: {"weights": dict(blend.weights), "rank_offset": blend.rank_offset}
                    for setting, blend in vars(place.fusion).items()
                },
            }
            for name, place in found.items()
        }
        print(json.dumps(told))
        return
    table = Table("place", "ranker", "diversity", "similar", "like", "session")
    for name, place in found.items():
        blends = (place.fusion.similar, place.fusion.like, place.fusion.session)
        told_blends = [", ".join(f"{source} {weight:g}" for source, weight in each.weights.items()) for each in blends]
        ranker = place.ranker if isinstance(place.ranker, str) else "yes" if place.ranker else "no"
        table.add_row(name, ranker, f"{place.diversity:g}", *told_blends)
    Console().print(table)
