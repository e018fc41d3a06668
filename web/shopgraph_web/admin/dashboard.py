"""The first page: what the graph holds, what serves, what ran."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

from flask import Response, jsonify, render_template

from shopgraph import publish
from shopgraph.schema import NODES, RELATIONS
from shopgraph_web.admin.gate import panel_pages
from shopgraph_web.admin.sources import sources
from shopgraph_web.backend import serving
from shopgraph_web.formatting import native

pages = panel_pages("dashboard", "/")

RUNS = 6
WEEKS = 52

_kept: dict[tuple[int, datetime | None], list[dict[str, Any]]] = {}
_counting = threading.Lock()


@pages.get("/")
def index() -> str:
    graph = serving().graph
    counts = _counts()
    return render_template(
        "admin/dashboard.html",
        counts=counts,
        vacant=not any(counts["nodes"].values()),
        sources=sources(),
        release=publish.serving(graph),
        runs=serving().runs.recent(RUNS),
    )


def _counts() -> dict[str, dict[str, int]]:
    """How many of each label and relation, in the order of the schema."""
    record = serving().graph.record("graph_counts") or {"nodes": {}, "relations": {}}
    return {
        "nodes": {label: record["nodes"].get(label, 0) for label in NODES},
        "relations": {name: record["relations"].get(name, 0) for name in RELATIONS},
    }


@pages.get("/purchases-by-week.json")
def purchases_by_week() -> Response:
    """Order lines of each of the last 52 weeks: `{"weeks": ["2017-12-18", ...], "lines": [21044, ...]}`."""
    weeks = _purchases_by_week()
    return jsonify(weeks=[f"{week['start']:%Y-%m-%d}" for week in weeks], lines=[week["lines"] for week in weeks])


def _purchases_by_week() -> list[dict[str, Any]]:
    """Counted anew only when a purchase was added since: the count walks every line of the year."""
    span = serving().graph.record("purchases_span") or {"total": 0, "newest": None}
    newest = native(span["newest"])
    state = (span["total"], newest)
    with _counting:
        if state not in _kept:
            _kept.clear()
            _kept[state] = _count(newest) if newest else []
        return _kept[state]


def _count(newest: datetime) -> list[dict[str, Any]]:
    end = newest.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    starts = [end - timedelta(weeks=back) for back in range(WEEKS, 0, -1)]
    record = serving().graph.record("purchases_by_week", starts=starts)
    found = [{"start": native(week["start"]), "lines": week["lines"]} for week in record["weeks"]] if record else []
    first = next((number for number, week in enumerate(found) if week["lines"]), 0)
    return found[first:]
