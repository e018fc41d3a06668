"""POST /api/v1/events: what just happened, one event or many; accepted once durable, whether Neo4j answers or not."""

from __future__ import annotations

from flask import request
from flask_openapi3 import OpenAPI, RawModel
from flask_openapi3.models import Reference, Schema
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import UnprocessableEntity

from shopgraph.events.event import Event, FieldError, parsed
from shopgraph_web.api.answers import Failure
from shopgraph_web.api.gate import api_addresses
from shopgraph_web.backend import backend

api = api_addresses("events", scope="events")

ONE, MANY = "application/json", "application/x-ndjson"
BULK_BYTES = 512 * 2**20
"""A million lines and some."""


class Events(RawModel):
    mimetypes: list[str] = [ONE, MANY]  # noqa: RUF012  an instance variable of pydantic's, read from the class


class RefusedLine(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    line: int = Field(description="counted from 1")
    field: str
    reason: str


class Receipt(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    accepted: int = Field(description="events that are kept, and will be in the graph within moments")
    lines: int = Field(description="lines that were read")
    refused: list[RefusedLine] = Field(description="the first 10,000 lines that can't be used, with why")
    unlisted: int = Field(0, description="how many more can't be used")


@api.post("/events", summary="What just happened", responses={"202": Receipt, "413": Failure})
def accept(raw: Events) -> tuple[dict[str, object], int]:
    """One event as JSON, or many as JSON Lines (application/x-ndjson).

    An event with an `event_id` counts once however often it is sent. The next recommendation of its user or session
    reflects it; `shopgraph events types` says what each type means.
    """
    intake = backend().intake()
    if request.mimetype == MANY:
        request.max_content_length = BULK_BYTES
        receipt = intake.accept_lines(request.stream)
        return Receipt.model_validate(receipt).model_dump(mode="json"), 202
    try:
        intake.accept(parsed(request.get_data()))
    except FieldError as error:
        raise UnprocessableEntity(str(error)) from None
    return Receipt(accepted=1, lines=1, refused=[], unlisted=0).model_dump(mode="json"), 202


def describe(app: OpenAPI) -> None:
    """Say in the description what an event is: the body is read as it comes, so no model of it is found there."""
    schema = Event.model_json_schema(ref_template="#/components/schemas/{model}")
    app.components_schemas["Event"] = Schema(**schema)
    body = app.paths["/api/v1/events"].post.requestBody
    body.content[ONE].media_type_schema = Reference.model_validate({"$ref": "#/components/schemas/Event"})
