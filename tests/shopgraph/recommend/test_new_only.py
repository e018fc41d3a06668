"""Products that nobody has bought yet: ranked, filtered and ruled as all others are, with a ranker and without one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shopgraph.collaborative.peers import fit_peer
from shopgraph.dataset.hetero import to_hetero
from shopgraph.dataset.purchases import Purchases
from shopgraph.embed.message_graph import catalogue_matrix
from shopgraph.evaluation import Scorer
from shopgraph.publish import publish_release, serving
from shopgraph.ranking.candidates import CandidateConfig
from shopgraph.ranking.folds import FoldConfig
from shopgraph.ranking.lambdamart import LambdaMartConfig
from shopgraph.ranking.served import FOLDER
from shopgraph.ranking.training import ColdConfig, RankerConfig, TreesConfig, train_ranker
from shopgraph.recommend.clock import Clock
from shopgraph.recommend.filters import Filters
from shopgraph.recommend.query import QueryVectors
from shopgraph.recommend.ranked import LearnedFusion
from shopgraph.recommend.recommender import Recommender
from shopgraph.recommend.rules import Rule, add_rule, new_rule_id

from .conftest import PRODUCTS

TREES = LambdaMartConfig(
    rounds=20, learning_rate=0.2, num_leaves=7, min_data_in_leaf=5, l2=1.0, judged_every=5, losses=("lambdarank",)
)
CONFIG = RankerConfig(
    folds=FoldConfig(weeks_before_end=(2, 4), label_weeks=2),
    candidates=CandidateConfig(50),
    trees=TreesConfig(TREES, TREES, TREES),
    cold=ColdConfig(candidates=CandidateConfig(50)),
)
USERS, LAUNCHES = 24, 4
KINDS = {"soup": ("FOOD > SOUP", "kettle"), "toy": ("PLAY", "bricks")}
NEW = {f"s:{kind}9{number}": stated for kind, stated in KINDS.items() for number in range(LAUNCHES + 3)}
"""Every two weeks one of each kind is sold first; the last three of each never were."""
UNSOLD = {kind: {f"s:{kind}9{LAUNCHES + i}" for i in range(3)} for kind in KINDS}


def purchases() -> list[tuple[str, str, float, str]]:
    """Even users buy soups and odd ones toys: every two weeks an old one, and what is launched of their kind."""
    found = []
    for user in range(USERS):
        kind = "soup" if user % 2 == 0 else "toy"
        for number in range(LAUNCHES):
            weeks = 2 * (LAUNCHES - number) - 1 + user / 100
            found.append((f"u_{user}", f"s:{kind}{(user // 2 + number) % 5}", weeks, f"at{number}"))
            found.append((f"u_{user}", f"s:{kind}9{number}", weeks, f"at{number}"))
    return found


@pytest.fixture
def shop(plant: Callable[..., Any], tmp_path: Path) -> Any:
    found = plant(purchases(), products={**PRODUCTS, **NEW})
    found.publish({f"u_{user}": 0 if user % 2 == 0 else 2 for user in range(USERS)})
    bought, catalogue = Purchases.of(found.snapshot), catalogue_matrix(to_hetero(found.snapshot))

    def fit(moment_ms: int) -> dict[str, Scorer]:
        lots = np.random.default_rng(moment_ms % 1000).random(bought.shape)
        peers = {name: fit_peer(name, bought, moment_ms, catalogue) for name in ("popularity", "attribute_affinity")}
        return {**peers, "text": lambda rows: lots[rows]}

    train_ranker(found.snapshot, fit, CONFIG).served.save(tmp_path / FOLDER)
    version = found.registry.save("ranker", found.snapshot.id, {}, {}, {}, {FOLDER: tmp_path / FOLDER})
    publish_release(found.graph, found.registry, {"ranker": version.id}, found.snapshot)
    return found


def recommender(shop: Any, learned: bool = True) -> Recommender:
    folder = shop.registry.folder
    ranks = LearnedFusion(shop.graph, folder) if learned else None
    return Recommender(shop.graph, Clock(shop.graph, "data"), QueryVectors(folder), learned=ranks)


def shown(answer: Any) -> list[str]:
    return [item.id for item in answer.items]


def set_product(shop: Any, product: str, change: str) -> None:
    shop.graph.driver.execute_query(
        f"MATCH (p:Product {{id: $id}}) SET {change}", id=product, database_=shop.graph.database
    )


@pytest.mark.parametrize("learned", [True, False])
def test_the_own_kind_comes_first_and_nothing_that_anybody_bought_comes_at_all(shop: Any, learned: bool) -> None:
    recommends, sold = recommender(shop, learned), {product for _, product, *_ in purchases()}
    right = []
    for user in range(USERS):
        answer = recommends.recommend(f"u_{user}", 3, new_only=True)
        assert (answer.step, len(answer.items)) == ("personal", 3)
        assert not sold & set(shown(answer))
        kind = "soup" if user % 2 == 0 else "toy"
        right.append(kind in shown(answer)[0])
        assert all(item.reason.text for item in answer.items)
    assert np.mean(right) > 0.9
    by_ranker = recommends.recommend("u_0", 3, new_only=True, in_full=True).items[0].detail.sources
    assert ("ranker" in by_ranker) == learned


def add_soup(shop: Any) -> None:
    """One like the last that nobody bought, in its place in both embeddings."""
    shop.graph.driver.execute_query(
        "CYPHER 25 MATCH (p:Product {id: 's:soup96'})-[:IN_CATEGORY]->(c) "
        "CREATE (q:Product {id: 's:soup98'})-[:IN_CATEGORY]->(c) "
        "WITH p, q UNWIND [key IN keys(p) WHERE key <> 'id'] AS key SET q[key] = p[key]",
        database_=shop.graph.database,
    )


def test_what_came_after_the_ranker_was_trained_is_among_what_the_user_does_not_own(shop: Any) -> None:
    recommends = recommender(shop)
    before = shown(recommends.recommend("u_0", 20, True))
    add_soup(shop)
    release = serving(shop.graph)
    assert release is not None
    slot = release.families["graph"].slot
    shop.graph.driver.execute_query(
        "MERGE (s:Slot {id: $id}) SET s.has_newcomers = true", id=f"graph_{slot}", database_=shop.graph.database
    )
    items = recommends.recommend("u_0", 20, True).items
    (newest,) = [item for item in items if item.id == "s:soup98"]
    assert newest.sources == ["graph_neighbours"]
    assert [item.id for item in items if item.id != "s:soup98"] == before[: len(items) - 1]
    assert "s:soup98" not in shown(recommends.recommend("u_1", 5, True)), "to who buys toys it comes late"


def test_what_came_after_the_ranker_was_trained_is_shown_by_its_text(shop: Any) -> None:
    add_soup(shop)
    items = recommender(shop).recommend("u_0", 4, new_only=True, in_full=True).items
    (newest,) = [item for item in items if item.id == "s:soup98"]
    assert set(newest.detail.sources) == {"text_new_arrivals"}
    assert any(set(item.detail.sources) == {"ranker"} for item in items)
    toys = [item.id for item in recommender(shop).recommend("u_1", 3, new_only=True).items]
    assert all("toy" in product for product in toys), "to who buys toys it comes late"


@pytest.mark.parametrize("learned", [True, False])
def test_what_was_bought_a_moment_ago_is_new_no_more(shop: Any, learned: bool) -> None:
    recommends = recommender(shop, learned)
    first = shown(recommends.recommend("u_0", 1, new_only=True))[0]
    shop.graph.driver.execute_query(
        "MATCH (u:User {id: 'u_1'}), (p:Product {id: $id}), (s:Source) "
        "CREATE (u)-[:PURCHASED {line_id: 'x', at: $at, quantity: 1, amount: 1.0, discount: 0.0, order_id: 'x'}]->(p) "
        "SET s.newest_event_at = $at",
        id=first, at=shop.snapshot.before + timedelta(days=1), database_=shop.graph.database,
    )  # fmt: skip
    assert first not in shown(recommends.recommend("u_0", 20, new_only=True))
    before = shop.snapshot.before
    assert first in shown(recommends.recommend("u_0", 20, new_only=True, as_of=before)), "then nobody had bought it"


@pytest.mark.parametrize("learned", [True, False])
def test_they_obey_filters_rules_and_what_may_be_shown(shop: Any, learned: bool) -> None:
    recommends = recommender(shop, learned)

    def new(user: str = "u_0", **filters: Any) -> list[str]:
        return shown(recommends.recommend(user, 20, new_only=True, filters=Filters(**filters)))

    soups = UNSOLD["soup"]
    assert soups <= set(new())
    set_product(shop, "s:soup94", "p.hidden = true")
    set_product(shop, "s:soup95", "p.stock = 0")
    assert soups & set(new()) == {"s:soup96"}
    set_product(shop, "s:soup94", "p.hidden = false, p.price = 5.0")
    set_product(shop, "s:soup95", "p.stock = 1")
    assert new(min_price=4.0, max_price=6.0) == ["s:soup94"]
    toys = set(new(categories=["PLAY"]))
    assert UNSOLD["toy"] <= toys
    assert all("toy" in product for product in toys)
    assert "s:soup95" not in new(exclude=["s:soup95"])
    add_rule(shop.graph, Rule(new_rule_id(), "pin", "Product", "s:soup0", 1.0), by="ann@shop.example")
    assert "s:soup0" not in new(), "a filter is the last word over a pin"
    add_rule(shop.graph, Rule(new_rule_id(), "filter", "Brand", "kettle", 0.0), by="ann@shop.example")
    assert not any("soup" in product for product in new())


def test_a_stranger_gets_what_is_new_where_most_is_sold(shop: Any) -> None:
    answer = recommender(shop).recommend("u_nobody", 20, new_only=True)
    assert answer.step == "arrivals"
    assert {item.reason.text for item in answer.items} == {"New here, in a category that sells well"}
    assert UNSOLD["soup"] | UNSOLD["toy"] <= set(shown(answer))
    assert not {product for _, product, *_ in purchases()} & set(shown(answer))
