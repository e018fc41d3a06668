"""What merchandisers decide holds in the very next answer, and ends when they say so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shopgraph.errors import InputError
from shopgraph.graph.connection import Graph
from shopgraph.recommend.filters import Filters
from shopgraph.recommend.fusion import Fused
from shopgraph.recommend.rules import Rule, add_rule, end_rule, list_rules, new_rule_id, nothing_left, ruled

from .test_recommender import recommender, shown

FACTS = {
    "a": {"id": "a", "brand": "kettle", "categories": ["FOOD > SOUP", "FOOD"]},
    "b": {"id": "b", "brand": "kettle", "categories": ["FOOD > SOUP", "FOOD"]},
    "c": {"id": "c", "brand": "mill", "categories": ["FOOD > BREAD", "FOOD"]},
    "d": {"id": "d", "brand": "", "categories": []},
    "e": {"id": "e", "brand": "kettle", "categories": ["PLAY"]},
}
LIST = [Fused(name, 1 / place, ("x",), None) for place, name in enumerate("abcde", start=1)]


def order(*rules: tuple[str, str, str, float], barred: tuple[str, ...] = ()) -> str:
    made = [Rule(str(number), *rule) for number, rule in enumerate(rules)]
    return "".join(item.id for item in ruled(LIST, made, FACTS, barred))


def test_each_kind_of_rule_by_hand() -> None:
    assert order() == "abcde"
    assert order(("filter", "Brand", "kettle", 0)) == "cd"
    assert order(("filter", "Category", "FOOD", 0)) == "de"
    # c moves from place 3 to 1.5, d from 4 to 1.33
    assert order(("boost", "Product", "c", 2.0), ("boost", "Product", "d", 3.0)) == "adcbe"
    # a moves to place 3, where it was before c, which keeps it
    assert order(("bury", "Product", "a", 3.0)) == "bacde"
    assert order(("bury", "Brand", "kettle", 10.0)) == "cdabe"
    assert order(("boost", "Product", "c", 4.0), ("bury", "Product", "c", 4.0)) == "abcde"
    assert order(("cap", "Brand", "kettle", 1)) == "acd"
    assert order(("cap", "Brand", "", 2)) == "abcd"
    assert order(("cap", "Category", "", 1)) == "acde", "the lowest category is what is counted"
    assert order(("cap", "Category", "FOOD", 2)) == "abde"
    assert order(("pin", "Product", "e", 1)) == "eabcd"
    assert order(("pin", "Product", "e", 3), ("pin", "Product", "d", 1)) == "daebc"
    assert order(("pin", "Product", "a", 50)) == "bcdea"


def test_rules_together_and_against_each_other() -> None:
    assert order(("pin", "Product", "a", 1), ("filter", "Brand", "kettle", 0)) == "cd", "a filter is the last word"
    assert order(("pin", "Product", "e", 1), barred=("e",)) == "abcde"
    assert order(("cap", "Brand", "kettle", 1), ("pin", "Product", "e", 1)) == "eacd", "a pin is no place of a cap"
    made = [Rule("r", "pin", "Product", "a", 2)]
    assert [item.id for item in ruled(LIST[1:3], made, FACTS)] == ["b", "a", "c"], "pinned without being chosen"
    assert ruled(LIST[1:2], made, FACTS)[1].sources == ("pin",)
    assert ruled([], made, FACTS)[0].id == "a"
    assert [item.id for item in ruled(LIST, [Rule("r", "boost", "Brand", "mill", 2)], {"b": FACTS["b"]})] == ["b"]


def test_what_leaves_nothing_says_so() -> None:
    rules = [Rule("rule-1", "filter", "Category", "FOOD", 0), Rule("rule-2", "boost", "Brand", "mill", 2)]
    assert nothing_left(LIST[:3], ruled(LIST[:3], rules, FACTS), rules) == (
        "all 3 products that were chosen are filtered out by rules: rule-1"
    )
    assert nothing_left(LIST, ruled(LIST, rules, FACTS), rules) == ""
    assert nothing_left([], [], rules) == ""


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (("hide", "Product", "a", 0), "not 'hide'"),
        (("filter", "User", "a", 0), "not 'User'"),
        (("filter", "Product", "", 0), "needs a target"),
        (("boost", "Product", "a", 1.0), "factor above 1"),
        (("bury", "Product", "a", float("nan")), "factor above 1"),
        (("boost", "Product", "a", 1e9), "at most 100"),
        (("pin", "Brand", "a", 1), "only a product"),
        (("pin", "Product", "a", 0), "whole number"),
        (("pin", "Product", "a", 1.5), "whole number"),
        (("cap", "Product", "a", 1), "brand or a category"),
        (("cap", "Brand", "", 0), "whole number"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(fields: tuple[str, str, str, float], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Rule("r", *fields)


def in_force(graph: Graph, *fields: Any, **when: Any) -> str:
    rule = Rule(new_rule_id(), *fields)
    add_rule(graph, rule, by="ann@shop.example", **when)
    return rule.id


@pytest.fixture
def shop(plant: Callable[..., Any]) -> Any:
    """Breads and a toy sell; the user likes soups."""
    sold = [(f"u_{i}", product, 1, product) for i in range(4) for product in ("s:bread1", "s:bread2", "s:toy3")]
    planted = plant([*sold, ("u_me", "s:soup0", 2, "a")])
    planted.publish({"u_me": 0})
    return planted


def test_rules_have_the_last_word_where_products_are_to_be_unlike(shop: Any) -> None:
    recommends = recommender(shop.graph)
    before = shown(recommends.recommend("u_me", 6, diversity=0.3))
    in_force(shop.graph, "pin", "Product", "s:toy7", 2.0)
    in_force(shop.graph, "bury", "Product", before[0], 100.0)
    after = shown(recommends.recommend("u_me", 6, diversity=0.3))
    assert after[1] == "s:toy7"
    assert before[0] != after[0]
    in_force(shop.graph, "boost", "Product", before[4], 100.0)
    assert shown(recommends.recommend("u_me", 6, diversity=0.3))[0] == before[4]


def test_a_rule_holds_from_the_next_answer_on_until_it_is_ended(shop: Any) -> None:
    recommends = recommender(shop.graph)
    before = shown(recommends.recommend("u_me", 6))
    assert any("soup" in product for product in before)
    rule = in_force(shop.graph, "filter", "Category", "FOOD > SOUP", 0.0)
    after = shown(recommends.recommend("u_me", 6))
    assert after
    assert not any("soup" in product for product in after)
    pin = in_force(shop.graph, "pin", "Product", "s:toy7", 2.0)
    assert shown(recommends.recommend("u_me", 6))[1] == "s:toy7"
    assert shown(recommends.similar("s:bread1", 6))[1] == "s:toy7"
    assert shown(recommends.search("bread1", 6)) == ["s:bread1", "s:toy7"]
    assert shown(recommends.search("nothing of the kind", 6)) == []
    for each in (rule, pin):
        end_rule(shop.graph, each, by="bo@shop.example")
    assert shown(recommends.recommend("u_me", 6)) == before
    with pytest.raises(InputError, match="no rule in force"):
        end_rule(shop.graph, rule, by="bo@shop.example")
    told = {each["id"]: each for each in list_rules(shop.graph)}
    assert (told[rule]["title"], told[rule]["in_force"], told[rule]["ended_by"]) == ("SOUP", False, "bo@shop.example")


def test_a_rule_holds_in_its_place_and_in_its_time(shop: Any) -> None:
    recommends, now = recommender(shop.graph), datetime.now(UTC)

    def first(scenario: str = "") -> str:
        return shown(recommends.recommend("u_me", 3, scenario=scenario))[0]

    plain = first()
    in_force(shop.graph, "pin", "Product", "s:toy5", 1.0, scenario="home")
    in_force(shop.graph, "pin", "Product", "s:toy6", 1.0, starts=now + timedelta(days=1))
    in_force(shop.graph, "pin", "Product", "s:toy7", 1.0, starts=now - timedelta(days=2), ends=now - timedelta(days=1))
    assert (first(), first("basket"), first("home")) == (plain, plain, "s:toy5")
    assert [(each["in_force"], each["open"]) for each in list_rules(shop.graph)].count((False, True)) == 1


def test_a_pin_does_not_break_what_the_caller_asked_for(shop: Any) -> None:
    recommends = recommender(shop.graph)
    in_force(shop.graph, "pin", "Product", "s:toy5", 1.0)
    breads = shown(recommends.recommend("u_me", 3, filters=Filters(categories=["FOOD > BREAD"])))
    assert breads
    assert not any("toy" in product for product in breads)
    assert shown(recommends.recommend("u_me", 3, filters=Filters(categories=["PLAY"])))[0] == "s:toy5"
    assert "s:toy5" not in shown(recommends.recommend("u_me", 3, filters=Filters(exclude=["s:toy5"])))


def test_rules_that_filter_out_everything_are_named_in_the_answer(shop: Any) -> None:
    rules = [in_force(shop.graph, "filter", "Category", category, 0.0) for category in ("FOOD", "PLAY")]
    answer = recommender(shop.graph).recommend("u_me", 3)
    assert answer.items == []
    assert "are filtered out by rules" in answer.note
    assert all(rule in answer.note for rule in rules)


def test_a_rule_about_nothing_in_the_graph_or_in_no_time_is_refused(shop: Any) -> None:
    with pytest.raises(InputError, match="no brand has the id 'nobody'"):
        in_force(shop.graph, "boost", "Brand", "nobody", 2.0)
    now = datetime.now(UTC)
    with pytest.raises(InputError, match="before it starts"):
        in_force(shop.graph, "boost", "Brand", "mill", 2.0, starts=now, ends=now)
    in_force(shop.graph, "cap", "Brand", "", 1.0)
    assert len(list_rules(shop.graph)) == 1
