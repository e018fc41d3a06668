"""POST /api/v1/reasons/doubts: a reason that is wrong, filed so that a person judges the relation it rests on."""

from __future__ import annotations

from flask import abort
from pydantic import BaseModel, Field

from shopgraph.curation.doubt import file_doubt, last_of
from shopgraph.errors import InputError
from shopgraph_web.api.answers import Failure, ReasonStep
from shopgraph_web.api.gate import api_addresses, caller
from shopgraph_web.backend import serving

api = api_addresses("reasons", scope="events")


class Doubt(BaseModel):
    path: list[ReasonStep] = Field(min_length=3, max_length=20, description="of the reason, as the answer gave it")
    text: str = Field("", max_length=500, description="what is wrong with it, in words")


class Filed(BaseModel):
    id: str = Field(description="of the relation that will be judged")
    times: int = Field(description="how often it was doubted")


@api.post(
    "/reasons/doubts",
    summary="This reason is wrong",
    responses={"202": Filed, "400": Failure, "404": Failure, "413": Failure},
)
def doubt(body: Doubt) -> tuple[dict[str, object], int]:
    """File the relation by which a reason reaches its product: curators judge it in the panel."""
    doubted = last_of([dict(step) for step in body.path])
    try:
        times = file_doubt(serving().graph, doubted, by=caller(), text=body.text)
    except InputError as error:
        abort(404, str(error))
    return Filed(id=doubted.id, times=times).model_dump(), 202
