"""`shopgraph rank`: lists of products for users who came lately, ready before they are asked for."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from shopgraph.cli.bars import Bars
from shopgraph.recommend.rank_ahead import forget_lists
from shopgraph.settings import load_settings
from shopgraph.wiring_serving import open_graph, rank_ahead_now


def rank(
    *,
    forget: Annotated[bool, typer.Option("--forget", help="Use no lists from now on, and make none.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rank products ahead for users who came lately, and what is like the products sold most, as every night.

    Who does something afterwards is answered live again until the next time.
    """
    settings = load_settings()
    if forget:
        with open_graph(settings) as graph:
            forget_lists(graph)
        print("no lists are used until the next are made")
        return
    with open_graph(settings) as graph, Bars(Console(stderr=True)) as bars:
        started = time.monotonic()
        ranked = rank_ahead_now(graph, settings, bars)
        seconds = time.monotonic() - started
    if as_json:
        print(json.dumps({**(asdict(ranked) if ranked else {}), "seconds": round(seconds, 3)}, default=str))
    elif ranked is None:
        print("no release serves: publish one first, with 'shopgraph retrain'")
    else:
        print(f"lists for {ranked.users} users and {ranked.products} products of {ranked.release} in {seconds:.1f} s")
