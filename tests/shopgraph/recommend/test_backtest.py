"""Served answers are judged by what was bought since serving learned, and by nothing that it could have seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shopgraph.errors import InputError
from shopgraph.graph.connection import Graph
from shopgraph.recommend.backtest import POPULARITY, RECOMMENDER, Line, backtest, open_trial
from shopgraph.recommend.clock import Clock
from shopgraph.recommend.query import QueryVectors
from shopgraph.recommend.recommender import Recommender
from shopgraph.settings import Settings

from .conftest import NOW

PAIR = [(f"u_{i}", product, 1 + i / 10, "first") for i in range(5) for product in ("s:soup0", "s:bread0")]
BOUGHT = [*PAIR, ("u_me", "s:soup0", 2, "a"), ("u_me", "s:toy0", 3, "b"), ("u_else", "s:toy0", 2, "a")]
CHEAPEST = (
    "// name: cheapest\n// mode: read\n// params: limit\n// returns: items, scores, via\n// The first toys.\n"
    "CYPHER 25\n"
    "MATCH (p:Product) WHERE p.category_1 = 'PLAY' WITH p ORDER BY p.id LIMIT $limit\n"
    "RETURN collect(p.id) AS items, collect(1.0) AS scores, collect(p.id) AS via\n"
)


def buy(graph: Graph, user: str, product: str, days: float = 1) -> None:
    """Days after NOW."""
    graph.driver.execute_query(
        "CYPHER 25 MATCH (p:Product {id: $product}) MERGE (u:User {id: $user}) "
        "CREATE (u)-[:PURCHASED {line_id: u.id + p.id + 'later', at: $at, order_id: 'later'}]->(p)",
        user=user, product=product, at=NOW + timedelta(days=days), database_=graph.database,
    )  # fmt: skip


def recommender(graph: Graph) -> Recommender:
    return Recommender(graph, Clock(graph, "data"), QueryVectors(Path("no models")))


def judged(graph: Graph, *sources: str) -> dict[tuple[str, str], Line]:
    recommends = recommender(graph)
    return {(line.setting, line.model): line for line in backtest(recommends, open_trial(graph, recommends), sources)}


def test_each_source_is_judged_alone_by_later_purchases(plant: Callable[..., Any]) -> None:
    shop = plant(BOUGHT)
    shop.publish({"u_me": 1})
    buy(shop.graph, "u_me", "s:bread0")
    buy(shop.graph, "u_me", "s:soup0")
    found = judged(shop.graph, "bought_together", "repeat_purchases", "similar_baskets", "session_neighbours")
    together = found["novel", "bought_together"]
    assert together.figures.ndcg.tolist() == [1.0], "bread goes with soup, comes first, and is all that is new"
    assert (together.answered, together.asked_with) == (1.0, "history")
    assert together.median_ms is not None
    assert together.median_ms > 0

    repeats = found["all", "repeat_purchases"]
    # soup, then toy: soup at rank 1 of two that are right
    assert repeats.figures.ndcg.tolist() == pytest.approx([1 / (1 + 1 / np.log2(3))])
    assert repeats.figures.recall.tolist() == [0.5]
    nothing = found["novel", "repeat_purchases"]
    assert (nothing.answered, nothing.figures.ndcg.tolist()) == (0.0, [0.0])
    assert found["novel", "similar_baskets"].asked_with == "the product bought last"
    assert found["novel", "similar_baskets"].figures.ndcg.tolist() == [1.0], "of soup, bought last"
    assert found["novel", "session_neighbours"].asked_with == "products bought last"
    assert found["all", POPULARITY].median_ms is None
    assert found["all", RECOMMENDER].figures.recall.tolist() == [1.0]


def test_popularity_and_what_is_served_are_as_of_the_moment_before(plant: Callable[..., Any]) -> None:
    """Toys sell only later: nothing that was known tells of them."""
    shop = plant([*PAIR, ("u_me", "s:soup1", 2, "a")])
    for number in range(6):
        buy(shop.graph, f"u_new{number}", "s:toy5")
    buy(shop.graph, "u_me", "s:bread0")
    trial = open_trial(shop.graph, recommender(shop.graph))
    newest = NOW - timedelta(weeks=1)
    assert trial.cut == newest + timedelta(milliseconds=1)
    found = judged(shop.graph, "popular_lately")
    assert found["all", POPULARITY].figures.ndcg.tolist() == found["all", "popular_lately"].figures.ndcg.tolist()
    assert found["all", "popular_lately"].figures.users.size == 1, "what nobody had bought is no candidate"
    assert found["all", "popular_lately"].asked_with == "nothing"


def test_users_whose_vectors_know_later_purchases_are_left_out(plant: Callable[..., Any]) -> None:
    shop = plant(BOUGHT)
    shop.publish({"u_me": 1})
    for user in ("u_me", "u_else"):
        buy(shop.graph, user, "s:bread0")
    shop.graph.driver.execute_query(
        "CYPHER 25 MATCH (u:User {id: 'u_else'}) SET u.graph_blue_until = $at",
        at=NOW + timedelta(days=1), database_=shop.graph.database,
    )  # fmt: skip
    trial = open_trial(shop.graph, recommender(shop.graph))
    assert (trial.left_out, len(trial.judged.settings["all"].users)) == (1, 1)


def test_users_are_drawn_the_same_way_again(plant: Callable[..., Any]) -> None:
    shop = plant([*BOUGHT, *((f"u_{i}", "s:soup1", 3, "z") for i in range(9))])
    for number in range(9):
        buy(shop.graph, f"u_{number}", "s:bread0")
    asked = recommender(shop.graph)
    drawn = [open_trial(shop.graph, asked, most_users=4, seed=seed).judged for seed in (1, 1, 2)]
    users = [set(one.users.take(one.settings["all"].users).to_pylist()) for one in drawn]
    assert [len(some) for some in users] == [4, 4, 4]
    assert users[0] == users[1] != users[2]


def test_without_anything_learned_or_bought_since_it_says_so(plant: Callable[..., Any], graph: Graph) -> None:
    with pytest.raises(InputError, match="nothing was derived or published yet"):
        open_trial(graph, recommender(graph))
    shop = plant(BOUGHT)
    with pytest.raises(InputError, match="no purchase is newer than 2024-05-27 00:00 UTC"):
        open_trial(shop.graph, recommender(shop.graph))


def test_a_shops_own_query_file_is_judged_and_named_in_settings(
    plant: Callable[..., Any], settings: Settings, tmp_path: Path
) -> None:
    user = f"u_{'a' * 26}"  # a pseudonym: the command takes it as it is
    shop = plant([*PAIR, (user, "s:toy0", 3, "b"), ("u_else", "s:toy1", 2, "b")])
    shop.publish({user: 1})
    buy(shop.graph, user, "s:toy1")
    (tmp_path / "own" / "recommend").mkdir(parents=True)
    (tmp_path / "own" / "recommend" / "cheapest.cypher").write_text(CHEAPEST)
    environment = {
        **os.environ, "SHOPGRAPH_HOME": str(settings.home), "SHOPGRAPH_CLOCK": "data", "COLUMNS": "200",
        "SHOPGRAPH_CYPHER_PATH": str(tmp_path / "own"),
    }  # fmt: skip

    def shopgraph(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [Path(sys.executable).with_name("shopgraph"), *words], env={**environment, **more}, capture_output=True,
            text=True, timeout=120, check=False,
        )  # fmt: skip

    done = shopgraph("evaluate", "--sources", "--json")
    assert done.returncode == 0, done.stderr
    rows = {(row["setting"], row["model"]): row for row in json.loads(done.stdout)["rows"]}
    assert rows["novel", "cheapest"]["ndcg@20"] == 1.0, "toy 0 is owned, toy 1 is next"
    assert rows["all", "cheapest"]["ndcg@20"] == pytest.approx(1 / np.log2(3))
    assert {"graph_neighbours", "similar_text", RECOMMENDER} <= {model for _, model in rows}
    assert not {"text_search", "full_text_search"} & {model for _, model in rows}

    said = shopgraph("evaluate", "--only", "cheapest").stdout
    assert "novel, 1 users" in said
    assert "cheapest" in said
    assert "1.0000" in said
    wrong = shopgraph("evaluate", "--only", "dearest")
    assert wrong.returncode != 0
    assert "'dearest' is no source" in wrong.stderr

    loud = {"SHOPGRAPH_FUSION": '{"novel": {"weights": {"cheapest": 9}}}'}
    first = json.loads(shopgraph("recommend", user, "--novel", "--json", **loud).stdout)["items"][0]
    assert (first["id"], first["sources"][0]) == ("s:toy1", "cheapest")
    told = json.loads(shopgraph("recommend", user, "--novel", "--explain", "--json", **loud).stdout)["items"][0]
    assert told["score"] == pytest.approx(sum(told["detail"]["sources"].values()))
    assert max(told["detail"]["sources"], key=told["detail"]["sources"].get) == "cheapest"
    within = json.loads(shopgraph("recommend", user, "--category", "FOOD > SOUP", "--json").stdout)["items"]
    assert {item["id"].rstrip("0123456789") for item in within} == {"s:soup"}
    unknown = shopgraph("recommend", user, SHOPGRAPH_FUSION='{"novel": {"weights": {"dearest": 9}}}')
    assert "candidate source 'dearest'" in unknown.stderr
