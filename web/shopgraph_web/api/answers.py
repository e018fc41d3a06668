"""The shapes of the API's answers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from flask import Response
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict  # pydantic takes the standard library's from Python 3.12 on


def sent(answer: BaseModel) -> Response:
    """As JSON, in one pass: by way of a dictionary it takes three times as long."""
    return Response(answer.model_dump_json(), mimetype="application/json")


class Fault(BaseModel):
    code: str = Field(description="stable, for programs", examples=["not_found"])
    message: str = Field(description="one line, for people")


class Failure(BaseModel):
    """Every answer that is not a success has this shape."""

    error: Fault


class ReasonStep(TypedDict, total=False):
    """A node, or the relation that leads on from it."""

    label: Annotated[str, Field(description="of a node", examples=["Product"])]
    id: Annotated[str, Field(max_length=500, description="of a node")]
    title: Annotated[str, Field(description="of a node, as people call it")]
    type: Annotated[str, Field(description="of a relation", examples=["BOUGHT_WITH"])]
    forward: Annotated[bool, Field(description="of a relation: whether the path follows its direction")]


class Reason(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    text: str = Field(description="the reason in words")
    path: list[ReasonStep] = Field(
        description="nodes and relations in turn; empty where only popularity or the query speaks"
    )


class Detail(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    sources: dict[str, float] = Field(description="what each source, or the ranker in their place, adds to the score")
    features: dict[str, float] = Field(
        description="what each feature adds to the ranker's score (SHAP values), the greatest first; empty where no "
        "ranker speaks"
    )
    purchases: dict[str, float] = Field(
        description="of the products that the user bought most, by how much less the ranker would score this one "
        "beside other candidates, had the user not bought it, the greatest first; below 0 it would rise; empty where "
        "another source speaks louder"
    )


class Item(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    title: str
    score: float
    sources: list[str] = Field(description="the candidate sources that brought it")
    reason: Reason
    detail: Detail | None = Field(None, description="what its place rests on, where explain=full asked for it")


class RecommendationList(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    items: list[Item] = Field(description="best first")
    release: str | None = Field(description="the release whose vectors served; null before the first one")
    versions: dict[str, str] = Field(description="the model version of each embedding family")
    as_of: datetime = Field(description="the moment the answer is for")
    step: str = Field(
        description="what the answer rests on: personal, session, segment, category, popular, arrivals, similar, like, "
        "search or words"
    )
    note: str = Field("", description="what the shop should know of this answer, such as rules that leave nothing")
    next_offset: int | None = Field(None, description="where the next page of as many begins; null after the last")
    recommendation_id: str = Field(description="names this answer: send it with the events that come of it")
    experiment: str = Field("", description="the experiment that had a part in it, if one had")
    variant: str = Field("", description="which variant of it; empty where two are interleaved")


class BatchAnswer(BaseModel):
    """Of one user: the answer or the error."""

    user: str = Field(description="as it was asked")
    answer: RecommendationList | None
    error: Fault | None


class BatchList(BaseModel):
    answers: list[BatchAnswer] = Field(description="one a user, in the order asked")


class SharedProduct(BaseModel):
    id: str
    title: str


class UserAlike(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str = Field(description="pseudonym")
    score: float = Field(description="0 to 1; comparable within an answer")
    shared: list[SharedProduct] = Field(description="up to ten products that both bought")
    shared_count: int = Field(description="how many both bought in all")


class UserList(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    users: list[UserAlike] = Field(description="most alike first")
    by: str = Field(description="what tells how alike: purchases, or graph where nothing was derived of the user yet")


class ProductCard(BaseModel):
    id: str
    title: str
    description: str | None
    price: float | None
    currency: str | None
    image: str | None
    package_size: str | None
    stock: int | None
    hidden: bool
    retired: bool
    brand: str | None
    authors: list[str]
    category: str | None = Field(description="the whole path")
    popularity: int | None = Field(description="users who bought it in the last four weeks")


class Health(BaseModel):
    status: str = Field(examples=["ok"])
    release: str | None = Field(description="the release that serves")
