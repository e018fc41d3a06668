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
from shopgraph.evaluation import paired_bootstrap
from shopgraph.recommend.backtest import Line, backtest, open_trial
from shopgraph.recommend.search_trial import (
    JUDGED,
    Joining,
    joinings,
    open_search_trial,
    share_of_words,
    with_share,
)
from shopgraph.settings import Settings, load_settings
from shopgraph.wiring_serving import build_search, build_serving, recommend_config

MOST_USERS = 300
"""By default: a figure within a few hundredths of itself in minutes."""
MOST_QUERIES = 300


def evaluate(
    *,
    sources: Annotated[bool, typer.Option("--sources", help="Judge each candidate source alone too.")] = False,
    only: Annotated[str | None, typer.Option(help="Sources to judge, separated by commas.")] = None,
    users: Annotated[int, typer.Option(min=0, help="Users to judge, drawn at random; 0 for all.")] = MOST_USERS,
    searches: Annotated[
        bool, typer.Option("--searches", help="Judge search instead, by how loudly words and vectors speak in it.")
    ] = False,
    queries: Annotated[int, typer.Option(min=0, help="Queries to judge, drawn at random; 0 for all.")] = MOST_QUERIES,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Judge recommend(), beside popularity, by what users bought since the serving release was learned.

    Each answer is as of the newest event that the release and the derived relations carry: none sees what judges it.
    Sources are the query files in use, others of the house, and those in SHOPGRAPH_CYPHER_PATH.

    With --searches, what users viewed or bought after their searches since then judges search, for several shares of
    words and vectors, and the best is told as a setting.
    """
    settings = load_settings()
    if searches:
        if sources or only is not None:
            raise InputError("--searches judges search alone: leave out --sources and --only")
        _evaluate_searches(settings, queries or None, as_json)
        return
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


def _evaluate_searches(settings: Settings, most: int | None, as_json: bool) -> None:
    with build_serving(settings) as serving, Bars(Console(stderr=True)) as bars:
        present = recommend_config(settings).fusion.search
        trial = open_search_trial(serving.graph, serving.recommender.known_until(), most, settings.seed)
        if serving.recommender.search(next(iter(trial.led_to))).step != "search":
            raise InputError(
                "words alone answer searches here: the serving release names no text version, or its query encoder was "
                "not exported to this machine; there is nothing to join them with"
            )
        found = joinings(lambda blend: build_search(serving, blend, JUDGED), present, trial, bars)
    best = found[0]
    now = next(joining for joining in found if joining.share == share_of_words(present))
    gain = paired_bootstrap(best.ndcg, now.ndcg, settings.seed)
    setting = {"search": {"weights": dict(with_share(present, best.share).weights)}}
    rows = [_joining_row(joining) for joining in sorted(found, key=lambda joining: joining.share)]
    told = {
        "as_of": trial.cut.isoformat(),
        "queries": len(trial.led_to),
        "rows": rows,
        "present": now.share,
        "best": best.share,
        "gain": {"difference": gain.difference, "low": gain.low, "high": gain.high},
        "setting": setting,
    }
    if as_json:
        print(json.dumps(told))
        return
    console = Console(highlight=False)
    console.print(_joinings_table(rows, now.share, best.share))
    console.print(f"{len(trial.led_to)} queries since {trial.cut:%Y-%m-%d %H:%M} UTC that led to a product")
    if gain.low > 0:
        console.print(
            f"SHOPGRAPH_FUSION='{json.dumps(setting)}' would serve the best: {gain.difference:+.4f} "
            f"({gain.low:+.4f} to {gain.high:+.4f})",
            soft_wrap=True,
        )
    else:
        console.print("no other share is better than the present one beyond chance")


def _joining_row(joining: Joining) -> dict[str, Any]:
    ndcg = joining.ndcg
    error = float(np.std(ndcg, ddof=1) / np.sqrt(len(ndcg))) if len(ndcg) > 1 else None
    return {"share_of_words": joining.share, "ndcg@10": float(ndcg.mean()), "standard_error": error}


def _joinings_table(rows: list[dict[str, Any]], now: float, best: float) -> Table:
    table = Table(title="search", title_justify="left")
    for name in ("words", "vectors", "NDCG@10", "±"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in rows:
        share, error = row["share_of_words"], row["standard_error"]
        said = [word for word, is_so in (("as it serves", share == now), ("best", share == best)) if is_so]
        shares = f"{share:.0%}", f"{1 - share:.0%}"
        table.add_row(*shares, f"{row['ndcg@10']:.4f}", "" if error is None else f"{error:.4f}", ", ".join(said))
    return table


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
