"""Products: the list with its search and filters, and one product with all that is known of it."""

from __future__ import annotations

import re
from typing import Any

from flask import abort, render_template, request

from shopgraph_web.admin.gate import panel_pages
from shopgraph_web.admin.nodes import read_node
from shopgraph_web.admin.paging import cut, page_number, window
from shopgraph_web.admin.sources import currencies
from shopgraph_web.backend import serving

pages = panel_pages("products", "/products")

STATES = {"on_sale": "On sale", "hidden": "Hidden", "retired": "Retired"}
LISTS = {"on_sale": "products_in_category", "hidden": "products_hidden", "retired": "products_retired"}
"""The query file of each state's list within a category."""
SIMILAR = 12
CATEGORIES = 500
_WORD = re.compile(r"\w+")


@pages.get("/")
def index() -> str:
    text = request.args.get("q", "").strip()[:200]
    state = request.args.get("state", "on_sale")
    if state not in STATES:
        abort(400, f"state {state!r} is not one of {', '.join(STATES)}")
    category = request.args.get("category") or None
    page = cut(page_number(), find_products(text, category, state, page_number()))
    categories = serving().graph.record("categories_top", limit=CATEGORIES)
    return render_template(
        "admin/products.html",
        page=page,
        text=text,
        state=state,
        states=STATES,
        category=category,
        categories=categories["categories"] if categories else [],
        currencies=currencies(),
    )


@pages.get("/<path:product_id>/similar")
def similar(product_id: str) -> str:
    """The fragment of similar products, with the reason of each."""
    return render_template("admin/_items.html", answer=serving().recommender.similar(product_id, n=SIMILAR))


@pages.get("/<path:product_id>")
def detail(product_id: str) -> str:
    node = read_node("Product", product_id)
    if node is None:
        abort(404, f"no product has the id {product_id!r}")
    return render_template("admin/product.html", node=node, currencies=currencies())


def find_products(text: str, category: str | None, state: str, page: int) -> list[dict[str, Any]]:
    """One page of the list: what matches a text, else all of a state in the order that suits it."""
    graph, part = serving().graph, window(page)
    if text:
        words, filters = lucene(text), {"state": state, "category": category}
        return _products(graph.record("products_search", text=words, id=text, **filters, **part))
    if state == "on_sale" and category is None:
        return _products(graph.record("products_on_sale", **part))
    return _products(graph.record(LISTS[state], category=category, **part))


def _products(record: dict[str, Any] | None) -> list[dict[str, Any]]:
    return list(record["products"]) if record else []


def lucene(text: str) -> str:
    """What was typed as a Lucene expression: every word must occur, the last one may be unfinished.

    Only letters and digits reach the parser, so that no punctuation can break it.
    """
    typed = [word.lower() for word in _WORD.findall(text)]
    if not typed:
        return '""'
    *whole, last = typed
    return " AND ".join([*whole, f"({last} OR {last}*)"])
