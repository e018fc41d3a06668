"""Of products that are one product in several sizes or colours an answer shows the one that ranks best."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shopgraph.graph.connection import Graph
from shopgraph.recommend.clock import Clock
from shopgraph.recommend.filters import Filters
from shopgraph.recommend.fusion import Fused
from shopgraph.recommend.query import QueryVectors
from shopgraph.recommend.recommender import Recommender
from shopgraph.recommend.rerank import one_of_each
from shopgraph.recommend.rules import Rule, add_rule, new_rule_id, ruled

VARIANTS = {
    **{f"s:soup{i}": {"variant_of": "s:soup0", "price": 1.0 + i} for i in (1, 2)},
    "s:soup0": {"price": 1.0},
    **{f"s:toy{i}": {"variant_of": "s:robot"} for i in (0, 1)},
}
"""Soups 1 and 2 are soup 0 in other sizes, toys 0 and 1 a robot in two colours."""
SOUPS, TOYS = {"s:soup0", "s:soup1", "s:soup2"}, {"s:toy0", "s:toy1"}


@pytest.fixture
def recommends(plant: Callable[..., Any]) -> Recommender:
    """The user buys all soups of the group, soup 1 most, and both robots, toy 1 more; others buy single products."""
    own = [("u_me", "s:soup1", week, f"a{week}") for week in (1, 2, 3)]
    own += [("u_me", product, 1, "b") for product in ("s:soup0", "s:soup2", "s:toy0", "s:toy1", "s:bread0")]
    shop = plant([*own, ("u_me", "s:toy1", 2, "c"), ("u_other", "s:soup3", 1, "d")], product_changes=VARIANTS)
    shop.publish({"u_me": 0, "u_other": 1})
    return Recommender(shop.graph, Clock(shop.graph, "data"), QueryVectors(Path("no models")))


def shown(answer: Any) -> list[str]:
    return [item.id for item in answer.items]


def test_the_best_of_each_group_is_shown_and_no_other(recommends: Recommender) -> None:
    found = shown(recommends.recommend("u_me", 20))
    assert SOUPS & set(found) == {"s:soup1"}
    assert TOYS & set(found) == {"s:toy1"}
    assert {"s:soup3", "s:soup4", "s:bread0"} <= set(found), "what has no variants stays"
    pages = [shown(recommends.recommend("u_me", 3, offset=offset)) for offset in (0, 3, 6)]
    assert [product for page in pages for product in page] == found[:9]


def test_a_filter_that_only_another_variant_passes_shows_that_one(recommends: Recommender) -> None:
    def within(**filters: Any) -> set[str]:
        return SOUPS & set(shown(recommends.recommend("u_me", 20, filters=Filters(**filters))))

    assert within(min_price=2.5) == {"s:soup2"}
    assert within(max_price=1.5) == {"s:soup0"}
    assert within(exclude=["s:soup1"]) in ({"s:soup0"}, {"s:soup2"})


def test_what_is_like_a_product_is_none_of_its_variants(recommends: Recommender) -> None:
    found = shown(recommends.similar("s:soup1", 20))
    assert not SOUPS & set(found)
    assert len(TOYS & set(found)) <= 1
    assert "s:soup3" in found


def test_a_search_shows_one_of_each(recommends: Recommender) -> None:
    assert shown(recommends.search("soup0 soup1 soup2 soup3")) in (["s:soup0", "s:soup3"], ["s:soup1", "s:soup3"],
                                                                   ["s:soup2", "s:soup3"])  # fmt: skip


def test_a_pinned_variant_speaks_for_its_group_and_a_filtered_one_makes_room(
    graph: Graph, recommends: Recommender
) -> None:
    pin = Rule(new_rule_id(), "pin", "Product", "s:soup2", 1.0)
    add_rule(graph, pin, by="ann@shop.example")
    found = shown(recommends.recommend("u_me", 20))
    assert found[0] == "s:soup2"
    assert SOUPS & set(found) == {"s:soup2"}
    add_rule(graph, Rule(new_rule_id(), "filter", "Product", "s:toy1", 0.0), by="ann@shop.example")
    assert TOYS & set(shown(recommends.recommend("u_me", 20))) == {"s:toy0"}


def fused(*ids: str) -> list[Fused]:
    return [Fused(item, 1.0 - place / 10, ("a",), None) for place, item in enumerate(ids)]


def test_the_first_of_each_group_by_hand() -> None:
    groups = {"a1": "a", "a2": "a", "b1": "b", "c1": "c"}
    found = one_of_each(fused("x", "a2", "a1", "b1", "x2", "c1"), groups, {"b"})
    assert [item.id for item in found] == ["x", "a2", "x2", "c1"]


def test_variants_are_gone_before_caps_count_and_after_boosts_have_moved() -> None:
    facts = {name: {"id": name, "brand": "k", "categories": []} for name in ("a1", "a2", "b", "c")}
    cap, boost = Rule("r1", "cap", "Brand", "k", 2.0), Rule("r2", "boost", "Product", "a2", 5.0)
    groups = {"a1": "a", "a2": "a"}
    assert [i.id for i in ruled(fused("a1", "a2", "b", "c"), [cap], facts, (), groups)] == ["a1", "b"]
    assert [i.id for i in ruled(fused("a1", "a2", "b", "c"), [cap, boost], facts, (), groups)] == ["a2", "b"]


def test_a_shop_without_variants_asks_for_none(plant: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    shop = plant([("u_me", "s:soup1", 1, "a")])
    asked, real = [], type(shop.graph).wide

    def watched(graph: Any, name: str, **given: Any) -> Any:
        asked.append(name)
        return real(graph, name, **given)

    monkeypatch.setattr(type(shop.graph), "wide", watched)
    now = shop.snapshot.before + timedelta(days=1)
    recommender = Recommender(shop.graph, Clock(shop.graph, "data"), QueryVectors(Path("no models")))
    assert shown(recommender.recommend("u_me", 5, as_of=now))[0] == "s:soup1"
    assert "serving_state" in asked
    assert "variants" not in asked
