"""The panel: one module a noun, each with its pages; every page asks for a sign-in."""

from __future__ import annotations

from flask import Flask

from shopgraph_web.admin import (
    dashboard,
    events,
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
    for module in (dashboard, products, users, nodes, neighbourhood, events, rules, jobs, releases, people, keys):
        app.register_blueprint(module.pages)
