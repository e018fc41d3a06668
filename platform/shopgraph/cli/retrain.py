"""`shopgraph retrain`: queue a retraining and follow it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from shopgraph.errors import ConfigurationError, ShopgraphError
from shopgraph.jobs import TRAINABLE, Family, Jobs, RetrainRequest, read_config, usual_config
from shopgraph.settings import load_settings
from shopgraph.tracking import Run, RunLog
from shopgraph.wiring_serving import broker_url, open_graph

POLL_SECONDS = 0.5
ENDED = ("succeeded", "failed", "cancelled")


def retrain(
    *,
    before: Annotated[datetime | None, typer.Option(help="Learn from behaviour before this (UTC), not now.")] = None,
    holdout_weeks: Annotated[int, typer.Option(min=1, max=52, help="Last weeks that judge the candidate.")] = 4,
    holdout_file: Annotated[str | None, typer.Option(help="A Parquet of later purchases that judges instead.")] = None,
    refit: Annotated[bool, typer.Option(help="Learn once more from everything before publishing.")] = True,
    families: Annotated[str, typer.Option(help="What to train: graph, text, ranker.")] = "graph,text,ranker",
    config: Annotated[str | None, typer.Option(help="JSON by family, or a file of it: fields to set anew.")] = None,
    force: Annotated[bool, typer.Option(help="Publish even where the candidate is worse than what serves.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the run until it ends.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Queue a retraining: export, train, evaluate, publish.

    Without --config the operator's own counts, SHOPGRAPH_RETRAIN_CONFIG, as it does at night.
    A config such as {"graph": {"encoder": "gat", "options": {"heads": 4}}} chooses encoder, loss, negatives and more;
    {"graph": {"text_features": true}} lets the graph learn from the products' texts.
    """
    settings, asked = load_settings(), _families(families)
    request = RetrainRequest(
        before=before and before.replace(tzinfo=before.tzinfo or UTC),
        holdout_weeks=holdout_weeks,
        holdout_file=holdout_file,
        refit=refit,
        families=asked,
        config=usual_config(settings, asked) if config is None else read_config(config, "--config", asked),
        force=force,
    )
    with open_graph(settings) as graph:
        runs = RunLog(graph)
        jobs = Jobs(broker_url(settings), runs.queue)
        run_id = jobs.retrain(request)
        said = Console(stderr=True, highlight=False)
        said.print(f"run {run_id} is queued")
        idle = [queue for queue, workers in jobs.ping().items() if not workers]
        if idle:
            said.print(f"[yellow]no worker listens to {', '.join(idle)}: start one with 'shopgraph worker'[/yellow]")
        run = _follow(runs, run_id, said) if wait else _run(runs, run_id)
    if as_json:
        print(json.dumps({"run": run.id, "status": run.status, "summary": run.summary, "error": run.error}))
    elif run.status == "succeeded":
        print(f"run {run.id} succeeded: release {run.summary.get('release')}")
    if run.status == "failed":
        raise ShopgraphError(f"run {run.id} failed: {run.error}")


def _families(text: str) -> list[Family]:
    names = {name.strip() for name in text.split(",") if name.strip()}
    if not names or names - set(TRAINABLE):
        raise ConfigurationError(f"--families {text!r}: choose from {','.join(TRAINABLE)}")
    return [family for family in TRAINABLE if family in names]


def _run(runs: RunLog, run_id: str) -> Run:
    run = runs.get(run_id)
    if run is None:
        raise ShopgraphError(f"run {run_id} is no longer in the run log")
    return run


def _follow(runs: RunLog, run_id: str, said: Console) -> Run:
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[message]}"),
    )  # fmt: skip
    with Progress(*columns, console=said) as bars:
        shown = bars.add_task("queued", total=None, message="")
        try:
            while (run := _run(runs, run_id)).status not in ENDED:
                if run.step and run.step != bars.tasks[shown].description:
                    bars.reset(shown, description=run.step)
                bars.update(shown, completed=run.done, total=run.total or None, message=run.message)
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            said.print(f"no longer following: run {run_id} goes on; the panel's jobs page shows it")
            raise typer.Exit(130) from None
    return run
