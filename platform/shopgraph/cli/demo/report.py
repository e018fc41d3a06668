"""What the demo ends with: times, accuracy beside popularity, sample recommendations with reasons, and a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from shopgraph.evaluation import DEPTH
from shopgraph.recommend.answer import Item
from shopgraph.recommend.page import MOST_ITEMS
from shopgraph.wiring_serving import Serving

SAMPLE_USERS = 5
SAMPLE_QUERY = "a snack for the children"
SAMPLE_FOUND = 5
TITLES = {
    "load": "load weeks 1–44 in bulk",
    "train": "train and publish",
    "score": "score weeks 49–53",
    "catch_up": "ingest weeks 45–53",
}


def time_table(stages: Mapping[str, Mapping[str, Any]], this_run_seconds: float) -> Table:
    table = Table("step", "seconds", "rate", title="Time", title_justify="left")
    rates = {
        "load": lambda f: f"{f['bulk_per_s']:,.0f} relations/s",
        "catch_up": lambda f: (
            f"{f['incremental_per_s']:,.0f} order lines/s ({f['with_catalogue_per_s']:,.0f} with nodes and catalogue), "
            f"export {f['export_per_s']:,.0f} relations/s"
        ),
    }
    for name, figures in stages.items():
        rate = rates[name](figures) if name in rates else ""
        table.add_row(TITLES.get(name, name), f"{figures['seconds']:.0f}", rate)
    table.add_section()
    table.add_row("all stages, when first done", f"{sum(figures['seconds'] for figures in stages.values()):.0f}", "")
    table.add_row("this run, to the panel", f"{this_run_seconds:.0f}", "")
    return table


def accuracy_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Figures at 20 on weeks 49 to 53, full ranking; the gain's interval is a paired bootstrap over households."""
    title = f"Weeks 49–53, {DEPTH} products a household, full ranking"
    columns = ("setting", "model", "Recall@20", "NDCG@20", "MRR", "coverage@20", "NDCG gain, 95 %")
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        gain = f"{row['gain_low']:+.4f} … {row['gain_high']:+.4f}" if "gain_low" in row else ""
        shown = (f"{row[f'{name}@{DEPTH}']:.4f}" for name in ("recall", "ndcg", "mrr", "coverage"))
        table.add_row(row["setting"], row["model"], *shown, gain)
    return table


def print_samples(serving: Serving, console: Console) -> None:
    """Five households, one recommendation each that they have not bought, with its reason; and what a query finds."""
    table = Table("household", "recommended", "because", title="Five recommendations", title_justify="left")
    for user in sample_users(serving):
        answer = serving.recommender.recommend(user, 5, exclude_owned=True)
        if answer.items:
            item = answer.items[0]
            table.add_row(user[:10] + "…", item.title, item.reason.text)
    console.print(table)
    found = Table("found", "because", title=f"A search for {SAMPLE_QUERY!r}", title_justify="left")
    by_title: dict[str, Item] = {}
    for item in serving.recommender.search(SAMPLE_QUERY, MOST_ITEMS).items:
        by_title.setdefault(item.title, item)
    for item in list(by_title.values())[:SAMPLE_FOUND]:
        found.add_row(item.title, item.reason.text)
    console.print(found)


def sample_users(serving: Serving) -> list[str]:
    """The first by pseudonym, which is as good as by lot."""
    page = serving.graph.wide("users_page", prefix="u_", after="", limit=SAMPLE_USERS)
    return [user["id"] for user in page["users"]]
