"""/api/v1/recommendations: what to show a user; /like: what is like some products; /batch: what to show many users."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from flask import Response
from pydantic import ConfigDict, Field, ValidationError, model_validator
from werkzeug.exceptions import UnprocessableEntity

from shopgraph.errors import InputError, OverdueError
from shopgraph.events.shown import ShownLog
from shopgraph.recommend.liking import MOST_LIKED, Liking, UnknownProductsError
from shopgraph.wiring_serving import Serving
from shopgraph_web.api.answers import BatchAnswer, BatchList, Failure, Fault, RecommendationList, sent
from shopgraph_web.api.gate import api_addresses
from shopgraph_web.api.questions import Id, PersonalQuery, ShownQuery
from shopgraph_web.api.shown import audience, shown
from shopgraph_web.backend import backend, serving
from shopgraph_web.failures import CODES, first_fault
from shopgraph_web.rate_limit import count_further

api = api_addresses("recommendations")

MOST_USERS = 100
"""Of a batch."""
BATCH_THREADS = 4
"""Of a batch's users, how many are answered at the same time: waiting for Neo4j is most of it."""


class RecommendationQuery(PersonalQuery):
    user: str = Field("", max_length=200, description="the shop's own user id, or a pseudonym (u_...)")
    session: str = Field("", max_length=200, description="the visit, as its events name it; enough without a user")

    @model_validator(mode="after")
    def _names_somebody(self) -> RecommendationQuery:
        if not (self.user or self.session):
            raise ValueError("a user or a session is needed")
        return self


class LikeBody(ShownQuery):
    model_config = ConfigDict(extra="forbid")

    like: list[Id] = Field(min_length=1, max_length=MOST_LIKED, description="ids of products to be like")
    unlike: list[Id] = Field([], max_length=MOST_LIKED, description="ids of products to be unlike")


class BatchBody(PersonalQuery):
    model_config = ConfigDict(extra="forbid")

    users: list[str] = Field(
        min_length=1, max_length=MOST_USERS, description="the shop's own user ids, or pseudonyms (u_...)"
    )


@api.get("/recommendations", summary="What to show a user", responses={"200": RecommendationList})
def recommend(query: RecommendationQuery) -> Response:
    """The best products for a user, each with the sources it came from and a reason.

    A visitor of whom nothing is known gets what is popular; `step` says so. What was looked at in this visit, and what
    was hidden, is left out. Where too little of what was chosen passes the filters, what is popular within them comes
    after it.
    """
    return sent(_recommended(serving(), backend().shown(), query))


@api.post(
    "/recommendations/like",
    summary="More like these, less like those",
    responses={"200": RecommendationList, "413": Failure},
)
def like(body: LikeBody) -> Response:
    """The products most like some and least like others, none of which is among them."""
    seen_by = audience(serving(), body.user, body.session)
    try:
        answer = serving().recommender.like_these(
            Liking(body.like, body.unlike),
            body.n,
            body.scenario,
            offset=body.offset,
            filters=body.filters,
            who=seen_by.who,
            session_id=seen_by.session,
        )
    except UnknownProductsError as error:
        raise UnprocessableEntity(str(error)) from None
    return sent(shown(answer, seen_by))


@api.post("/recommendations/batch", summary="What to show many users", responses={"200": BatchList, "413": Failure})
def batch(body: BatchBody) -> Response:
    """For each user what `GET /api/v1/recommendations` answers, or the error, in the order asked.

    All are asked with the same options; each counts as a request.
    """
    count_further(len(body.users) - 1)
    body.filters  # noqa: B018  bounds that leave nothing are everybody's error
    options = body.model_dump(exclude={"users"})
    with ThreadPoolExecutor(BATCH_THREADS, thread_name_prefix="batch") as threads:
        answers = list(threads.map(partial(_answered, serving(), backend().shown(), options), body.users))
    return sent(BatchList(answers=answers))


def _answered(found: Serving, log: ShownLog, options: dict[str, object], user: str) -> BatchAnswer:
    try:
        query = RecommendationQuery.model_validate({**options, "user": user})
        return BatchAnswer(user=user, answer=_recommended(found, log, query), error=None)
    except ValidationError as error:
        fault = Fault(code=CODES[422], message=first_fault(error))
    except InputError as error:
        fault = Fault(code=CODES[400], message=str(error))
    except OverdueError as error:  # a server that is gone is everybody's error
        fault = Fault(code=CODES[503], message=str(error))
    return BatchAnswer(user=user, answer=None, error=fault)


def _recommended(found: Serving, log: ShownLog, query: RecommendationQuery) -> RecommendationList:
    seen_by = audience(found, query.user, query.session)
    answer = found.recommender.recommend(
        seen_by.user,
        n=query.n,
        exclude_owned=query.exclude_owned,
        session_id=seen_by.session,
        filters=query.filters,
        scenario=query.scenario,
        diversity=query.diversity,
        offset=query.offset,
        in_full=query.explain == "full",
        new_only=query.new_only,
    )
    return shown(answer, seen_by, log)
