"""`shopgraph evaluate`: how often what is served was right, by what users bought since it was learned."""

from __future__ import annotations

import json
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from shopgraph.cli.bars import Bars
from shopgraph.errors import InputError
from shopgraph.recommend.backtest import Line, backtest, open_trial
from shopgraph.settings import load_settings
from shopgraph.wiring_serving import build_serving

MOST_USERS = 300
"""By default: a figure within a few hundredths of itself in minutes."""


def evaluate(
    *,
    sources: Annotated[bool, typer.Option("--sources", help="Judge each candidate source alone too.")] = False,
    only: Annotated[str | None, typer.Option(help="Sources to judge, separated by commas.")] = None,
    users: Annotated[int, typer.Option(min=0, help="Users to judge, drawn at random; 0 for all.")] = MOST_USERS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge recommend(), beside popularity, by what users bought since the serving release was learned.

    Each answer is as of the newest event that the release and the derived relations carry: none sees what judges it.
    Sources are the query files in use, others of the house, and those in SHOPGRAPH_CYPHER_PATH.
    """
    settings = load_settings()
    with build_serving(settings) as serving, Bars(Console(stderr=True)) as bars:
        asked = _asked(serving.recommender.sources, sources, only)
        trial = open_trial(serving.graph, serving.recommender, users or None, settings.seed)
        lines = list(backtest(serving.recommender, trial, asked, bars))
    rows = [_row(line) for line in lines]
    if as_json:
        print(json.dumps({"as_of": trial.cut.isoformat(), "left_out": trial.left_out, "rows": rows}))
        return
    console = Console(highlight=False)
    for setting in dict.fromkeys(row["setting"] for row in rows):
        console.print(_table(setting, [row for row in rows if row["setting"] == setting]))
    console.print(f"as of {trial.cut:%Y-%m-%d %H:%M} UTC; {trial.left_out} users whose vectors are newer are left out")


def _asked(known: list[str], each: bool, only: str | None) -> list[str]:
    if only is None:
        return known if each else []
    named = [name.strip() for name in only.split(",") if name.strip()]
    unknown = next((name for name in named if name not in known), None)
    if unknown is not None:
        raise InputError(f"--only: {unknown!r} is no source that can be asked about a user: {', '.join(known)}")
    return named


def _row(line: Line) -> dict[str, Any]:
    means, ndcg = line.figures.means(), line.figures.ndcg
    return {
        "setting": line.setting,
        "model": line.model,
        "told": line.asked_with,
        "answered": line.answered,
        **means,
        "standard_error": float(np.std(ndcg, ddof=1) / np.sqrt(len(ndcg))) if len(ndcg) > 1 else None,
        "median_ms": line.median_ms,
    }


def _table(setting: str, rows: list[dict[str, Any]]) -> Table:
    """The best first."""
    table = Table(title=f"{setting}, {rows[0]['users']:.0f} users", title_justify="left")
    table.add_column("model")
    table.add_column("told of a user")
    for name in ("answered", "NDCG@20", "±", "Recall@20", "coverage@20", "median ms"):
        table.add_column(name, justify="right")
    for row in sorted(rows, key=lambda row: -row["ndcg@20"]):
        error, median = row["standard_error"], row["median_ms"]
        table.add_row(
            row["model"].replace("_", " "),
            row["told"],
            f"{row['answered']:.0%}",
            f"{row['ndcg@20']:.4f}",
            "" if error is None else f"{error:.4f}",
            f"{row['recall@20']:.4f}",
            f"{row['coverage@20']:.4f}",
            "" if median is None else f"{median:.0f}",
        )
    return table
