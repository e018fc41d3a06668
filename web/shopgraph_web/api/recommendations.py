"""GET /api/v1/recommendations: what to show a user."""

from __future__ import annotations

from pydantic import BaseModel, Field

from shopgraph_web.api.answers import RecommendationList
from shopgraph_web.api.gate import api_addresses
from shopgraph_web.backend import serving

api = api_addresses("recommendations")


class RecommendationQuery(BaseModel):
    user: str = Field(min_length=1, max_length=200, description="the shop's own user id, or a pseudonym (u_...)")
    n: int = Field(20, ge=1, le=100, description="how many products")
    exclude_owned: bool = Field(False, description="leave out what the user bought before")
    diversity: float = Field(0.0, ge=0, le=1, description="how unlike each other products have to be")


@api.get("/recommendations", summary="What to show a user", responses={"200": RecommendationList})
def recommend(query: RecommendationQuery) -> dict[str, object]:
    """The best products for a user, each with the sources it came from and a reason.

    A user without history gets what is popular; `step` says so.
    """
    user = serving().pseudonym(query.user)
    answer = serving().recommender.recommend(
        user, n=query.n, exclude_owned=query.exclude_owned, diversity=query.diversity
    )
    return RecommendationList.model_validate(answer).model_dump(mode="json")
