"""GET /api/v1/experiments: what is tried where; /{id}: what it found."""

from __future__ import annotations

from datetime import datetime

from flask import Response, abort
from pydantic import BaseModel, ConfigDict, Field

from shopgraph.errors import InputError
from shopgraph.experiments import lifecycle
from shopgraph.experiments.report import report_of
from shopgraph.recommend.experiment import Experiment
from shopgraph_web.api.answers import Failure, sent
from shopgraph_web.api.gate import api_addresses
from shopgraph_web.backend import serving
from shopgraph_web.formatting import native

api = api_addresses("experiments", scope="experiments")


class ExperimentPath(BaseModel):
    id: str = Field(min_length=1, max_length=200)


class ExperimentCard(BaseModel):
    id: str
    name: str
    scenario: str = Field(description="the place")
    kind: str = Field(description="ab or interleaving")
    variants: list[str] = Field(description="the control first")
    running: bool
    begun_at: datetime
    ended_at: datetime | None


class ExperimentList(BaseModel):
    experiments: list[ExperimentCard] = Field(description="those that run first, then the latest first")


class Estimate(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    value: float
    low: float = Field(description="of the 95 % interval")
    high: float


class Conversion(BaseModel):
    """Users who did something with a product that they were shown."""

    model_config = ConfigDict(from_attributes=True)

    products: int = Field(description="counted once an answer")
    users: int
    share: Estimate = Field(description="of the users who were shown anything (Wilson)")
    difference: Estimate | None = Field(description="to the control's share (Newcombe); null of the control itself")


class VariantReport(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    name: str
    share: float = Field(description="of the users that it should have")
    users: int
    answers: int
    outcomes: dict[str, Conversion] = Field(description="by outcome: viewed, basket, bought")


class Wins(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    first: int = Field(description="users who chose more from the control's list")
    second: int
    ties: int = Field(description="users who chose as much from both")
    share: Estimate = Field(description="of the second, among users who chose more of one")
    p_value: float = Field(description="of the sign test, two-sided")


class ExperimentReport(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: str
    name: str
    scenario: str
    kind: str
    begun_at: datetime
    ended_at: datetime | None
    until: datetime = Field(description="the moment of the counts")
    variants: list[VariantReport] = Field(description="the control first; one for both lists of an interleaving")
    sample_ratio_p: float | None = Field(
        description="how likely chance alone deals users out so unlike the weights; null of an interleaving"
    )
    wins: dict[str, Wins] = Field(description="by outcome, of an interleaving")
    warnings: list[str] = Field(description="what speaks against trusting the figures")


@api.get("/experiments", summary="What is tried", responses={"200": ExperimentList})
def experiments() -> Response:
    """All experiments, running and stopped."""
    cards = [_card(node) for node in lifecycle.list_experiments(serving().graph)]
    return sent(ExperimentList(experiments=cards))


@api.get("/experiments/<id>", summary="What an experiment found", responses={"200": ExperimentReport, "404": Failure})
def experiment(path: ExperimentPath) -> Response:
    """By variant what users did with what they were shown, with intervals; the unit is the user."""
    try:
        node = lifecycle.find(serving().graph, path.id)
    except InputError as error:
        abort(404, str(error))
    return sent(ExperimentReport.model_validate(report_of(serving().graph, node)))


def _card(node: dict[str, object]) -> ExperimentCard:
    read = Experiment.read(node)
    return ExperimentCard(
        id=read.id,
        name=read.name,
        scenario=read.scenario,
        kind=read.kind,
        variants=[variant.name for variant in read.variants],
        running=bool(node["running"]),
        begun_at=native(node["begun_at"]),
        ended_at=native(node.get("ended_at")),
    )
