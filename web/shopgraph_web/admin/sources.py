"""What the pages know of the sources: the currency of each one's amounts."""

from __future__ import annotations

from typing import Any

from flask import g

from shopgraph_web.backend import serving


def sources() -> list[dict[str, Any]]:
    """All sources; read once a request."""
    if "sources" not in g:
        record = serving().graph.record("sources_all")
        g.sources = record["sources"] if record else []
    return list(g.sources)


def currencies() -> dict[str, str]:
    return {source["id"]: source["currency"] or "" for source in sources()}
