"""The panel: one module a noun, each with its pages; every page asks for a sign-in."""

from __future__ import annotations

from flask import Flask

from shopgraph_web.admin import (
    dashboard,
    doubts,
    events,
    experiments,
    jobs,
    keys,
    neighbourhood,
    nodes,
    people,
    products,
    releases,
    rules,
    users,
)


def register(app: Flask) -> None:
    catalogue = (dashboard, products, users, nodes, neighbourhood)
    for module in (*catalogue, events, rules, experiments, doubts, jobs, releases, people, keys):
        app.register_blueprint(module.pages)
