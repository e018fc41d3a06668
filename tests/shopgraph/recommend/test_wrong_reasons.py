"""A relation that a curator judged wrong speaks for no product any more, live or from a list, until that is undone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shopgraph.curation.doubt import WRONG, file_doubt, judge_doubt, last_of, reopen_doubt
from shopgraph.graph.connection import Graph
from shopgraph.recommend.answer import Recommendations
from shopgraph.recommend.clock import Clock
from shopgraph.recommend.query import QueryVectors
from shopgraph.recommend.rank_ahead import rank_ahead
from shopgraph.recommend.recommender import Recommender

PAIRS = [(f"u_{i}", product, 1 + i / 10, "first") for i in range(5) for product in ("s:soup0", "s:bread0", "s:soup1")]
MINE = [("u_me", "s:soup0", 2.0, "a"), ("u_me", "s:soup0", 3.0, "b"), ("u_me", "s:toy0", 4.0, "c")]
CURATOR = "ann@shop.example"


@pytest.fixture
def shop(plant: Callable[..., Any]) -> Any:
    planted = plant([*PAIRS, *MINE])
    planted.publish({"u_me": 0})
    return planted


def asked(graph: Graph) -> Recommendations:
    return Recommender(graph, Clock(graph, "data"), QueryVectors(Path("no models"))).recommend("u_me", 8)


def relations(answer: Recommendations) -> dict[str, set[str]]:
    """By product, the relations of its reason's path, each in its own direction."""
    found = {}
    for item in answer.items:
        path = item.reason.path
        found[item.id] = {last_of(path[: end + 1]).id for end in range(2, len(path), 2)}
    return found


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("kind", ["BOUGHT_WITH", "IN_CATEGORY", "PURCHASED"])
def test_what_is_judged_wrong_speaks_for_nothing_until_it_is_taken_back(shop: Any, kind: str, listed: bool) -> None:
    graph = shop.graph
    if listed:
        rank_ahead(graph, Recommender(graph, Clock(graph, "data"), QueryVectors(Path("no models"))), _now(graph))
    before = asked(graph)
    item = next(item for item in before.items if item.reason.path and item.reason.path[-2]["type"] == kind)
    doubted = last_of(item.reason.path)
    file_doubt(graph, doubted, by="the shop's page")
    assert relations(asked(graph)) == relations(before), "a doubt alone changes nothing"
    judge_doubt(graph, doubted.id, WRONG, by=CURATOR)

    after = asked(graph)
    assert [each.id for each in after.items] == [each.id for each in before.items]
    backwards = f"{doubted.end} {doubted.relation} {doubted.start}"
    assert not any({doubted.id, backwards} & of_item for of_item in relations(after).values())
    assert all(each.reason.text for each in after.items)
    reopen_doubt(graph, doubted.id, by=CURATOR)
    assert relations(asked(graph)) == relations(before)


def _now(graph: Graph) -> Any:
    return Clock(graph, "data").now()
