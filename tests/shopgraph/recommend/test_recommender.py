"""The recommender as a whole: what it answers, to whom, on what footing, and with which reasons."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shopgraph.errors import ConfigurationError, InputError
from shopgraph.graph.connection import Graph
from shopgraph.recommend.answer import Recommendations
from shopgraph.recommend.clock import Clock
from shopgraph.recommend.filters import Filters
from shopgraph.recommend.fusion import Blend, FusionConfig
from shopgraph.recommend.liking import UnknownProductsError
from shopgraph.recommend.query import QueryVectors
from shopgraph.recommend.recommender import Recommender
from shopgraph.recommend.retrieval import RecommendConfig
from shopgraph.recommend.rules import Rule, add_rule, new_rule_id
from shopgraph.recommend.standing import MEANING, read_standing
from shopgraph.settings import Settings
from shopgraph_cypher import load_queries

NOW = datetime(2024, 6, 3, tzinfo=UTC)
NO_MODELS = QueryVectors(Path("no models"))
PAIR = [(f"u_{i}", product, 1 + i / 10, "first") for i in range(5) for product in ("s:soup0", "s:bread0")]


def recommender(graph: Graph, **config: Any) -> Recommender:
    return Recommender(graph, Clock(graph, "data"), NO_MODELS, RecommendConfig(**config))


def shown(answer: Recommendations) -> list[str]:
    return [item.id for item in answer.items]


def test_what_is_bought_again_and_again_comes_first(plant: Callable[..., Any]) -> None:
    shop = plant([*PAIR, *(("u_me", "s:soup3", week, str(week)) for week in range(1, 9)), ("u_me", "s:soup0", 5, "a")])
    release = shop.publish({"u_me": 0})
    answer = recommender(shop.graph).recommend("u_me", n=5)
    assert shown(answer)[0] == "s:soup3"
    assert answer.items[0].reason.text == "You bought this 8 times, last on 27 May 2024"
    assert answer.items[0].sources[0] == "repeat_purchases"
    assert (answer.step, answer.release) == ("personal", release.id)
    assert answer.versions == {family: served.version for family, served in release.families.items()}
    assert answer.as_of == NOW - timedelta(weeks=1) + timedelta(milliseconds=1)


def test_novel_ones_are_new_to_the_user_and_the_partner_is_among_them(plant: Callable[..., Any]) -> None:
    shop = plant([*PAIR, ("u_me", "s:soup0", 2, "a"), ("u_me", "s:toy0", 2, "a")])
    shop.publish({"u_me": 1})
    answer = recommender(shop.graph).recommend("u_me", n=20, exclude_owned=True)
    assert not {"s:soup0", "s:toy0"} & set(shown(answer))
    bread = next(item for item in answer.items if item.id == "s:bread0")
    assert shown(answer)[0] == "s:bread0"
    assert [step.get("id") or step["type"] for step in bread.reason.path] == [
        "u_me", "PURCHASED", "s:soup0", "BOUGHT_WITH", "s:bread0",
    ]  # fmt: skip
    assert bread.reason.text == "Often bought together with Soup0, which you bought"


def test_twenty_survive_for_a_user_who_owns_thousands(plant: Callable[..., Any]) -> None:
    products = {f"s:soup{i:04}": ("FOOD > SOUP", "kettle") for i in range(2600)}
    owned = [("u_me", product, 1 + i / 100, str(i % 50)) for i, product in enumerate(products) if i >= 30]
    others = [("u_other", product, 1, "x") for product in list(products)[:2000]]
    shop = plant([*owned, *others], products=products)
    shop.publish({"u_me": 0})
    answer = recommender(shop.graph).recommend("u_me", n=20, exclude_owned=True)
    assert len(shown(answer)) == 20
    assert set(shown(answer)) <= set(list(products)[:30])

    later = NOW + timedelta(days=2)
    shop.graph.driver.execute_query(
        "CYPHER 25 MATCH (u:User {id: 'u_me'}), (p:Product {id: 's:soup0000'}) "
        "CREATE (u)-[:PURCHASED {line_id: 'later', order_id: 'later', at: $at}]->(p)",
        at=later - timedelta(days=1), database_=shop.graph.database,
    )  # fmt: skip
    searched = recommender(shop.graph).recommend("u_me", n=20, exclude_owned=True, as_of=later)
    assert len(shown(searched)) == 20
    assert set(shown(searched)) <= set(list(products)[1:30])
    assert any("graph_neighbours" in item.sources for item in searched.items)


def test_every_path_of_every_reason_is_in_the_graph(plant: Callable[..., Any]) -> None:
    bought = [*PAIR, ("u_me", "s:soup0", 2, "a"), ("u_me", "s:toy0", 2, "b"), ("u_1", "s:toy1", 1, "c")]
    shop = plant(bought, views=[("u_me", "s:soup4", 1)])
    shop.publish({"u_me": 2})
    answers = [recommender(shop.graph).recommend("u_me", n=20, exclude_owned=novel) for novel in (False, True)] + [
        recommender(shop.graph).similar("s:soup0", n=10)
    ]
    paths = [item.reason.path for answer in answers for item in answer.items if item.reason.path]
    assert len(paths) >= 15
    for path in paths:
        for source, relation, target in zip(path[::2], path[1::2], path[2::2], strict=False):
            start, end = (source, target) if relation["forward"] else (target, source)
            found = shop.graph.driver.execute_query(
                f"CYPHER 25 MATCH (a:{start['label']} {{id: $a}}) MATCH (b:{end['label']} {{id: $b}}) "
                f"RETURN COUNT {{ (a)-[:{relation['type']}]->(b) }} AS n",
                a=start["id"], b=end["id"], database_=shop.graph.database,
            ).records  # fmt: skip
            assert found[0]["n"] >= 1, (path, relation)


def test_a_hidden_product_is_gone_from_the_very_next_answer(plant: Callable[..., Any]) -> None:
    shop = plant([*PAIR, ("u_me", "s:soup0", 2, "a")])
    shop.publish({"u_me": 1})
    ours = recommender(shop.graph)
    assert "s:bread0" in shown(ours.recommend("u_me", n=20))
    assert "s:bread0" in shown(ours.similar("s:soup0"))
    shop.graph.driver.execute_query(
        "CYPHER 25 MATCH (p:Product {id: 's:bread0'}) SET p.hidden = true", database_=shop.graph.database
    )
    assert "s:bread0" not in shown(ours.recommend("u_me", n=20))
    assert "s:bread0" not in shown(ours.similar("s:soup0"))


def test_newcomers_go_down_a_stated_chain(plant: Callable[..., Any]) -> None:
    young = {"age": "19-24"}
    fans = [(f"u_{i}", "s:toy5", 10, "c") for i in range(3)]
    shop = plant([*PAIR, *fans], users={"u_me": young, "u_blank": {}, **{f"u_{i}": young for i in range(3)}})
    ours = recommender(shop.graph)
    steps = {
        "popular": ours.recommend("u_nobody", n=5),
        "segment": ours.recommend("u_me", n=5),
        "session": ours.recommend("u_nobody", n=5, session=["s:soup0"]),
        "category": ours.recommend("u_nobody", n=5, filters=Filters(categories=["FOOD > BREAD"])),
        "personal": ours.recommend("u_0", n=5),
    }
    assert {step: answer.step for step, answer in steps.items()} == {step: step for step in steps}
    assert shown(steps["popular"]) == ["s:bread0", "s:soup0"]
    assert steps["popular"].items[0].reason.text == "Bought by 5 people in the last four weeks"
    assert shown(steps["session"])[0] == "s:bread0"
    assert ours.recommend("u_blank", n=5).step == "popular"
    assert shown(steps["category"]) == ["s:bread0"]
    looked = ours.recommend("u_nobody", n=5, session=["s:bread3"])
    assert (looked.step, shown(looked)[0]) == ("session", "s:bread0"), (
        "nothing goes with bread 3: what sells of its kind"
    )
    assert looked.items[0].reason.text == "BREAD, like Bread3"


def test_before_anything_is_derived_or_published_the_answer_is_empty_not_an_error(graph: Graph) -> None:
    answer = recommender(graph).recommend("u_nobody", n=5)
    assert (answer.items, answer.release, answer.step) == ([], None, "popular")


def test_a_time_before_what_derived_values_carry_is_refused(plant: Callable[..., Any]) -> None:
    shop = plant([*PAIR, ("u_me", "s:soup0", 3, "a"), ("u_me", "s:toy0", 1, "b")])
    early = NOW - timedelta(weeks=2)
    with pytest.raises(InputError, match=r"is not after 2024-05-27.*bought_together.* would see the future"):
        recommender(shop.graph).recommend("u_me", as_of=early)
    honest = FusionConfig(repeat=Blend({"repeat_purchases": 1.0}))
    assert shown(recommender(shop.graph, fusion=honest).recommend("u_me", as_of=early)) == ["s:soup0"]
    assert recommender(shop.graph).recommend("u_me", as_of=NOW).items


def test_bounds_and_names_are_checked(plant: Callable[..., Any]) -> None:
    shop = plant(PAIR)
    for n in (0, -1, 101):
        with pytest.raises(InputError, match="ask for 1 to 100"):
            recommender(shop.graph).recommend("u_me", n=n)
    with pytest.raises(UnknownProductsError, match="no product has the id 's:none'"):
        recommender(shop.graph).similar("s:none")
    with pytest.raises(ConfigurationError, match="crystal_ball"):
        recommender(shop.graph, fusion=FusionConfig(novel=Blend({"crystal_ball": 1.0})))


def test_a_search_without_a_query_encoder_finds_by_words(plant: Callable[..., Any]) -> None:
    shop = plant(PAIR, product_changes={"s:toy1": {"title": "Soup0 kettle for dolls"}})
    shop.publish({"u_me": 0})
    answer = recommender(shop.graph).search("the SOUP0 (kettle")
    assert shown(answer) == ["s:toy1", "s:soup0"]
    assert (answer.step, {*answer.items[0].sources}) == ("words", {"full_text_search"})
    for empty in ("", "  ", "\0", "OR AND ("):
        assert recommender(shop.graph).search(empty).items == []
    assert shown(recommender(shop.graph).search("soup0 " * 5_000)) == ["s:soup0", "s:toy1"]


def test_a_diverse_answer_begins_the_same_and_goes_elsewhere(plant: Callable[..., Any]) -> None:
    """The user's vector lies among soups, and the last weeks sold breads and toys too."""
    sold = [(f"u_{i}", product, 1, product) for i in range(4) for product in ("s:bread1", "s:toy3")]
    shop = plant([*PAIR, *sold, ("u_me", "s:soup0", 2, "a")])
    shop.publish({"u_me": 0})
    recommends = recommender(shop.graph)

    def kinds(diversity: float) -> list[str]:
        items = shown(recommends.recommend("u_me", n=3, exclude_owned=True, diversity=diversity))
        return [item.removeprefix("s:").rstrip("0123456789") for item in items]

    assert len(set(kinds(0.9))) == 3
    assert len(set(kinds(0.0))) < 3
    assert kinds(0.9)[0] == kinds(0.0)[0]
    with pytest.raises(InputError, match=r"diversity = 1\.5: it is from 0 to 1"):
        recommends.recommend("u_me", diversity=1.5)


def test_filters_hold_whatever_was_chosen_and_what_is_popular_within_them_fills_up(plant: Callable[..., Any]) -> None:
    """The user's vector lies among soups; breads have prices, bread3 none."""
    sold = [(f"u_{i}", product, 1, product) for i in range(4) for product in ("s:bread1", "s:bread2", "s:toy3")]
    prices = {f"s:bread{i}": {"price": 1.0 + i} for i in range(3)}
    shop = plant([*PAIR, *sold, ("u_me", "s:soup0", 2, "a")], product_changes=prices)
    shop.publish({"u_me": 0})
    recommends = recommender(shop.graph)

    def found(**filters: Any) -> set[str]:
        answer = recommends.recommend("u_me", 20, exclude_owned=True, filters=Filters(**filters))
        return set(shown(answer))

    breads = {f"s:bread{i}" for i in range(4)}
    assert found(categories=["FOOD > BREAD"]) <= breads
    assert {"s:bread1", "s:bread2"} <= found(categories=["FOOD > BREAD"])
    both = found(categories=["FOOD > BREAD", "PLAY"])
    assert "s:toy3" in both
    assert not any("soup" in product for product in both)
    assert any("soup" in product for product in found(categories=["FOOD"]))
    assert found(min_price=2.0) == {"s:bread1", "s:bread2"}
    assert found(min_price=1.5, max_price=2.5) == {"s:bread1"}
    assert "s:bread1" not in found(categories=["FOOD > BREAD"], exclude=["s:bread1"])
    assert "s:soup1" not in found(exclude=["s:soup1"])
    assert found(categories=["NOTHING OF THE KIND"]) == set()
    assert {*shown(recommends.similar("s:bread0", filters=Filters(min_price=2.0)))} == {"s:bread1", "s:bread2"}
    assert shown(recommends.similar("s:bread0", filters=Filters(exclude=["s:bread1"], min_price=2.0))) == ["s:bread2"]
    assert shown(recommends.search("bread1 bread2 toy1", filters=Filters(max_price=2.5))) == ["s:bread1"]
    assert shown(recommends.search("bread1 toy1", filters=Filters(categories=["PLAY"]))) == ["s:toy1"]
    assert shown(recommends.search("bread1 toy1", filters=Filters(exclude=["s:toy1"]))) == ["s:bread1"]
    with pytest.raises(InputError, match="min_price = 3 is above max_price = 2"):
        Filters(min_price=3, max_price=2)


def test_the_commands_hold_to_their_filters_and_their_place(plant: Callable[..., Any], settings: Settings) -> None:
    user = f"u_{'a' * 26}"  # a pseudonym: the command takes it as it is
    shop = plant([*PAIR, (user, "s:soup0", 2, "a")], product_changes={"s:bread0": {"price": 2.0}})
    add_rule(shop.graph, Rule(new_rule_id(), "pin", "Product", "s:toy7", 1.0), by="ann@shop.example", scenario="home")
    environment = {**os.environ, "SHOPGRAPH_HOME": str(settings.home), "SHOPGRAPH_CLOCK": "data"}

    def told(*words: str, command: tuple[str, ...] = ("recommend", user)) -> list[str]:
        done = subprocess.run(
            [Path(sys.executable).with_name("shopgraph"), *command, "--json", *words], env=environment,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return [item["id"] for item in json.loads(done.stdout)["items"]]

    assert set(told()) == {"s:soup0", "s:bread0"}
    assert told("--category", "FOOD > BREAD", "--min-price", "1", "--max-price", "3") == ["s:bread0"]
    assert told("--scenario", "home")[0] == "s:toy7"
    assert "s:bread0" not in told("--exclude", "s:bread0")
    assert "s:soup1" in told("--new-only")
    assert not {"s:soup0", "s:bread0"} & set(told("--new-only"))
    for command in (("similar", "s:soup0"), ("search", "bread0")):
        assert told(command=command) == ["s:bread0"]
        narrow = ("--category", "FOOD > BREAD", "--min-price", "1", "--max-price", "3")
        assert told(*narrow, command=command) == ["s:bread0"]
        assert told("--max-price", "1.5", command=command) == []
        assert told("--category", "PLAY", command=command) == []
        assert told("--exclude", "s:bread0", command=command) == []
        assert told("--scenario", "home", command=command)[0] == "s:toy7"


def test_events_steer_by_their_weights_until_they_expire(plant: Callable[..., Any]) -> None:
    """By hand, weight times what is left of its time: see `EVENTS`."""
    shop = plant(PAIR)
    done = [
        ("VIEWED", "s:soup0", 1, {}),  # 1 * 11 / 12
        ("VIEWED", "s:bread0", 13, {}),  # over after 12 hours
        ("PUT_IN_BASKET", "s:toy0", 1, {}),  # 3 * 71 / 72
        ("RATED", "s:toy1", 24, {"rating": 5.0}),  # 2 * 1 / 2
        ("VIEWED", "s:soup1", 1, {}),  # 11 / 12, and below 0 with
        ("RATED", "s:soup1", 1, {"rating": 1.0}),  # -2 * 47 / 48
        ("PUT_IN_BASKET", "s:toy2", 3, {}),
        ("TOOK_FROM_BASKET", "s:toy2", 2, {}),
    ]
    shop.graph.driver.execute_query(
        "CYPHER 25 CREATE (v:Session {id: 'visit'}) WITH v UNWIND $done AS one MATCH (p:Product {id: one[1]}) "
        "CREATE (v)-[e:$(one[0])]->(p) SET e.at = $now - duration({hours: one[2]}), e += one[3], "
        "e.line_id = one[0] + one[1]",
        done=[list(one) for one in done], now=NOW, database_=shop.graph.database,
    )  # fmt: skip
    standing = read_standing(shop.graph, NOW, session_id="visit")
    assert standing.interest == ["s:toy0", "s:toy1", "s:soup0"]
    assert set(standing.seen) == set(standing.interest)


def test_all_that_is_declared_to_steer_is_read() -> None:
    read = re.findall(r"\(who\)-\[e:([A-Z_|]+)\]", load_queries()["serving_state"].text)
    assert {relation for each in read for relation in each.split("|")} == set(MEANING)
