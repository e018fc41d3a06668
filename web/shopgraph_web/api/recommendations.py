"""GET /api/v1/recommendations: what to show a user."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, model_validator

from shopgraph.recommend.filters import Filters
from shopgraph_web.api.answers import RecommendationList
from shopgraph_web.api.gate import api_addresses
from shopgraph_web.backend import serving

api = api_addresses("recommendations")


class RecommendationQuery(BaseModel):
    user: str = Field("", max_length=200, description="the shop's own user id, or a pseudonym (u_...)")
    session: str = Field("", max_length=200, description="the visit, as its events name it; enough without a user")
    n: int = Field(20, ge=1, le=100, description="how many products")
    exclude_owned: bool = Field(False, description="leave out what the user bought before")
    exclude: list[str] = Field([], max_length=500, description="product ids that are not shown")
    category: list[str] = Field([], max_length=50, description="only of these categories, whole paths of any level")
    min_price: float | None = Field(None, ge=0, description="only at this price or above, in the source's currency")
    max_price: float | None = Field(None, ge=0, description="only at this price or below")
    scenario: str = Field("", max_length=60, description="the place that it is for; its rules apply beside all others")
    diversity: float = Field(0.0, ge=0, le=1, description="how unlike each other products have to be")
    explain: Literal["path", "full"] = Field(
        "path", description="full: say what each place rests on too, and choose each path by what adds most"
    )

    @model_validator(mode="after")
    def _names_somebody(self) -> RecommendationQuery:
        if not (self.user or self.session):
            raise ValueError("a user or a session is needed")
        return self


@api.get("/recommendations", summary="What to show a user", responses={"200": RecommendationList})
def recommend(query: RecommendationQuery) -> dict[str, object]:
    """The best products for a user, each with the sources it came from and a reason.

    A visitor of whom nothing is known gets what is popular; `step` says so. What was looked at in this visit, and what
    was hidden, is left out. Where too little of what was chosen passes the filters, what is popular within them comes
    after it.
    """
    answer = serving().recommender.recommend(
        serving().pseudonym(query.user) if query.user else "",
        n=query.n,
        exclude_owned=query.exclude_owned,
        session_id=serving().session(query.session) if query.session else "",
        filters=Filters(query.exclude, query.category, query.min_price, query.max_price),
        scenario=query.scenario,
        diversity=query.diversity,
        in_full=query.explain == "full",
    )
    return RecommendationList.model_validate(answer).model_dump(mode="json")
