"""The nodes and relations around one node, as data for a drawing that grows where it is clicked."""

from __future__ import annotations

from typing import Any

from shopgraph.errors import InputError
from shopgraph.graph.connection import Graph
from shopgraph.schema import NODES

PER_TYPE = 12
"""Most relations of one type and direction that are drawn around a node."""


def neighbourhood(graph: Graph, label: str, node_id: str, limit: int = PER_TYPE) -> dict[str, list[dict[str, Any]]]:
    """What surrounds one node, at most `limit` relations of each type and direction, however many there are.

    Returns:
        `nodes`: `{label, id, title}`, the asked one first; `edges`: `{type, source, target}`, where source and target
        are `label + NUL + id`. Both are empty when there is no such node.

    Raises:
        InputError: the label is not one of the schema's.
    """
    if label not in NODES:
        raise InputError(f"label {label!r} is not one of {', '.join(NODES)}")
    found = graph.record("around", label=label, id=node_id, cap=limit)
    if found is None:
        return {"nodes": [], "edges": []}
    centre = _key(label, node_id)
    nodes = {centre: {"label": label, "id": node_id, "title": found["title"] or node_id}}
    edges: dict[tuple[str, str, str], dict[str, Any]] = {}
    for relation in found["relations"]:
        if relation["label"] not in NODES:
            continue  # a visit: it has no page, and nothing to grow
        far = _key(relation["label"], relation["id"])
        title = relation["title"] or relation["id"]
        nodes.setdefault(far, {"label": relation["label"], "id": relation["id"], "title": title})
        source, target = (centre, far) if relation["out"] else (far, centre)
        # several purchases of one product are one line in the drawing
        edges[relation["type"], source, target] = {"type": relation["type"], "source": source, "target": target}
    return {"nodes": list(nodes.values()), "edges": list(edges.values())}


def _key(label: str, node_id: str) -> str:
    return f"{label}\0{node_id}"
