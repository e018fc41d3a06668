"""GET /api/v1/search: products that answer a query."""

from __future__ import annotations

from pydantic import BaseModel, Field

from shopgraph_web.api.answers import RecommendationList
from shopgraph_web.api.gate import api_addresses
from shopgraph_web.backend import serving

api = api_addresses("search")


class SearchQuery(BaseModel):
    q: str = Field(min_length=1, max_length=200, description="what was typed")
    n: int = Field(20, ge=1, le=100, description="how many products")
    scenario: str = Field("", max_length=60, description="the place that it is for; its rules apply beside all others")


@api.get("/search", summary="What answers a query", responses={"200": RecommendationList})
def search(query: SearchQuery) -> dict[str, object]:
    """The best products for a query, by its words and by what it means.

    Before a text embedding serves, by words alone; `step` says so.
    """
    answer = serving().recommender.search(query.q, n=query.n, scenario=query.scenario)
    return RecommendationList.model_validate(answer).model_dump(mode="json")
