"""One page of a list: a row more than is shown is asked for, so that nothing needs counting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import request

ROWS = 25
LAST = 400
"""Nobody pages further; a search narrows sooner, and skipping has its price."""


@dataclass(frozen=True)
class Page:
    number: int
    rows: list[dict[str, Any]]
    more: bool


def page_number() -> int:
    """The `page` of the request, 1 to LAST; anything else is the nearest of them."""
    return min(max(request.args.get("page", 1, type=int), 1), LAST)


def window(number: int, rows: int = ROWS) -> dict[str, int]:
    """`skip` and `limit` of a query."""
    return {"skip": (number - 1) * rows, "limit": rows + 1}


def cut(number: int, found: list[dict[str, Any]], rows: int = ROWS) -> Page:
    return Page(number, found[:rows], len(found) > rows and number < LAST)
