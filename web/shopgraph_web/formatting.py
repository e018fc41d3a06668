"""How pages write numbers, money and moments, and where each node has its page."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import Flask, url_for

from shopgraph.schema import NEVER

OWN_PAGES = frozenset({"Product", "User"})
"""Labels with a page of their own; every other node has the generic one."""


def number(value: float | None) -> str:
    """12,345 or 0.137; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}" if abs(value) < 1 else f"{value:,.2f}"


def money(value: float | None, currency: str = "") -> str:
    return "–" if value is None else f"{value:,.2f} {currency}".rstrip()


def native(value: Any) -> Any:
    """A driver's date and time as Python's own."""
    return value.to_native() if hasattr(value, "to_native") else value


def when(value: Any) -> str:
    """25 Dec 2017, 19:06 UTC; a dash where there is none."""
    moment = native(value)
    return f"{moment:%-d %b %Y, %H:%M} UTC" if isinstance(moment, datetime) else "–"


def day(value: Any) -> str:
    moment = native(value)
    return f"{moment:%-d %b %Y}" if isinstance(moment, datetime) else "–"


def words(name: str) -> str:
    """`HAS_ATTRIBUTE` and `household_size` as people read them."""
    return name.replace("_", " ").lower().capitalize()


def cell(value: Any) -> str:
    """Any property's value."""
    value = native(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return "never" if value >= NEVER else when(value)
    if isinstance(value, int | float):
        return number(value)
    return str(value)


def retired(product: dict[str, Any]) -> bool:
    moment = native(product.get("retired_at"))
    return moment is not None and moment < NEVER


def node_title(item: dict[str, Any]) -> str:
    """What a node is called: its title, name or text, else its id."""
    node = item.get("node") or {}
    return next((str(node[key]) for key in ("title", "name", "text", "value") if node.get(key)), str(item["id"]))


def node_url(label: str, node_id: str) -> str:
    if label == "Product":
        return url_for("products.detail", product_id=node_id)
    if label == "User":
        return url_for("users.detail", user_id=node_id)
    return url_for("nodes.detail", label=label, id=node_id)


def register(app: Flask) -> None:
    filters: tuple[Callable[..., str], ...] = (number, money, when, day, words, cell)
    for function in filters:
        app.add_template_filter(function)
    for answer in (node_url, node_title, retired):
        app.add_template_global(answer)
