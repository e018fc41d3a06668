"""GET /api/v1/users/{user}/similar: users who buy alike."""

from __future__ import annotations

from flask import Response, abort
from pydantic import BaseModel, Field

from shopgraph.recommend.users_alike import MOST_ALIKE, users_alike
from shopgraph_web.api.answers import Failure, UserList, sent
from shopgraph_web.api.gate import api_addresses
from shopgraph_web.api.questions import AskedQuery
from shopgraph_web.backend import serving

api = api_addresses("users")


class UserPath(BaseModel):
    user: str = Field(min_length=1, max_length=200, description="the shop's own user id, or a pseudonym (u_...)")


class SimilarUsersQuery(AskedQuery):
    n: int = Field(MOST_ALIKE, ge=1, le=MOST_ALIKE, description="how many users")


@api.get("/users/<path:user>/similar", summary="Users who buy alike", responses={"200": UserList, "404": Failure})
def similar(path: UserPath, query: SimilarUsersQuery) -> Response:
    """The users who buy most like one user, by pseudonym, each with products that both bought."""
    found = users_alike(serving().graph, serving().pseudonym(path.user), serving().clock.now(), query.n)
    if found is None:
        abort(404, f"no user has the id {path.user!r}")
    return sent(UserList.model_validate(found))
