"""The JSON API, version 1: one module a noun; described at /api/openapi.json."""

from __future__ import annotations

from flask import jsonify
from flask_openapi3 import OpenAPI

from shopgraph_web.api import events, experiments, health, products, reasons, recommendations, search, users
from shopgraph_web.protection import csrf


def register(app: OpenAPI) -> None:
    for module in (recommendations, products, search, users, events, experiments, reasons, health):
        csrf.exempt(module.api)
        app.register_api(module.api)
    events.describe(app)
    app.add_url_rule("/api/openapi.json", "openapi", lambda: jsonify(app.api_doc))
