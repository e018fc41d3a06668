"""Pages of an answer: one after the other they are the answer, and none begins where another step would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shopgraph.errors import InputError
from shopgraph.recommend.answer import Recommendations
from shopgraph.recommend.filters import Filters
from shopgraph.recommend.liking import Liking
from shopgraph.recommend.page import Page
from shopgraph.recommend.rules import Rule, add_rule, new_rule_id

from .test_recommender import PAIR, recommender, shown

PRODUCTS = {f"s:soup{i:03}": ("FOOD > SOUP", "kettle") for i in range(140)}
SOUPS = list(PRODUCTS)


def walked(ask: Callable[..., Recommendations], n: int) -> list[str]:
    """The products of all pages."""
    found: list[str] = []
    offset: int | None = 0
    while offset is not None:
        answer = ask(n=n, offset=offset)
        assert len(answer.items) <= n
        found += shown(answer)
        offset = answer.next_offset
    return found


@pytest.fixture
def shop(plant: Callable[..., Any]) -> Any:
    """Many soups, bought by the user and by others, one of them boosted."""
    lines = [("u_me", product, 1 + i / 100, product) for i, product in enumerate(SOUPS[:60])]
    others = [(f"u_{i % 7}", product, 1, str(i)) for i, product in enumerate(SOUPS)]
    titles = {product: {"title": f"Kettle soup {i}"} for i, product in enumerate(SOUPS)}
    planted = plant([*lines, *others], products=PRODUCTS, product_changes=titles)
    planted.publish({"u_me": 0})
    add_rule(planted.graph, Rule(new_rule_id(), "boost", "Product", SOUPS[40], 4.0), by="ann@shop.example")
    return planted


@pytest.mark.parametrize("n", [20, 50])
def test_pages_one_after_the_other_are_the_first_hundred(shop: Any, n: int) -> None:
    ours = recommender(shop.graph)
    asked: list[Callable[..., Recommendations]] = [
        lambda **page: ours.recommend("u_me", **page),
        lambda **page: ours.recommend("u_nobody", **page),
        lambda **page: ours.recommend("u_me", diversity=0.5, **page),
        lambda **page: ours.recommend("u_me", filters=Filters(categories=["FOOD"]), **page),
        lambda **page: ours.similar(SOUPS[0], **page),
        lambda **page: ours.like_these(Liking(SOUPS[:2]), **page),
        lambda **page: ours.search("kettle", **page),
    ]
    for ask in asked:
        found = walked(ask, n)
        assert len(found) == len(set(found))
        assert len(found) >= 98
        assert found[:n] == shown(ask(n=n))


def test_beyond_the_last_product_there_is_nothing_and_no_other_step(plant: Callable[..., Any]) -> None:
    shop = plant([*PAIR, ("u_me", "s:toy1", 1, "a")])
    ours = recommender(shop.graph)
    whole = ours.recommend("u_me", n=50)
    assert (whole.step, whole.next_offset) == ("personal", None)
    beyond = ours.recommend("u_me", n=20, offset=60)
    assert (beyond.items, beyond.step, beyond.next_offset) == ([], "personal", None)
    one = ours.recommend("u_me", n=len(whole.items) - 1)
    assert one.next_offset == len(whole.items) - 1
    assert ours.recommend("u_me", n=len(whole.items)).next_offset is None


def test_a_page_lies_within_the_first_hundred() -> None:
    with pytest.raises(InputError, match="offset = 81: a page of 20 begins at 0 to 80"):
        Page(20, 81)
    with pytest.raises(InputError, match="offset = -1"):
        Page(20, -1)
    with pytest.raises(InputError, match="ask for 1 to 100"):
        Page(101)
    assert Page(100).next_offset([None] * 101) is None
    assert Page(30, 30).next_offset([None] * 101) == 60
    assert Page(30, 60).next_offset([None] * 101) is None
