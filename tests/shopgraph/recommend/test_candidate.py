"""Each source's right answer comes first on a planted shop; what may not be shown never is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shopgraph.errors import ConfigurationError
from shopgraph.recommend.candidate import Sources
from shopgraph.schema import FAMILIES
from shopgraph.settings import Settings
from shopgraph.wiring_serving import open_graph

from .conftest import ask, ids

NOW = datetime(2024, 6, 3, tzinfo=UTC)
BASKETS = [(f"u_{i}", product, 1 + i / 10, "first") for i in range(5) for product in ("s:soup0", "s:bread0")]
"""Soup 0 and bread 0 share five baskets."""


def test_repeat_purchases_halve_with_age(plant: Callable[..., Any]) -> None:
    shop = plant([("u_me", "s:soup1", 24, "a"), ("u_me", "s:soup1", 24, "b"), ("u_me", "s:soup1", 24, "c"),
                  ("u_me", "s:bread1", 0.001, "d"), ("u_me", "s:toy1", 12, "e")])  # fmt: skip
    found = ask(shop.graph, "repeat_purchases")
    assert ids(found) == ["s:bread1", "s:soup1", "s:toy1"]
    assert [candidate.score for candidate in found] == pytest.approx([1.0, 3 * 0.25, 0.5], abs=1e-3)


def test_repeat_purchases_know_nothing_of_later_ones(plant: Callable[..., Any]) -> None:
    shop = plant([("u_me", "s:soup1", 2, "a"), ("u_me", "s:toy1", 1, "b")])
    assert ids(ask(shop.graph, "repeat_purchases", as_of=NOW - timedelta(weeks=1.5))) == ["s:soup1"]


def test_what_is_due_by_the_users_own_rhythm_comes_before_what_was_bought_just_now(plant: Callable[..., Any]) -> None:
    """A soup every two weeks, last two weeks ago; a toy as often, last an hour ago; a bread once; a soup long gone."""
    soups = [("u_me", "s:soup1", weeks, f"s{weeks}") for weeks in (2, 4, 6)]
    toys = [("u_me", "s:toy1", weeks, f"t{weeks}") for weeks in (0.006, 2, 4)]
    weekly = [("u_me", "s:soup2", weeks, f"w{weeks}") for weeks in (20, 21, 22)]
    shop = plant([*soups, *toys, *weekly, ("u_me", "s:bread1", 1, "b")])
    assert ids(ask(shop.graph, "repeat_purchases"))[0] == "s:toy1"
    found = {candidate.id: candidate.score for candidate in ask(shop.graph, "due_again")}
    assert next(iter(found)) == "s:soup1"
    when = {"s:soup1": (2, 4, 6), "s:toy1": (0.006, 2, 4), "s:soup2": (20, 21, 22)}
    halved = {product: sum(0.5 ** (weeks / 12) for weeks in times) for product, times in when.items()}
    passed = {"s:soup1": 1.0, "s:toy1": (0.006 / ((4 - 0.006) / 2)) ** 0.5, "s:soup2": 3 / 20}
    by_hand = {product: halved[product] * passed[product] for product in when}
    assert found == pytest.approx(by_hand, rel=1e-3)
    before = ids(ask(shop.graph, "due_again", as_of=NOW - timedelta(weeks=4)))
    assert before == ["s:soup2"], "one purchase is no rhythm"


def test_bought_together_offers_the_partner_and_names_who_speaks_for_it(plant: Callable[..., Any]) -> None:
    shop = plant([*BASKETS, ("u_me", "s:soup0", 2, "a")])
    assert [(c.id, c.via) for c in ask(shop.graph, "bought_together")] == [("s:bread0", "s:soup0")]


def test_similar_users_offer_what_those_who_buy_alike_bought(plant: Callable[..., Any]) -> None:
    alike = [(f"u_{i}", product, 1 + i / 10, product) for i in range(3) for product in ("s:soup0", "s:bread2")]
    others = [(f"u_o{i}", product, 1, product) for i in range(9) for product in ("s:toy0", "s:toy1")]
    shop = plant([*alike, *others, ("u_me", "s:soup0", 1, "a"), ("u_2", "s:toy7", 1, "b")])
    assert ids(ask(shop.graph, "similar_users", without=["s:soup0"])) == ["s:bread2", "s:toy7"]
    assert ids(ask(shop.graph, "similar_users", as_of=NOW - timedelta(weeks=8))) == [], "nobody had bought anything yet"
    lately = ids(ask(shop.graph, "similar_users", as_of=NOW + timedelta(weeks=12)))
    assert lately == [], "what they bought is more than twelve weeks old"


def test_attribute_paths_lead_by_what_few_products_share(plant: Callable[..., Any]) -> None:
    products = {
        "s:own": ("FOOD > SOUP", "rare"), "s:rare": ("PLAY", "rare"),
        **{f"s:soup{i}": ("FOOD > SOUP", "kettle") for i in range(9)},
    }  # fmt: skip
    shop = plant([("u_me", "s:own", 1, "a")], products=products)
    found = ask(shop.graph, "attribute_paths", without=["s:own"])
    assert (found[0].id, found[0].via) == ("s:rare", "s:own")
    # of the brand's two products each has 1/2, of the category's ten 1/10, and all are as popular
    assert [candidate.score / found[0].score for candidate in found[1:]] == pytest.approx([0.2] * 9)


def test_attribute_paths_lead_by_author_and_size_too(plant: Callable[..., Any]) -> None:
    shop = plant([("u_me", "s:toy0", 1, "a")])
    shop.graph.driver.execute_query(
        "MATCH (own:Product {id: 's:toy0'}), (written:Product {id: 's:bread2'}), (sized:Product {id: 's:soup3'}) "
        "CREATE (own)-[:WRITTEN_BY]->(:Author {id: 'ann', name: 'Ann'})<-[:WRITTEN_BY]-(written), "
        "(own)-[:HAS_ATTRIBUTE]->(:Attribute {id: 'size:XL', key: 'size', value: 'XL'})<-[:HAS_ATTRIBUTE]-(sized)",
        database_=shop.graph.database,
    )
    found = ask(shop.graph, "attribute_paths", without=["s:toy0"])
    # each is one of two; of the eight toys each shares category and brand
    assert [candidate.id for candidate in found[:2]] == ["s:bread2", "s:soup3"]
    assert [candidate.score / found[0].score for candidate in found[1:]] == pytest.approx([1.0, *[0.5] * 7])


def test_category_favourites_are_the_best_sellers_of_what_one_buys_most(plant: Callable[..., Any]) -> None:
    others = [
        (f"u_{i}", product, 1, "x") for i, product in enumerate(["s:soup3"] * 3 + ["s:soup4"] * 2 + ["s:toy2"] * 9)
    ]
    shop = plant(
        [*others, *(("u_me", "s:soup0", weeks, str(weeks)) for weeks in (1, 2, 3)), ("u_me", "s:bread0", 1, "b")]
    )
    found = ask(shop.graph, "category_favourites", without=["s:soup0", "s:bread0"])
    assert [(c.id, c.via) for c in found] == [("s:soup3", "FOOD > SOUP"), ("s:soup4", "FOOD > SOUP")]


def test_category_favourites_work_at_the_top_level_too(plant: Callable[..., Any]) -> None:
    shop = plant([("u_1", "s:toy3", 1, "x"), ("u_me", "s:toy0", 1, "a")])
    assert ids(ask(shop.graph, "category_favourites", without=["s:toy0"])) == ["s:toy3"]


def test_popular_lately_counts_people_of_the_last_four_weeks(plant: Callable[..., Any]) -> None:
    many = [("u_fan", "s:toy0", 1, str(order)) for order in range(9)]
    two = [("u_1", "s:soup0", 1, "a"), ("u_2", "s:soup0", 3.9, "a")]
    old = [(f"u_{i}", "s:bread0", 4.1, "b") for i in range(5)]
    found = ask(plant([*many, *two, *old]).graph, "popular_lately")
    assert [(c.id, c.score) for c in found] == [("s:soup0", 2), ("s:toy0", 1)]


def test_popular_within_is_that_of_the_categories_and_the_price(plant: Callable[..., Any]) -> None:
    sold = [
        ("u_1", "s:soup0", 1, "a"),
        ("u_2", "s:soup0", 1, "a"),
        ("u_1", "s:bread0", 1, "a"),
        ("u_1", "s:toy0", 1, "a"),
    ]
    graph = plant(sold, product_changes={"s:soup0": {"price": 2.0}, "s:toy0": {"price": 9.0}}).graph

    def within(**given: Any) -> list[str]:
        return ids(ask(graph, "popular_within", **given))

    assert within()[0] == "s:soup0"
    assert set(within()) == {"s:soup0", "s:bread0", "s:toy0"}
    assert set(within(categories=["FOOD > BREAD", "PLAY"])) == {"s:bread0", "s:toy0"}
    assert within(categories=["FOOD"]) == ["s:soup0", "s:bread0"]
    assert within(min_price=2.0, max_price=8.0) == ["s:soup0"]


def test_text_neighbours_read_like_the_latest(plant: Callable[..., Any]) -> None:
    shop = plant([("u_me", "s:soup0", 1, "a")], views=[("u_me", "s:toy0", 0.5)])
    shop.publish({})
    found = ask(shop.graph, "text_neighbours", without=["s:soup0", "s:toy0"])
    kinds = [candidate.id.rstrip("0123456789") for candidate in found[:12]]
    assert set(kinds) == {"s:soup", "s:toy"}
    assert {candidate.via for candidate in found if candidate.id == "s:soup1"} == {"s:soup0"}


def test_graph_neighbours_are_the_nearest_and_novel_ones_leave_out_what_is_owned(plant: Callable[..., Any]) -> None:
    shop = plant([("u_me", "s:toy0", 1, "a"), ("u_me", "s:toy1", 1, "a")])
    shop.publish({"u_me": 2})
    assert {p.rstrip("0123456789") for p in ids(ask(shop.graph, "graph_neighbours"))[:8]} == {"s:toy"}
    novel = ids(ask(shop.graph, "graph_neighbours", without=["s:toy0", "s:toy1"]))
    assert sorted(novel[:6]) == [f"s:toy{i}" for i in range(2, 8)]


def test_graph_neighbours_follow_what_was_bought_after_the_snapshot(plant: Callable[..., Any]) -> None:
    shop = plant([("u_me", "s:soup0", 1, "a")], users={"u_new": {}})
    shop.publish({"u_me": 0, "u_new": 1})
    later = NOW + timedelta(days=1)
    for user in ("u_me", "u_stranger"):
        shop.graph.driver.execute_query(
            "CYPHER 25 MERGE (u:User {id: $user}) WITH u MATCH (p:Product) WHERE p.id STARTS WITH 's:toy' "
            "CREATE (u)-[:PURCHASED {line_id: u.id + p.id, at: $at, order_id: 'later'}]->(p)",
            user=user, at=later, database_=shop.graph.database,
        )  # fmt: skip
    after = {"as_of": later + timedelta(hours=1)}
    assert ids(ask(shop.graph, "graph_neighbours"))[0].startswith("s:soup")
    moved = {p.rstrip("0123456789") for p in ids(ask(shop.graph, "graph_neighbours", **after))[:8]}
    assert moved <= {"s:soup", "s:toy"}
    assert "s:toy" in moved
    assert ids(ask(shop.graph, "graph_neighbours", user="u_stranger", **after))[0].startswith("s:toy")
    assert ask(shop.graph, "graph_neighbours", user="u_stranger") == []


def test_session_neighbours_start_from_the_latest_product(plant: Callable[..., Any]) -> None:
    shop = plant(BASKETS)
    shop.publish({})
    found = ask(shop.graph, "session_neighbours", session=["s:toy0", "s:soup0"])
    assert found[0].id == "s:bread0" or found[0].id.startswith("s:toy")
    assert found[0].via in ("s:toy0", "s:soup0")
    assert not {"s:toy0", "s:soup0"} & set(ids(found))


def test_popular_in_segment_asks_those_who_share_most(plant: Callable[..., Any]) -> None:
    young, old = {"age": "19-24", "income": "low"}, {"age": "65+", "income": "low"}
    users = {"u_me": young, "u_y1": young, "u_y2": young, **{f"u_o{i}": old for i in range(3)}}
    bought = [
        ("u_y1", "s:toy0", 1, "a"),
        ("u_y2", "s:toy0", 1, "a"),
        *((f"u_o{i}", "s:soup0", 1, "a") for i in range(3)),
    ]
    assert ids(ask(plant(bought, users=users).graph, "popular_in_segment")) == ["s:toy0", "s:soup0"]


def test_full_text_search_puts_what_has_more_and_rarer_words_first(plant: Callable[..., Any]) -> None:
    titles = {"s:soup1": "Tomato soup", "s:soup2": "Tomato and basil soup", "s:bread1": "Tomato bread"}
    shop = plant(BASKETS, product_changes={product: {"title": title} for product, title in titles.items()})
    assert ids(ask(shop.graph, "full_text_search", query="basil tomato soup")) == ["s:soup2", "s:soup1", "s:bread1"]


def test_text_search_finds_the_nearest_in_the_slot_that_serves(plant: Callable[..., Any]) -> None:
    shop = plant(BASKETS)
    assert ask(shop.graph, "text_search") == [], "nothing serves yet"
    for _ in range(2):  # the second time from the other slot
        shop.publish({"u_me": 0}, ["text"])
        found = ids(ask(shop.graph, "text_search", reach=6))
        assert set(found[:4]) == {"s:bread0", "s:bread1", "s:bread2", "s:bread3"}


def test_a_query_file_is_all_a_new_source_needs(plant: Callable[..., Any], settings: Settings, tmp_path: Path) -> None:
    plant([("u_me", "s:soup0", 1, "a")])
    (tmp_path / "own" / "recommend").mkdir(parents=True)
    (tmp_path / "own" / "recommend" / "cheapest.cypher").write_text(
        "// name: cheapest\n// mode: read\n// params: limit\n// returns: items, scores, via\n// The first toys.\n"
        "CYPHER 25\n"
        "MATCH (p:Product) WHERE p.category_1 = 'PLAY' WITH p ORDER BY p.id LIMIT $limit\n"
        "RETURN collect(p.id) AS items, collect(1.0) AS scores, collect(p.id) AS via\n"
    )
    with open_graph(settings.model_copy(update={"cypher_path": tmp_path / "own"})) as graph:
        Sources(graph).require(["cheapest", "graph_neighbours"])
        assert ids(ask(graph, "cheapest", limit=2)) == ["s:toy0", "s:toy1"]
        with pytest.raises(ConfigurationError, match=r"'dearest': dearest\.cypher must exist"):
            Sources(graph).require(["dearest"])
        with pytest.raises(ConfigurationError, match="rule_facts"):
            Sources(graph).require(["rule_facts"])


def test_a_vector_search_filters_inside_the_index(plant: Callable[..., Any]) -> None:
    """A hundred soups lie nearest to the query; of the few breads further off one costs 2, one is hidden."""
    soups = {f"s:soup{i:03}": ("FOOD > SOUP", "kettle") for i in range(100)}
    breads = {f"s:bread{i}": ("FOOD > BREAD", "mill") for i in range(4)}
    prices = {"s:bread1": {"price": 2.0}, "s:bread2": {"price": 3.0}, **{soup: {"price": 9.0} for soup in soups}}
    bought = [("u_me", "s:soup000", 1, "a"), ("u_me", "s:soup001", 1, "a")]
    shop = plant(bought, products={**soups, **breads}, product_changes=prices)
    shop.publish({"u_me": 0})
    shop.graph.driver.execute_query(
        "CYPHER 25 MATCH (p:Product {id: 's:bread3'}) SET p.hidden = true", database_=shop.graph.database
    )
    soup = [float(place == 0) for place in range(FAMILIES["text"].dimension)]
    like = {"like": ["s:soup000"]}
    asked = {"text_search": {"vector": soup}, "graph_like_these": like, "text_like_these": like}
    for source, given in asked.items():

        def within(source: str = source, given: Any = given, **filters: Any) -> list[str]:
            return ids(ask(shop.graph, source, reach=5, limit=5, **given, **filters))

        assert all(product.startswith("s:soup") for product in within()), source
        assert len(within()) == 5, source
        assert set(within(categories=["FOOD > BREAD"])) == {"s:bread0", "s:bread1", "s:bread2"}, source
        assert set(within(categories=["FOOD > BREAD"], max_price=2.5)) == {"s:bread1"}, source
        assert set(within(max_price=8.0)) == {"s:bread1", "s:bread2"}, source
        assert within(min_price=2.5, max_price=3.5) == ["s:bread2"], source
        assert len(within(categories=["FOOD", "FOOD > BREAD"])) == 5, source
        assert within(categories=["PLAY"]) == [], source


def test_new_arrivals_are_what_nobody_bought_of_what_sells(plant: Callable[..., Any]) -> None:
    sold = [(f"u_{i}", "s:soup0", 1, "a") for i in range(5)] + [(f"u_{i}", "s:bread0", 1, "a") for i in range(3)]
    shop = plant([*sold, ("u_old", "s:soup1", 60, "a")], product_changes={"s:soup3": {"price": 4.0}})
    new = {"unbought_before": NOW}
    found = ask(shop.graph, "new_arrivals", **new)
    assert ids(found)[:2] == ["s:soup2", "s:bread1"], "the first of each category, the best seller's first"
    assert [candidate.via for candidate in found[:2]] == ["FOOD > SOUP", "FOOD > BREAD"]
    assert set(ids(found)) == {*(f"s:soup{i}" for i in range(2, 6)), *(f"s:bread{i}" for i in range(1, 4))}
    assert ids(ask(shop.graph, "new_arrivals", categories=["FOOD > BREAD"], **new)) == [
        f"s:bread{i}" for i in (1, 2, 3)
    ]
    assert ids(ask(shop.graph, "new_arrivals", min_price=3.0, max_price=5.0, **new)) == ["s:soup3"]


def test_what_somebody_bought_is_no_new_arrival_to_anyone(plant: Callable[..., Any]) -> None:
    shop = plant([("u_me", "s:soup1", 1, "a"), ("u_other", "s:soup0", 1, "a"), ("u_other", "s:soup2", 3, "b")])
    shop.publish({"u_me": 0})
    for source in ("text_new_arrivals", "attribute_paths"):
        new = ids(ask(shop.graph, source, unbought_before=NOW))
        assert set(new[:3]) == {"s:soup3", "s:soup4", "s:soup5"}, source
        assert not {"s:soup0", "s:soup1", "s:soup2"} & set(new), source
        earlier = ids(ask(shop.graph, source, unbought_before=NOW - timedelta(weeks=2)))
        assert "s:soup0" in earlier, source
        assert "s:soup2" not in earlier, source
