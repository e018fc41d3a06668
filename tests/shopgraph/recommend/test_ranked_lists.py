"""Lists ranked ahead and live retrieval answer the same, and a list is left where it may no longer be true."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from shopgraph.graph.connection import Graph
from shopgraph.recommend.answer import Recommendations
from shopgraph.recommend.clock import Clock
from shopgraph.recommend.filters import Filters
from shopgraph.recommend.liking import Liking
from shopgraph.recommend.page import Page
from shopgraph.recommend.query import QueryVectors
from shopgraph.recommend.rank_ahead import forget_lists, rank_ahead
from shopgraph.recommend.ranked_lists import RankedLists
from shopgraph.recommend.recommender import Recommender
from shopgraph.recommend.rules import Rule, add_rule, end_rule
from shopgraph.settings import Settings

from .conftest import NOW

PAIRS = [(f"u_{i}", product, 1 + i / 10, "first") for i in range(5) for product in ("s:soup0", "s:bread0", "s:soup1")]
MINE = [("u_me", "s:soup0", 2.0, "a"), ("u_me", "s:soup0", 3.0, "b"), ("u_me", "s:toy0", 4.0, "c")]
PRICED = {f"s:soup{i}": {"price": float(i)} for i in range(6)}


def recommender(graph: Graph) -> Recommender:
    return Recommender(graph, Clock(graph, "data"), QueryVectors(Path("no models")))


@pytest.fixture
def shop(plant: Callable[..., Any]) -> Any:
    planted = plant([*PAIRS, *MINE], product_changes=PRICED)
    planted.publish({"u_me": 0})
    return planted


def ranked(graph: Graph) -> None:
    rank_ahead(graph, recommender(graph), Clock(graph, "data").now())


def run(graph: Graph, text: str, **params: Any) -> list[Any]:
    return graph.driver.execute_query(text, params, database_=graph.database).records


def reverse(graph: Graph) -> None:
    """Turn every list round: who answers by one now answers backwards."""
    run(
        graph,
        "MATCH (r:Release {active: true}) MATCH (n:User|Product) UNWIND keys(n) AS key "
        "WITH r, n, key WHERE key STARTS WITH 'ranked_' AND key ENDS WITH r.ranked_slot "
        "WITH n, key, split(n[key], '\n') AS lines "
        "SET n[key] = reduce(text = lines[0], line IN reverse(lines[1..]) | text + '\n' + line)",
    )


def shown(answer: Recommendations) -> list[str]:
    return [item.id for item in answer.items]


def alike(answer: Recommendations, other: Recommendations) -> bool:
    """All but the ids, which are each answer's own."""
    return replace(answer, recommendation_id=other.recommendation_id) == other


ASKED: dict[str, Callable[[Recommender], Recommendations]] = {
    "all": lambda asked: asked.recommend("u_me", 6),
    "novel": lambda asked: asked.recommend("u_me", 6, exclude_owned=True),
    "second page": lambda asked: asked.recommend("u_me", 3, offset=3),
    "filters": lambda asked: asked.recommend(
        "u_me", 2, filters=Filters(categories=["FOOD > SOUP"], min_price=1.0, max_price=3.0)
    ),
    "similar": lambda asked: asked.similar("s:soup0", 5),
    "similar, filtered": lambda asked: asked.similar("s:soup0", 2, filters=Filters(categories=["FOOD"])),
}


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
def test_a_list_answers_what_live_retrieval_did(shop: Any, asked: Callable[[Recommender], Recommendations]) -> None:
    recommends = recommender(shop.graph)
    live = asked(recommends)
    ranked(shop.graph)
    listed = asked(recommends)
    assert alike(listed, live)
    assert len(listed.items) > 1
    assert all(item.reason.text for item in listed.items)
    reverse(shop.graph)
    assert shown(asked(recommends)) != shown(live), "it is the list that answers"


def test_where_too_little_of_a_list_passes_live_retrieval_knows_all_of_the_user(shop: Any) -> None:
    recommends, narrow = recommender(shop.graph), Filters(categories=["FOOD > SOUP"], min_price=0.0, max_price=3.0)
    live = recommends.recommend("u_me", 6, True, filters=narrow)
    ranked(shop.graph)
    listed = recommends.recommend("u_me", 6, True, filters=narrow)
    assert alike(listed, live)
    assert "s:soup1" in shown(listed)
    assert "s:soup0" not in shown(listed), "that one is owned"
    assert listed.step == "personal"


def test_what_is_excluded_leaves_the_order_of_the_others(shop: Any) -> None:
    """Not the scores: rank fusion counts ranks without it where it is known beforehand."""
    recommends, without = recommender(shop.graph), Filters(exclude=["s:soup0"])
    live = recommends.recommend("u_me", 4, filters=without)
    ranked(shop.graph)
    assert shown(recommends.recommend("u_me", 4, filters=without)) == shown(live)


def test_rules_apply_to_a_list_as_they_do_live(shop: Any) -> None:
    recommends = recommender(shop.graph)
    now = datetime.now(UTC)
    for rule in (
        Rule("r-bury", "bury", "Category", "FOOD > SOUP", 2.0),
        Rule("r-pin", "pin", "Product", "s:bread3", 1),
    ):
        add_rule(shop.graph, rule, starts=now - timedelta(days=1), by="a test")
    live = recommends.recommend("u_me", 6)
    ranked(shop.graph)
    assert alike(recommends.recommend("u_me", 6), live)
    end_rule(shop.graph, "r-pin", by="a test")
    assert shown(recommends.recommend("u_me", 6))[0] != "s:bread3"


@pytest.mark.parametrize("change", ["hidden = true", "stock = 0", "retired_at = datetime('2020-01-01T00:00:00Z')"])
def test_what_may_not_be_shown_now_leaves_every_list_at_once(shop: Any, change: str) -> None:
    recommends = recommender(shop.graph)
    ranked(shop.graph)
    first, like = shown(recommends.recommend("u_me", 3))[0], shown(recommends.similar("s:soup0", 3))[0]
    for product in (first, like):
        run(shop.graph, f"MATCH (p:Product {{id: $id}}) SET p.{change}", id=product)
    assert first not in shown(recommends.recommend("u_me", 3))
    assert like not in shown(recommends.similar("s:soup0", 3))


def test_who_has_done_something_since_is_answered_live(shop: Any) -> None:
    recommends = recommender(shop.graph)
    ranked(shop.graph)
    run(
        shop.graph,
        "MATCH (u:User {id: 'u_me'}), (p:Product {id: 's:soup1'}) "
        "CREATE (u)-[:PURCHASED {line_id: 'late', order_id: 'late', at: $at, quantity: 1}]->(p)",
        at=NOW - timedelta(weeks=40),
    )
    assert "s:soup1" not in shown(recommends.recommend("u_me", 6, exclude_owned=True)), "told late, of long ago"
    reverse(shop.graph)
    other, mine = (shown(recommends.recommend(user, 6)) for user in ("u_1", "u_me"))
    assert other[-1] == "s:soup0" or other[0] != "s:soup0", "hers is still a list, now turned round"
    assert mine[0] == "s:soup0"


def hide(graph: Graph, who: str, product: str, at: datetime, kind: str = "HID") -> None:
    run(
        graph,
        f"MATCH (u:User|Session {{id: $who}}), (p:Product {{id: $product}}) "
        f"CREATE (u)-[:{kind} {{line_id: $line, at: $at}}]->(p)",
        who=who, product=product, at=at, line=f"{kind}{who}{product}{at}",
    )  # fmt: skip


def test_what_happens_while_lists_are_made_is_not_missed(shop: Any) -> None:
    """The lists are of a moment; who did something after it, before they were reached, is answered live."""
    recommends = recommender(shop.graph)
    first = shown(recommends.recommend("u_me", 6))[0]
    hide(shop.graph, "u_me", first, NOW + timedelta(minutes=5))
    rank_ahead(shop.graph, recommends, NOW)
    run(shop.graph, "MATCH (s:Source) SET s.newest_event_at = $at", at=NOW + timedelta(minutes=6))
    assert first not in shown(recommends.recommend("u_me", 6))


def test_a_list_serves_for_two_days(shop: Any) -> None:
    recommends = recommender(shop.graph)
    live = shown(recommends.recommend("u_me", 6))
    ranked(shop.graph)
    reverse(shop.graph)
    assert shown(recommends.recommend("u_me", 6)) != live
    moved = "MATCH (s:Source) SET s.newest_event_at = s.newest_event_at + duration({hours: $hours})"
    run(shop.graph, moved, hours=47)
    assert shown(recommends.recommend("u_me", 6)) != live
    run(shop.graph, moved, hours=2)
    assert shown(recommends.recommend("u_me", 6))[0] == live[0]


def test_what_somebody_hid_is_in_no_list_that_they_see(shop: Any) -> None:
    recommends, asked = recommender(shop.graph), Liking(["s:soup0"])
    like, found = shown(recommends.similar("s:soup0", 4)), shown(recommends.search("soup1 bread0", 4))
    run(shop.graph, "CREATE (:Session {id: 's_visit'})")
    at = Clock(shop.graph, "data").now() - timedelta(minutes=1)
    for product in (like[0], found[0]):
        hide(shop.graph, "s_visit", product, at)
    for listed in (False, True):
        if listed:
            ranked(shop.graph)
        for seen_by in ({"who": "u_me", "session_id": "s_visit"}, {"who": "s_visit"}):
            assert like[0] not in shown(recommends.similar("s:soup0", 4, **seen_by))
            assert like[0] not in shown(recommends.like_these(asked, 4, **seen_by))
            assert found[0] not in shown(recommends.search("soup1 bread0", 4, **seen_by))
        assert like[0] in shown(recommends.similar("s:soup0", 4, who="u_me"))
        assert like[0] in shown(recommends.similar("s:soup0", 4))
    hide(shop.graph, "u_me", like[0], at + timedelta(seconds=1), "UNHID")
    assert like[0] in shown(recommends.similar("s:soup0", 4, who="u_me", session_id="s_visit"))
    assert like[0] in shown(recommends.recommend("u_me", 18, session_id="s_visit"))


def test_rules_choose_live_where_filters_leave_a_list_short(shop: Any) -> None:
    recommends, narrow = recommender(shop.graph), Filters(categories=["FOOD"])
    ranked(shop.graph)
    slot = run(shop.graph, "MATCH (r:Release {active: true}) RETURN r.ranked_slot AS slot")[0]["slot"]
    (record,) = run(shop.graph, f"MATCH (u:User {{id: 'u_me'}}) RETURN u.ranked_all_{slot} AS lines")
    few = "\n".join(record["lines"].split("\n")[:5])
    run(shop.graph, f"MATCH (u:User {{id: 'u_me'}}) SET u.ranked_all_{slot} = $few", few=few)
    unlisted = shown(recommends.recommend("u_me", 10, as_of=Clock(shop.graph, "data").now(), filters=narrow))[4]
    add_rule(shop.graph, Rule("r-boost", "boost", "Product", unlisted, 50.0), by="a test")
    assert shown(recommends.recommend("u_me", 2, filters=narrow))[0] == unlisted


def test_a_path_that_is_gone_is_no_reason_any_more(shop: Any) -> None:
    recommends = recommender(shop.graph)
    ranked(shop.graph)
    item = next(item for item in recommends.similar("s:soup0", 5).items if item.reason.path)
    types = [step["type"] for step in item.reason.path if "type" in step]
    run(shop.graph, "MATCH (:Product {id: 's:soup0'})-[r]->() WHERE type(r) IN $types DELETE r", types=types)
    after = next(one for one in recommends.similar("s:soup0", 5).items if one.id == item.id)
    assert after.reason.path == []


def test_a_newer_release_and_a_newer_run_end_the_older_lists(shop: Any) -> None:
    lists = RankedLists(shop.graph)

    def listed() -> list[bool]:
        found = (
            lists.of_user("u_me", False, None, "", Filters(), Page(3))[1],
            lists.like_product("s:soup0", "", Filters(), Page(3)),
        )
        return [each is not None for each in found]

    assert listed() == [False, False]
    ranked(shop.graph)
    ranked(shop.graph)
    assert listed() == [True, True]
    run(shop.graph, "MATCH (r:Release {active: true}) SET r.ranked_run = 'another'")
    assert listed() == [False, False]
    ranked(shop.graph)
    shop.publish({"u_me": 1})
    assert listed() == [False, False]


def test_before_a_release_serves_nothing_is_ranked_ahead(graph: Graph) -> None:
    assert rank_ahead(graph, recommender(graph), NOW) is None


def test_the_command_tells_what_it_listed(shop: Any, settings: Settings) -> None:
    command = [Path(sys.executable).with_name("shopgraph"), "rank", "--json"]
    environment = {**os.environ, "SHOPGRAPH_HOME": str(settings.home), "SHOPGRAPH_CLOCK": "data"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["users"], told["products"]) == (6, 4)
    lists = RankedLists(shop.graph)
    assert lists.of_user("u_me", False, None, "", Filters(), Page(3))[1] is not None
    forget_lists(shop.graph)
    assert lists.of_user("u_me", False, None, "", Filters(), Page(3))[1] is None
