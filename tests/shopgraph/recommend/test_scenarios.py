"""Answers at a place: by its own blends, and by the variant of an experiment that runs there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shopgraph.experiments import lifecycle
from shopgraph.graph.connection import Graph
from shopgraph.recommend.answer import Recommendations
from shopgraph.recommend.clock import Clock
from shopgraph.recommend.experiment import AB, INTERLEAVING, Experiment, Variant
from shopgraph.recommend.liking import Liking
from shopgraph.recommend.query import QueryVectors
from shopgraph.recommend.recommender import Recommender
from shopgraph.recommend.retrieval import RecommendConfig
from shopgraph.recommend.rules import Rule, add_rule
from shopgraph.recommend.scenario import read_scenarios

# toys are popular; u_me buys soups, always soup3 among them
BOUGHT = [
    *((f"u_{i}", f"s:toy{toy}", 1 + i / 10, f"{i}") for i in range(6) for toy in range(4)),
    *(("u_me", f"s:soup{week % 3}", week, str(week)) for week in range(1, 8)),
    *(("u_me", "s:soup3", week, str(week)) for week in range(1, 8)),
    *((f"u_{i}", product, 2.0, "pair") for i in range(3) for product in ("s:bread0", "s:bread1")),
]
OWN = ("repeat_purchases", "due_again", "bought_together", "graph_neighbours", "category_favourites")
POPULAR = {"repeat": {"weights": dict.fromkeys(OWN, 0)}}
"""Nothing of a user's own."""
TRIED = Experiment("e-1", "popular", "home", AB, (Variant("control"), Variant("popular", 1.0, {"fusion": POPULAR})))


@pytest.fixture
def shop(plant: Callable[..., Any]) -> Any:
    planted = plant(BOUGHT)
    planted.publish({"u_me": 0})
    return planted


def recommender(graph: Graph, **given: Any) -> Recommender:
    config = RecommendConfig(scenarios=read_scenarios({}, given))
    return Recommender(graph, Clock(graph, "data"), QueryVectors(Path("no models")), config)


def shown(answer: Recommendations) -> list[str]:
    return [item.id for item in answer.items]


def user_of(variant: str, tried: Experiment = TRIED) -> str:
    """The pseudonym of a visit that sees a variant."""
    return next(who for who in (f"s_{i}" for i in range(100)) if tried.assigned(who).name == variant)


def test_a_place_answers_by_its_own_blends_and_an_unknown_one_as_none(shop: Any) -> None:
    recommends = recommender(shop.graph, letter={"fusion": POPULAR})
    usual = recommends.recommend("u_me", 4)
    assert shown(usual)[0] == "s:soup3"
    assert set(shown(recommends.recommend("u_me", 4, scenario="letter"))) == {f"s:toy{i}" for i in range(4)}
    assert shown(recommends.recommend("u_me", 4, scenario="nowhere")) == shown(usual)
    assert len({usual.recommendation_id, recommends.recommend("u_me", 4).recommendation_id}) == 2
    similar = recommends.similar("s:bread0", 3, "basket")
    assert shown(similar)[0] == "s:bread1"
    assert similar.scenario == "basket"


def test_a_places_diversity_holds_where_the_question_asks_for_less(shop: Any) -> None:
    recommends = recommender(shop.graph, home={"diversity": 1.0})
    plain, varied = recommends.recommend("u_me", 4), recommends.recommend("u_me", 4, scenario="home")
    assert shown(varied) == shown(recommends.recommend("u_me", 4, diversity=1.0))
    assert shown(varied) != shown(plain)


def test_a_user_sees_the_variant_and_everybody_the_place_again_once_it_is_stopped(shop: Any) -> None:
    recommends = recommender(shop.graph)
    before = shown(recommends.recommend("u_me", 4, scenario="home"))
    variant = TRIED.assigned("u_me").name
    changes = {variant: {"fusion": POPULAR}}
    tried = replace(TRIED, variants=tuple(Variant(v.name, 1.0, changes.get(v.name, {})) for v in TRIED.variants))
    lifecycle.begin(shop.graph, recommends.places, tried, by="ann")
    answer = recommends.recommend("u_me", 4, scenario="home")
    assert (answer.experiment, answer.variant, answer.teams) == ("e-1", variant, [])
    assert set(shown(answer)) == {f"s:toy{i}" for i in range(4)}
    for asked in ({}, {"scenario": "basket"}):
        elsewhere = recommends.recommend("u_me", 4, **asked)
        assert (elsewhere.experiment, shown(elsewhere)[0]) == ("", "s:soup3")
    lifecycle.stop(shop.graph, "e-1", by="ann")
    after = recommends.recommend("u_me", 4, scenario="home")
    assert (after.experiment, after.variant, shown(after)) == ("", "", before)


def test_every_kind_of_answer_has_its_experiment_and_nobody_in_particular_has_none(shop: Any) -> None:
    recommends = recommender(shop.graph)
    silenced = {"search": "full_text_search", "similar": "similar_baskets", "like": "baskets_like_these"}
    changes = {"fusion": {setting: {"weights": {source: 0}} for setting, source in silenced.items()}}
    for place in ("product", "basket", "search"):
        tried = Experiment(f"e-{place}", place, place, AB, (Variant("control"), Variant("less", 1.0, changes)))
        lifecycle.begin(shop.graph, recommends.places, tried, by="ann")
        who = user_of("less", tried)
        if place == "search":
            asked = [recommends.search("bread1", 3, place, who=each) for each in (who, "")]
        elif place == "product":
            asked = [recommends.similar("s:bread0", 3, place, who=each) for each in (who, "")]
        else:
            asked = [recommends.like_these(Liking(["s:bread0"]), 3, place, who=each) for each in (who, "")]
        assert [answer.variant for answer in asked] == ["less", ""]
        assert shown(asked[0]) != shown(asked[1]) or asked[0].items[0].sources != asked[1].items[0].sources


def test_interleaved_lists_hold_to_pages_teams_and_rules(shop: Any) -> None:
    recommends = recommender(shop.graph)
    tried = replace(TRIED, kind=INTERLEAVING)
    lifecycle.begin(shop.graph, recommends.places, tried, by="ann")
    whole = recommends.recommend("u_me", 8, scenario="home")
    assert (whole.experiment, whole.variant) == ("e-1", "")
    assert len(whole.teams) == len(whole.items) == 8
    assert {"s:soup3", "s:toy0"} <= set(shown(whole)[:2])
    control = next(team for item, team in zip(whole.items, whole.teams, strict=True) if item.id == "s:soup3")
    assert control == 0
    assert shown(recommends.recommend("u_me", 8, scenario="home")) == shown(whole)
    pages = [recommends.recommend("u_me", 4, scenario="home", offset=offset) for offset in (0, 4)]
    both = [item for page in pages for item in shown(page)]
    assert len(set(both)) == 8
    add_rule(shop.graph, Rule("rule-1", "cap", "Category", "PLAY", 1.0), by="ann")
    add_rule(shop.graph, Rule("rule-2", "pin", "Product", "s:bread3", 1.0), by="ann")
    ruled = recommends.recommend("u_me", 8, scenario="home")
    assert shown(ruled)[0] == "s:bread3"
    assert sum("toy" in item for item in shown(ruled)) == 1


def test_a_variant_that_this_process_cannot_make_leaves_the_place_as_it_is(
    shop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    able, unable = recommender(shop.graph), recommender(shop.graph)
    lifecycle.begin(shop.graph, able.places, TRIED, by="ann")
    broken = TRIED.variants_json.replace('"repeat_purchases": 0', '"mine": 1')
    shop.graph.driver.execute_query("MATCH (e:Experiment) SET e.variants = $v", v=broken, database_=shop.graph.database)
    answers = [unable.recommend("u_me", 4, scenario="home") for _ in range(2)]
    assert [answer.experiment for answer in answers] == ["", ""]
    assert shown(answers[0])[0] == "s:soup3"
    assert caplog.text.count("experiment e-1 does not run here") == 1
