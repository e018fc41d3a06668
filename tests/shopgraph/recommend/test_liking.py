"""More like these, less like those: the right products come first on a planted shop, and what was named never comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shopgraph.errors import InputError
from shopgraph.recommend.filters import Filters
from shopgraph.recommend.liking import Liking, UnknownProductsError
from shopgraph.recommend.rules import Rule, add_rule, new_rule_id

from .test_candidate import ask, ids
from .test_recommender import PAIR, recommender, shown


def kinds(products: list[str]) -> list[str]:
    return [product.removeprefix("s:").rstrip("0123456789") for product in products]


@pytest.fixture
def shop(plant: Callable[..., Any]) -> Any:
    """Soups, breads and toys lie apart in both embeddings; soup 0 and bread 0 share baskets."""
    planted = plant(PAIR)
    planted.publish({})
    return planted


@pytest.mark.parametrize("source", ["graph_like_these", "text_like_these"])
def test_the_nearest_to_what_is_liked_come_first_and_away_from_what_is_not(shop: Any, source: str) -> None:
    def found(**given: Any) -> list[str]:
        named = [*given["like"], *given.get("unlike", [])]
        return ids(ask(shop.graph, source, without=named, **given))

    assert kinds(found(like=["s:toy0"])[:7]) == ["toy"] * 7
    assert set(kinds(found(like=["s:soup0", "s:bread0"])[:8])) == {"soup", "bread"}
    assert kinds(found(like=["s:soup0", "s:toy0"], unlike=["s:toy1"])[:5]) == ["soup"] * 5
    assert kinds(found(like=["s:soup0", "s:toy0"], unlike=["s:soup1"])[:7]) == ["toy"] * 7
    assert found(like=["s:none"]) == []


def test_what_speaks_for_a_product_is_the_liked_one_nearest_to_it(shop: Any) -> None:
    found = ask(shop.graph, "graph_like_these", like=["s:soup0", "s:toy0"], without=["s:soup0", "s:toy0"])
    assert {(kind, each.via) for each in found for kind in kinds([each.id]) if kind != "bread"} == {
        ("soup", "s:soup0"),
        ("toy", "s:toy0"),
    }


def test_what_shares_baskets_counts_less_where_it_shares_them_with_what_is_not_liked(plant: Callable[..., Any]) -> None:
    """Bread 0 goes with the soup alone, bread 1 with the toy as often, bread 2 with the toy alone."""
    baskets = {"a": ["s:soup0", "s:bread0", "s:bread1"], "b": ["s:toy0", "s:bread1", "s:bread2"]}
    lines = [
        (f"u_{order}{i}", product, 1, order) for order, items in baskets.items() for i in range(4) for product in items
    ]
    graph = plant(lines).graph
    found = ask(graph, "baskets_like_these", like=["s:soup0"], unlike=["s:toy0"], without=["s:soup0", "s:toy0"])
    assert [(each.id, each.via) for each in found] == [("s:bread0", "s:soup0"), ("s:bread1", "s:soup0")]
    assert found[1].score == pytest.approx(ask_score(graph, "s:bread1") * 0.5)
    alone = ids(ask(graph, "baskets_like_these", like=["s:toy0"], without=[]))
    assert set(alone) == {"s:bread1", "s:bread2"}


def ask_score(graph: Any, product: str) -> float:
    """What it counts where nothing is unliked."""
    found = ask(graph, "baskets_like_these", like=["s:soup0"], without=["s:soup0"])
    return next(each.score for each in found if each.id == product)


def test_what_was_named_is_no_answer_and_the_sources_are_joined(shop: Any) -> None:
    answer = recommender(shop.graph).like_these(Liking(["s:soup0", "s:soup1", "s:soup0"], ["s:toy0"]), 20)
    assert not {"s:soup0", "s:soup1", "s:toy0"} & set(shown(answer))
    assert set(shown(answer)[:5]) == {"s:bread0", *(f"s:soup{i}" for i in range(2, 6))}
    assert answer.step == "like"
    bread = next(item for item in answer.items if item.id == "s:bread0")
    assert "baskets_like_these" in bread.sources
    assert bread.reason.text == "Often bought together with Soup0"


def test_before_anything_is_published_baskets_answer(plant: Callable[..., Any]) -> None:
    assert shown(recommender(plant(PAIR).graph).like_these(Liking(["s:soup0"]))) == ["s:bread0"]


def test_rules_filters_stock_and_hidden_ones_hold_as_everywhere(plant: Callable[..., Any]) -> None:
    changes = {"s:soup2": {"stock": 0}, "s:soup3": {"price": 9.0}, "s:bread1": {"price": 9.0}}
    shop = plant(PAIR, product_changes=changes)
    shop.publish({})
    shop.graph.driver.execute_query(
        "CYPHER 25 MATCH (p:Product {id: 's:soup1'}) SET p.hidden = true", database_=shop.graph.database
    )
    ours, soups = recommender(shop.graph), Liking(["s:soup0"])
    assert not {"s:soup1", "s:soup2"} & set(shown(ours.like_these(soups)))
    assert shown(ours.like_these(soups, filters=Filters(min_price=5))) == ["s:soup3", "s:bread1"]
    assert set(kinds(shown(ours.like_these(soups, filters=Filters(categories=["FOOD > BREAD"]))))) == {"bread"}
    assert "s:soup3" not in shown(ours.like_these(soups, filters=Filters(exclude=["s:soup3"])))
    add_rule(shop.graph, Rule(new_rule_id(), "pin", "Product", "s:toy7", 1.0), by="ann@shop.example")
    add_rule(shop.graph, Rule(new_rule_id(), "filter", "Product", "s:soup4", 0.0), by="ann@shop.example")
    ruled = shown(ours.like_these(soups))
    assert ruled[0] == "s:toy7"
    assert "s:soup4" not in ruled
    assert "s:toy7" not in shown(ours.like_these(Liking(["s:soup0"], ["s:toy7"])))


def test_what_can_not_be_asked_is_refused_by_name(shop: Any) -> None:
    with pytest.raises(UnknownProductsError, match="no product has the id 's:none', 's:nor this'"):
        recommender(shop.graph).like_these(Liking(["s:soup0", "s:none"], ["s:nor this"]))
    with pytest.raises(InputError, match="both liked and unliked: s:soup0"):
        Liking(["s:soup0"], ["s:soup0"])
    for like, unlike in (([], []), ([str(i) for i in range(51)], []), (["a"], [str(i) for i in range(51)])):
        with pytest.raises(InputError, match="name 1 to 50 products"):
            Liking(like, unlike)
