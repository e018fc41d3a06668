"""`shopgraph recommend`, `shopgraph similar` and `shopgraph search`: what a shopper would see, with the reasons."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from shopgraph.recommend.answer import Recommendations
from shopgraph.recommend.filters import Filters
from shopgraph.settings import load_settings
from shopgraph.wiring_serving import build_serving

Count = Annotated[int, typer.Option("--n", help="How many products.")]
SHOWN_SHARES = 5
Category = Annotated[list[str] | None, typer.Option(help="Only of this category, a whole path; may repeat.")]
MinPrice = Annotated[float | None, typer.Option(min=0, help="Only at this price or above.")]
MaxPrice = Annotated[float | None, typer.Option(min=0, help="Only at this price or below.")]
Exclude = Annotated[list[str] | None, typer.Option(help="Not this product; may repeat.")]
Scenario = Annotated[str, typer.Option(help="The place it is for; rules of that place apply too.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def recommend(
    user: Annotated[str, typer.Argument(help="The shop's own user id, or a pseudonym (u_...).")],
    n: Count = 20,
    novel: Annotated[bool, typer.Option("--novel", help="Leave out what the user has bought.")] = False,
    session: Annotated[str, typer.Option("--session", help="The visit, as its events name it.")] = "",
    new_only: Annotated[bool, typer.Option("--new-only", help="Only what nobody has bought yet.")] = False,
    scenario: Scenario = "",
    category: Category = None,
    min_price: MinPrice = None,
    max_price: MaxPrice = None,
    exclude: Exclude = None,
    diversity: Annotated[float, typer.Option(min=0, max=1, help="How unlike each other products have to be.")] = 0.0,
    explain: Annotated[bool, typer.Option("--explain", help="Say in full what each place rests on.")] = False,
    as_json: AsJson = False,
) -> None:
    """Recommend products to a user, and say why."""
    with build_serving(load_settings()) as serving:
        visit = serving.session(session) if session else ""
        answer = serving.recommender.recommend(
            serving.pseudonym(user),
            n,
            novel,
            session_id=visit,
            filters=Filters(exclude or (), category or (), min_price, max_price),
            scenario=scenario,
            diversity=diversity,
            in_full=explain,
            new_only=new_only,
        )
    _show(answer, as_json)


def similar(
    product: Annotated[str, typer.Argument(help="A product's id, e.g. cj:1029743.")],
    n: Count = 20,
    scenario: Scenario = "",
    category: Category = None,
    min_price: MinPrice = None,
    max_price: MaxPrice = None,
    exclude: Exclude = None,
    as_json: AsJson = False,
) -> None:
    """List the products most like one product, and say why."""
    filters = Filters(exclude or (), category or (), min_price, max_price)
    with build_serving(load_settings()) as serving:
        answer = serving.recommender.similar(product, n, scenario, filters=filters)
    _show(answer, as_json)


def search(
    query: Annotated[str, typer.Argument(help="What a shopper would type.")],
    n: Count = 20,
    scenario: Scenario = "",
    category: Category = None,
    min_price: MinPrice = None,
    max_price: MaxPrice = None,
    exclude: Exclude = None,
    as_json: AsJson = False,
) -> None:
    """Find products by the words of a query and by what it means, and say which of both."""
    filters = Filters(exclude or (), category or (), min_price, max_price)
    with build_serving(load_settings()) as serving:
        answer = serving.recommender.search(query, n, scenario, filters=filters)
    _show(answer, as_json)


def _show(answer: Recommendations, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(answer), default=str))
        return
    table = Table("product", "title", "reason", "sources")
    for item in answer.items:
        told = [source.replace("_", " ") for source in item.sources]
        if item.detail is not None:
            told = [_added(added) for added in (item.detail.sources, item.detail.features) if added]
            told += [f"without {product} {-lost:+.3g}" for product, lost in _leant_on(item.detail.purchases)]
        table.add_row(item.id, item.title, item.reason.text, ", ".join(told))
    console = Console(highlight=False)
    console.print(table)
    stands_on = ", ".join([answer.release or "no release yet", *answer.versions.values()])
    if answer.note:
        console.print(f"[yellow]note:[/yellow] {answer.note}", soft_wrap=True)
    console.print(f"{answer.step}, as of {answer.as_of:%Y-%m-%d %H:%M} UTC, {stands_on}", soft_wrap=True)


def _leant_on(purchases: Mapping[str, float]) -> list[tuple[str, float]]:
    return [(product, lost) for product, lost in purchases.items() if lost > 0][:SHOWN_SHARES]


def _added(shares: Mapping[str, float]) -> str:
    """The greatest shares in words."""
    first = list(shares.items())[:SHOWN_SHARES]
    return ", ".join(f"{name.replace('_', ' ')} {added:+.3g}" for name, added in first)
