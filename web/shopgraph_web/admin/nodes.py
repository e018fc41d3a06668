"""Any node of the graph, driven by the schema: its properties, and its relations grouped by type and capped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import abort, redirect, render_template, request
from flask.typing import ResponseReturnValue

from shopgraph.schema import NODES, RELATIONS
from shopgraph_web.admin.gate import panel_pages
from shopgraph_web.backend import serving
from shopgraph_web.formatting import OWN_PAGES, node_url

pages = panel_pages("nodes", "/nodes")

CAP = 12
STAMPS = ("popularity", "source", "run", "updated_at")
"""Shown after what a source says: what was derived, and who wrote the node last."""

PHRASES = {
    ("PURCHASED", "out"): "Bought",
    ("PURCHASED", "in"): "Bought by",
    ("VIEWED", "out"): "Looked at",
    ("VIEWED", "in"): "Looked at by",
    ("SEARCHED", "out"): "Searched for",
    ("SEARCHED", "in"): "Searched by",
    ("RATED", "out"): "Rated",
    ("RATED", "in"): "Rated by",
    ("MADE_BY", "out"): "Brand",
    ("MADE_BY", "in"): "Products of the brand",
    ("WRITTEN_BY", "out"): "Written by",
    ("WRITTEN_BY", "in"): "Wrote",
    ("IN_CATEGORY", "out"): "Category",
    ("IN_CATEGORY", "in"): "Products in it",
    ("CHILD_OF", "out"): "Part of",
    ("CHILD_OF", "in"): "Divided into",
    ("HAS_ATTRIBUTE", "out"): "Attributes",
    ("HAS_ATTRIBUTE", "in"): "Products with it",
    ("BOUGHT_WITH", "out"): "Bought together with",
    ("BOUGHT_WITH", "in"): "Suggested beside it",
    ("SIMILAR_TO", "out"): "Buys like",
    ("SIMILAR_TO", "in"): "Like whom these buy",
}


@dataclass(frozen=True)
class Node:
    """One node as a page shows it."""

    label: str
    id: str
    properties: dict[str, Any]
    groups: list[dict[str, Any]]
    """By type and direction: `type`, `direction`, `total`, and at most CAP `items`."""

    @property
    def title(self) -> str:
        found = (self.properties.get(name) for name in ("title", "name", "text", "value"))
        return next((str(value) for value in found if value), self.id)

    @property
    def documented(self) -> dict[str, str]:
        """What the schema says each property is."""
        return {item.name: item.doc for item in NODES[self.label].properties}


def read_node(label: str, node_id: str) -> Node | None:
    """Read a node with its relations; None when there is none."""
    graph = serving().graph
    names = [*(item.name for item in NODES[label].properties), *STAMPS]
    found = graph.record("node_properties", label=label, id=node_id, names=names)
    if found is None:
        return None
    record = graph.record("node_relations", label=label, id=node_id, cap=CAP)
    order = list(RELATIONS)
    groups = sorted(record["groups"] if record else [], key=lambda group: order[::-1].index(group["type"]))
    for group in groups:
        group["phrase"] = PHRASES[group["type"], group["direction"]]
        group["items"] = [item for item in group["items"] if item["label"] in NODES]  # a visit has no page
    return Node(label, node_id, dict(found["properties"]), groups)


@pages.get("/<label>")
def detail(label: str) -> ResponseReturnValue:
    node_id = request.args.get("id", "")
    if label not in NODES:
        abort(404, f"no label is called {label!r}")
    if label in OWN_PAGES:
        return redirect(node_url(label, node_id))
    node = read_node(label, node_id)
    if node is None:
        abort(404, f"no {label} has the id {node_id!r}")
    return render_template("admin/node.html", node=node)
