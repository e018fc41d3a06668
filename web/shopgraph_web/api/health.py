"""GET /api/v1/health: whether this can serve; asks for no key."""

from __future__ import annotations

from flask_openapi3 import APIBlueprint, Tag

from shopgraph import publish
from shopgraph_web.api.answers import Failure, Health
from shopgraph_web.backend import serving

api = APIBlueprint("api_health", "shopgraph_web", url_prefix="/api/v1", abp_tags=[Tag(name="health")])


@api.get("/health", summary="Whether this can serve", responses={"200": Health, "503": Failure})
def health() -> dict[str, object]:
    """503 while Neo4j does not answer."""
    active = publish.serving(serving().graph)
    return Health(status="ok", release=active.id if active else None).model_dump()
