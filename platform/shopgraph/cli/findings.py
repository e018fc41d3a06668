"""`shopgraph missing` and `shopgraph odd-purchases`: what the vectors that serve tell a curator."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from shopgraph.cli.bars import Bars
from shopgraph.settings import load_settings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="How many to name.")]


def missing(
    relation: Annotated[str, typer.Argument(help="MADE_BY, WRITTEN_BY, IN_CATEGORY or HAS_ATTRIBUTE.")],
    limit: Limit = 20,
    depth: Annotated[int, typer.Option(min=1, max=50, help="Suggestions for each product.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Suggest what products that state nothing of a relation lead to, the surest first.

    Learned from the graph version that serves and the statements of its snapshot. Nothing is written.
    """
    from shopgraph import wiring_findings
    from shopgraph.wiring_training import build_training

    with build_training(load_settings()) as training, Bars(Console(stderr=True)) as bars:
        suggested = wiring_findings.missing_statements(training, relation, limit, depth, bars)
    if as_json:
        print(json.dumps(asdict(suggested)))
        return
    if not suggested.found:
        print(f"every product states {relation}: nothing is missing")
        return
    table = Table("product", "title", relation, "probability", title=_judged(suggested.metrics))
    for item in suggested.found:
        table.add_row(item.product, item.title, item.tail, f"{item.probability:.2f}")
    Console().print(table)


def odd_purchases(
    limit: Limit = 20,
    weeks: Annotated[int, typer.Option(min=2, max=52, help="Last weeks to learn what is usual from.")] = 8,
    as_json: AsJson = False,
) -> None:
    """Name the purchases of the last week that fit their user and their product least, the oddest first.

    Learned from the graph version that serves and the purchases of its snapshot. Nothing is written.
    """
    from shopgraph import wiring_findings
    from shopgraph.wiring_training import build_training

    with build_training(load_settings()) as training, Bars(Console(stderr=True)) as bars:
        odd = wiring_findings.odd_purchases(training, limit, weeks, bars)
    if as_json:
        print(json.dumps(asdict(odd), default=str))
        return
    told = f"{odd.flagged:,} of {odd.judged:,} purchases are odd; real above drawn in {odd.metrics['auc']:.0%} of pairs"
    table = Table("user", "product", "title", "bought", "plausibility", title=told)
    for item in odd.found:
        table.add_row(item.user, item.product, item.title, f"{item.at:%Y-%m-%d %H:%M}", f"{item.plausibility:.3f}")
    Console().print(table)


def _judged(metrics: dict[str, float]) -> str:
    return f"held-out statements: MRR {metrics['mrr']:.2f}, the most frequent {metrics['frequent.mrr']:.2f}"
