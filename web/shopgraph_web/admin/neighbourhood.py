"""The neighbourhood of a node as a drawing that grows at each click."""

from __future__ import annotations

from flask import Response, abort, jsonify, render_template, request

from shopgraph.neighbourhood import neighbourhood
from shopgraph.schema import NODES
from shopgraph_web.admin.gate import panel_pages
from shopgraph_web.backend import serving

pages = panel_pages("neighbourhood", "/neighbourhood")

LIMIT_MAX = 25


@pages.get("/")
def index() -> str:
    return render_template("admin/neighbourhood.html", labels=list(NODES), **_asked())


@pages.get("/around.json")
def around() -> Response:
    """Nodes and relations around one node, for the drawing."""
    asked = _asked()
    limit = min(max(request.args.get("limit", 8, type=int), 1), LIMIT_MAX)
    found = neighbourhood(serving().graph, asked["label"], asked["node_id"], limit)
    if not found["nodes"]:
        abort(404, f"no {asked['label']} has the id {asked['node_id']!r}")
    return jsonify(found)


def _asked() -> dict[str, str]:
    label = request.args.get("label", "Product")
    if label not in NODES:
        abort(400, f"label {label!r} is not one of {', '.join(NODES)}")
    return {"label": label, "node_id": request.args.get("id", "").strip()}
