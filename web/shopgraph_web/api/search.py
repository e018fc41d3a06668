"""GET /api/v1/search: products that answer a query."""

from __future__ import annotations

from flask import Response
from pydantic import Field

from shopgraph_web.api.answers import RecommendationList, sent
from shopgraph_web.api.gate import api_addresses
from shopgraph_web.api.questions import ShownQuery
from shopgraph_web.api.shown import audience, shown
from shopgraph_web.backend import serving

api = api_addresses("search")


class SearchQuery(ShownQuery):
    q: str = Field(min_length=1, max_length=200, description="what was typed")


@api.get("/search", summary="What answers a query", responses={"200": RecommendationList})
def search(query: SearchQuery) -> Response:
    """The best products for a query, by its words and by what it means.

    Before a text embedding serves, by words alone; `step` says so.
    """
    seen_by = audience(serving(), query.user, query.session)
    answer = serving().recommender.search(
        query.q,
        query.n,
        query.scenario,
        offset=query.offset,
        filters=query.filters,
        who=seen_by.who,
        session_id=seen_by.session,
    )
    return sent(shown(answer, seen_by))
