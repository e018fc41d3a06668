"""Searches since serving learned judge how words and vectors are joined; each of the two is planted to be right."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shopgraph.cli.evaluate import evaluate
from shopgraph.errors import InputError
from shopgraph.evaluation import graded_ndcg
from shopgraph.graph.connection import Graph
from shopgraph.recommend.clock import Clock
from shopgraph.recommend.fusion import Blend, FusionConfig
from shopgraph.recommend.query import QueryVectors
from shopgraph.recommend.recommender import Recommender
from shopgraph.recommend.retrieval import RecommendConfig
from shopgraph.recommend.search_trial import (
    SHARES,
    SearchTrial,
    joinings,
    judged,
    open_search_trial,
    share_of_words,
    with_share,
)
from shopgraph.settings import Settings

from .conftest import BREAD, NOW
from .test_backtest import BOUGHT, PAIR, recommender

PRESENT = FusionConfig().search


def search(graph: Graph, user: str, query: str, *viewed: str, days: float = 1) -> None:
    """Days after NOW, and views in the minutes after it."""
    at = NOW + timedelta(days=days)
    rows = [{"product": product, "at": at + timedelta(minutes=1 + place)} for place, product in enumerate(viewed)]
    graph.driver.execute_query(
        "CYPHER 25 MERGE (u:User {id: $user}) MERGE (t:SearchTerm {id: toLower($query)}) SET t.text = $query "
        "CREATE (u)-[:SEARCHED {line_id: $user + $query + toString($at), at: $at}]->(t) "
        "WITH u UNWIND $rows AS row MATCH (p:Product {id: row.product}) "
        "CREATE (u)-[:VIEWED {line_id: $user + $query + row.product + toString($at), at: row.at}]->(p)",
        user=user, query=query, at=at, rows=rows, database_=graph.database,
    )  # fmt: skip


def trial(graph: Graph, **options: Any) -> SearchTrial:
    return open_search_trial(graph, recommender(graph).known_until(), **options)


def test_what_followed_a_search_since_serving_learned_judges_it(plant: Callable[..., Any]) -> None:
    shop = plant(BOUGHT)
    search(shop.graph, "u_me", "Soup", "s:soup1", days=-30)
    search(shop.graph, "u_me", "Bread", "s:bread1", "s:bread2")
    search(shop.graph, "u_else", "Bread", "s:bread1", days=2)
    search(shop.graph, "u_else", "nothing came of it", days=3)
    found = trial(shop.graph)
    assert found.led_to == {"Bread": {"s:bread1": 2, "s:bread2": 1}}
    newest = max(NOW - timedelta(weeks=weeks) for _, _, weeks, _ in BOUGHT)
    assert found.cut == newest + timedelta(milliseconds=1)


def test_the_figure_by_hand() -> None:
    asked = SearchTrial(NOW, {"tea": {"a": 3, "b": 1}, "wine": {"c": 1}})
    found = list(judged(lambda query: ["x", "a"] if query == "tea" else [], asked))
    ideal = np.log(4) + np.log(2) / np.log2(3)
    assert found == pytest.approx([np.log(4) / np.log2(3) / ideal, 0.0])
    assert graded_ndcg(np.zeros((1, 1)), np.ones((1, 1))).tolist() == [1.0]


def test_only_a_page_counts() -> None:
    asked = SearchTrial(NOW, {"tea": {"z": 1}})
    shown = [f"p{number}" for number in range(10)]
    assert list(judged(lambda _: [*shown, "z"], asked)) == [0.0]
    assert next(judged(lambda _: [*shown[:9], "z"], asked)) > 0


def test_shares_keep_what_the_two_weigh_and_leave_other_sources() -> None:
    blend = Blend({"full_text_search": 1.0, "text_search": 3.0, "mine": 0.5}, rank_offset=10)
    assert share_of_words(blend) == 0.25
    moved = with_share(blend, 0.5)
    assert (dict(moved.weights), moved.rank_offset) == (
        {"full_text_search": 2.0, "text_search": 2.0, "mine": 0.5}, 10,
    )  # fmt: skip
    assert with_share(blend, 0.0).sources == ["text_search", "mine"], "what has no share is not asked"


class OfBread(QueryVectors):
    """Whatever is typed, the vectors say bread."""

    def __call__(self, version: str | None, query: str) -> list[float] | None:
        return BREAD


def search_by(graph: Graph) -> Callable[[Blend], Callable[[str], list[str]]]:
    def by(blend: Blend) -> Callable[[str], list[str]]:
        config = RecommendConfig(fusion=replace(FusionConfig(), search=blend))
        asked = Recommender(graph, Clock(graph, "data"), OfBread(Path("no models")), config)
        return lambda query: [item.id for item in asked.search(query, 10).items]

    return by


@pytest.mark.parametrize(
    ("looked_at", "best"), [(["s:soup1"], max(SHARES)), (["s:bread0", "s:bread1", "s:bread2", "s:bread3"], min(SHARES))]
)
def test_whoever_is_right_speaks_alone(plant: Callable[..., Any], looked_at: list[str], best: float) -> None:
    """The words name one soup, and the vectors mean bread."""
    shop = plant(BOUGHT)
    shop.publish({"u_me": 1})
    search(shop.graph, "u_me", "soup1", *looked_at)
    found = joinings(search_by(shop.graph), PRESENT, trial(shop.graph))
    figures = {joining.share: joining.ndcg.mean() for joining in found}
    assert set(figures) == set(SHARES)
    assert figures[best] == max(figures.values()) == 1.0
    assert figures[1 - best] == min(figures.values()) < 1.0
    assert found[0].ndcg.mean() == 1.0


def test_equal_shares_are_told_nearest_to_the_present_first(plant: Callable[..., Any]) -> None:
    shop = plant(BOUGHT)
    shop.publish({"u_me": 1})
    search(shop.graph, "u_me", "bread0", "s:bread0", "s:bread1", "s:bread2", "s:bread3")
    found = joinings(search_by(shop.graph), with_share(PRESENT, 0.4), trial(shop.graph))
    assert len(found) == len(SHARES) + 1
    assert found[0].share == 0.4, "either finds the breads"


def test_queries_are_drawn_the_same_way_again(plant: Callable[..., Any]) -> None:
    shop = plant(BOUGHT)
    for number in range(9):
        search(shop.graph, "u_me", f"bread{number % 4} of kind {number}", "s:bread0", days=1 + number)
    drawn = [set(trial(shop.graph, most_queries=4, seed=seed).led_to) for seed in (1, 1, 2)]
    assert [len(some) for some in drawn] == [4, 4, 4]
    assert drawn[0] == drawn[1] != drawn[2]


def test_without_anything_learned_or_searched_since_it_says_so(plant: Callable[..., Any], graph: Graph) -> None:
    with pytest.raises(InputError, match="nothing was derived or published yet"):
        trial(graph)
    shop = plant(PAIR)
    search(shop.graph, "u_me", "Soup", days=2)
    with pytest.raises(InputError, match=r"no search since .* led to a product"):
        trial(shop.graph)


def test_the_command_names_the_setting_that_would_serve_better(
    plant: Callable[..., Any],
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shop = plant(BOUGHT)
    shop.publish({"u_me": 1})
    for number in range(12):
        search(shop.graph, "u_me", f"soup{number % 6} number {number}", "s:bread0", days=1 + number)
    for name, value in {"HOME": str(settings.home), "CLOCK": "data"}.items():
        monkeypatch.setenv(f"SHOPGRAPH_{name}", value)
    with pytest.raises(InputError, match="leave out --sources and --only"):
        evaluate(searches=True, sources=True)
    with pytest.raises(InputError, match="words alone answer searches here"):
        evaluate(searches=True)

    monkeypatch.setattr(QueryVectors, "__call__", OfBread.__call__)
    evaluate(searches=True, as_json=True)
    told = json.loads(capsys.readouterr().out)
    # the soup that the words name is near nothing, and one word in twenty is too few to put it first
    assert (told["queries"], told["present"], told["best"]) == (12, 0.5, 0.05)
    assert told["gain"]["low"] > 0
    assert [row["share_of_words"] for row in told["rows"]] == list(SHARES)
    weights = told["setting"]["search"]["weights"]
    assert weights["text_search"] > weights["full_text_search"] > 0
    assert FusionConfig().changed(told["setting"], "test").search.weights == weights

    evaluate(searches=True)
    said = capsys.readouterr().out
    assert "as it serves" in said
    assert f"SHOPGRAPH_FUSION='{json.dumps(told['setting'])}' would serve the best" in said
    monkeypatch.setenv("SHOPGRAPH_FUSION", json.dumps(told["setting"]))
    evaluate(searches=True)
    assert "no other share is better than the present one beyond chance" in capsys.readouterr().out
