"""The door of the API: a blueprint whose every address asks for a key that may, and the answers all of them share."""

from __future__ import annotations

from functools import partial

from flask import abort, g, request
from flask_openapi3 import APIBlueprint, Tag

from shopgraph_web.api.answers import Failure
from shopgraph_web.keys import find_caller
from shopgraph_web.rate_limit import count

HEADER = "X-API-Key"


def api_addresses(name: str, scope: str = "recommend") -> APIBlueprint:
    """Addresses under /api/v1 that only answer to a key in force.

    Args:
        scope: what the key must have been let do, of `SCOPES`.
    """
    api = APIBlueprint(
        f"api_{name}",
        "shopgraph_web",
        url_prefix="/api/v1",
        abp_tags=[Tag(name=name)],
        abp_security=[{"api_key": []}],
        abp_responses={"400": Failure, "401": Failure, "403": Failure, "422": Failure, "429": Failure, "503": Failure},
    )
    api.before_request(partial(_keyed, scope))
    return api


def _keyed(scope: str) -> None:
    text = request.headers.get(HEADER, "")
    if not text:
        abort(401, f"send an API key in the header {HEADER}")
    found = find_caller(text)
    if found is None:
        abort(401, "this API key is unknown or revoked")
    if scope not in found.scopes:
        abort(403, f"this API key lacks the scope {scope!r}: it has {', '.join(found.scopes)}")
    count(found)
    g.api_key_title = found.title


def caller() -> str:
    """Whose key this request came with."""
    return str(g.api_key_title)
