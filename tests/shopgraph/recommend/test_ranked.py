"""Answers of a release that names a ranker: learned, filtered as they are served; rank fusion where it knows nobody."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving_reasons import faithfulness, without

from shopgraph.curation.doubt import WRONG, file_doubt, judge_doubt, last_of
from shopgraph.dataset.purchases import Purchases
from shopgraph.errors import ConfigurationError
from shopgraph.evaluation import Scorer, recent_buyers
from shopgraph.experiments.lifecycle import begin
from shopgraph.graph.connection import Graph
from shopgraph.publish import publish_release, rollback, serving
from shopgraph.ranking.candidates import CandidateConfig
from shopgraph.ranking.folds import FoldConfig
from shopgraph.ranking.lambdamart import LambdaMartConfig
from shopgraph.ranking.own_lines import OwnLines
from shopgraph.ranking.served import FOLDER, RankedProduct, ServedRanker
from shopgraph.ranking.training import RankerConfig, TreesConfig, train_ranker
from shopgraph.recommend import page
from shopgraph.recommend.answer import Item, Recommendations
from shopgraph.recommend.candidate import Candidate
from shopgraph.recommend.clock import Clock
from shopgraph.recommend.experiment import AB, INTERLEAVING, Experiment, Variant
from shopgraph.recommend.explanation import Reason
from shopgraph.recommend.fusion import Blend, FusionConfig
from shopgraph.recommend.query import QueryVectors
from shopgraph.recommend.rank_ahead import forget_lists, rank_ahead
from shopgraph.recommend.ranked import LearnedFusion, joined
from shopgraph.recommend.recommender import Recommender
from shopgraph.recommend.retrieval import RecommendConfig
from shopgraph.recommend.rules import Rule, add_rule
from shopgraph.recommend.scenario import Scenario, read_scenarios
from shopgraph.recommend.standing import read_standing
from shopgraph_cypher import load_queries

from .conftest import NOW

TREES = LambdaMartConfig(
    rounds=20, learning_rate=0.2, num_leaves=7, min_data_in_leaf=5, l2=1.0, judged_every=5, losses=("lambdarank",)
)
CONFIG = RankerConfig(
    folds=FoldConfig(weeks_before_end=(2, 4, 6), label_weeks=2),
    candidates=CandidateConfig(50),
    trees=TreesConfig(TREES, TREES),
)
USERS, WEEKS = 24, 8
ASKED = {"as_of": NOW, "novel": True, "session": [], "without": [], "unbought_before": None}
PATHS = """
MATCH (:User {id: $user})-[:PURCHASED]->(p:Product), (to:Product {id: $item})
WHERE (p)-[:BOUGHT_WITH]-(to) OR (p)-[:IN_CATEGORY|MADE_BY|WRITTEN_BY|HAS_ATTRIBUTE]->()
      <-[:IN_CATEGORY|MADE_BY|WRITTEN_BY|HAS_ATTRIBUTE]-(to)
RETURN DISTINCT p.id AS id
"""
BUY = """
MATCH (p:Product {id: $id}), (s:Source)
MERGE (u:User {id: $user})
CREATE (u)-[:PURCHASED {line_id: $user + $id, at: $at, quantity: 1, amount: 1.0, discount: 0.0, order_id: $user}]->(p)
SET s.newest_event_at = CASE WHEN s.newest_event_at < $at THEN $at ELSE s.newest_event_at END
"""


def purchases() -> list[tuple[str, str, float, str]]:
    """Every week each user buys one more of the own kind: even users soups and breads, odd ones toys."""
    random, found = np.random.default_rng(3), []
    for user in range(USERS):
        food = [f"s:soup{i}" for i in range(6)] + [f"s:bread{i}" for i in range(4)]
        own = food if user % 2 == 0 else [f"s:toy{i}" for i in range(8)]
        order = random.permutation(len(own))[:7]
        found += [(f"u_{user}", own[pick], WEEKS - 1.25 * week, f"w{week}") for week, pick in enumerate(order)]
    return found


def popularity(bought: Purchases) -> Callable[[int], dict[str, Scorer]]:
    """The one source: buyers ever, which knows no taste."""

    def fit(moment_ms: int) -> dict[str, Scorer]:
        past = bought.before(moment_ms)
        counts = recent_buyers(past.users, past.products, past.times, 0, past.product_count)
        return {"popularity": lambda rows: np.tile(counts, (len(rows), 1))}

    return fit


@pytest.fixture
def shop(plant: Callable[..., Any], tmp_path: Path) -> Any:
    planted = plant(purchases())
    first = planted.publish({})
    trained = train_ranker(planted.snapshot, popularity(Purchases.of(planted.snapshot)), CONFIG)
    trained.served.save(tmp_path / FOLDER)
    files = {FOLDER: tmp_path / FOLDER}
    version = planted.registry.save("ranker", planted.snapshot.id, {}, {}, {}, files)
    publish_release(planted.graph, planted.registry, {"ranker": version.id}, planted.snapshot)
    planted.before, planted.ranker = first.id, version.id
    return planted


def recommender(shop: Any, config: RecommendConfig | None = None) -> Recommender:
    folder = shop.registry.folder
    return Recommender(
        shop.graph, Clock(shop.graph, "data"), QueryVectors(folder), config, LearnedFusion(shop.graph, folder)
    )


def kinds(answer: Any) -> list[str]:
    return [item.id.removeprefix("s:").rstrip("0123456789") for item in answer.items]


def test_the_ranker_finds_the_taste_that_its_source_does_not_know(shop: Any) -> None:
    recommends = recommender(shop)
    right = []
    for user in range(USERS):
        answer = recommends.recommend(f"u_{user}", 1, exclude_owned=True)
        assert answer.step == "personal"
        right.append((kinds(answer)[0] == "toy") == (user % 2 == 1))
    assert np.mean(right) > 0.9
    answer = recommends.recommend("u_0", 3, exclude_owned=True)
    assert answer.versions["ranker"] == shop.ranker
    assert all(item.sources and item.reason.text for item in answer.items)


def second_ranker(shop: Any) -> str:
    """A version that is not published; it ranks upside down."""
    kept = shop.registry.folder.parent / "second" / FOLDER
    shutil.copytree(shop.registry.folder / shop.ranker / FOLDER, kept, dirs_exist_ok=True)
    for card in kept.glob("*/ranker.json"):
        card.write_text(json.dumps({**json.loads(card.read_text()), "spreads": [-1.0]}))
    return str(shop.registry.save("ranker", shop.snapshot.id, {}, {}, {}, {FOLDER: kept}).id)


def test_a_place_may_have_a_ranker_of_its_own(shop: Any) -> None:
    other = second_ranker(shop)
    recommends = recommender(shop, RecommendConfig(scenarios=read_scenarios({}, {"letter": {"ranker": other}})))
    usual, there = (recommends.recommend("u_0", 20, True, scenario=place) for place in ("home", "letter"))
    assert (usual.versions["ranker"], there.versions["ranker"]) == (shop.ranker, other)
    scores = {item.id: item.score for item in usual.items}
    assert {item.id: -item.score for item in there.items} == pytest.approx(scores)
    assert scores[there.items[0].id] == min(scores.values()) < max(scores.values())


def test_two_rankers_are_interleaved_and_each_explains_what_it_picked(shop: Any) -> None:
    other = second_ranker(shop)
    tried = Experiment(
        "e-2", "rankers", "home", INTERLEAVING, (Variant("now"), Variant("next", 1.0, {"ranker": other}))
    )
    recommends = recommender(shop, RecommendConfig(scenarios=read_scenarios({}, {"letter": {"ranker": other}})))
    alone = [recommends.recommend("u_0", 20, True, scenario=place, in_full=True) for place in ("home", "letter")]
    begin(shop.graph, recommends.places, tried, by="ann@shop.example")
    both = recommends.recommend("u_0", 6, True, scenario="home", in_full=True)
    assert sorted(both.teams) == [0, 0, 0, 1, 1, 1]
    for item, team in zip(both.items, both.teams, strict=True):
        assert item.detail is not None
        assert item.detail.features
        (same,) = (other.detail for other in alone[team].items if other.id == item.id)
        assert same is not None
        assert item.detail.features == same.features


def test_a_ranker_that_is_not_there_is_refused_for_a_place_and_for_an_experiment(shop: Any) -> None:
    missing = "ranker-000000000000-0000"
    with pytest.raises(ConfigurationError, match="ranker 'ranker-000000000000-0000': no such version"):
        recommender(shop, RecommendConfig(scenarios=read_scenarios({}, {"home": {"ranker": missing}})))
    recommends = recommender(shop)
    variants = (Variant("now"), *(Variant(f"v{i}", 1.0, {"ranker": second_ranker(shop)}) for i in range(2)))
    with pytest.raises(ConfigurationError, match="tries 2 rankers at most, this one 3"):
        recommends.places.made(Experiment("e-3", "three", "home", AB, variants))


def test_the_last_places_go_to_what_few_are_shown_and_pages_do_not_overlap(shop: Any) -> None:
    def asked(exploration: float, **given: Any) -> list[Any]:
        folder = shop.registry.folder
        recommends = Recommender(
            shop.graph, Clock(shop.graph, "data"), QueryVectors(folder), RecommendConfig(exploration=exploration),
            LearnedFusion(shop.graph, folder),
        )  # fmt: skip
        return list(recommends.recommend("u_0", exclude_owned=True, **given).items)

    scores = {item.id: item.score for item in asked(0.0, n=20)}
    plain, four = list(scores), [item.id for item in asked(8.0, n=4)]
    served = ServedRanker.load(shop.registry.folder / shop.ranker / FOLDER)
    listed = served.listed("novel", plain)
    assert listed == {product: sum(product in names(served, user) for user in range(USERS)) for product in plain}
    spread = scores[plain[0]] - scores[plain[3]]
    value = {product: scores[product] + 8.0 * spread / listed[product] for product in plain}
    assert set(four) == set(sorted(plain, key=lambda product: -value[product])[:4])
    assert [product for product in four if product in plain[:4]] == [
        product for product in plain[:4] if product in four
    ]
    assert set(four) != set(plain[:4])
    pages = [item.id for offset in (0, 4) for item in asked(8.0, n=4, offset=offset)]
    assert pages == list(dict.fromkeys([*four, *plain]))[:8]


def names(served: ServedRanker, user: int) -> set[str]:
    found = served.ranked("novel", f"u_{user}", OwnLines(), NOW)
    return {item.id for item in found[:1000]}


def test_what_must_not_be_shown_now_is_left_out_of_lists_made_before(shop: Any) -> None:
    recommends, n = recommender(shop), 4
    first = [item.id for item in recommends.recommend("u_0", n).items]
    changes = ["p.hidden = true", "p.stock = 0", "p.retired_at = datetime('2020-01-01T00:00:00Z')"]
    for product, change in zip(first, changes, strict=False):
        shop.graph.driver.execute_query(
            f"MATCH (p:Product {{id: $id}}) SET {change}", id=product, database_=shop.graph.database
        )
    after = [item.id for item in recommends.recommend("u_0", n).items]
    assert not set(first[:3]) & set(after)
    assert len(after) == n


def test_a_page_is_filled_up_and_chosen_from_all_that_is_ranked(shop: Any) -> None:
    recommends = recommender(shop)
    ranked = [item.id for item in recommends.recommend("u_0", 9, exclude_owned=True).items]
    assert len(ranked) == 9
    assert [item.id for item in recommends.recommend("u_0", 2, exclude_owned=True).items] == ranked[:2]
    hide = "MATCH (p:Product) WHERE p.id IN $ids SET p.hidden = true"
    shop.graph.driver.execute_query(hide, ids=ranked[:4], database_=shop.graph.database)
    assert [item.id for item in recommends.recommend("u_0", 2, exclude_owned=True).items] == ranked[4:6]
    assert [item.id for item in recommends.recommend("u_0", 2, True, offset=2).items] == ranked[6:8]
    add_rule(shop.graph, Rule("up", "boost", "Product", ranked[-1], 100.0), by="ann@shop.example")
    assert [item.id for item in recommends.recommend("u_0", 2, True).items] == [ranked[-1], ranked[4]]


def test_a_purchase_of_a_moment_ago_counts(shop: Any) -> None:
    recommends = recommender(shop)
    first = recommends.recommend("u_0", 1, exclude_owned=True).items[0].id
    at = shop.snapshot.before + timedelta(days=1)
    shop.graph.driver.execute_query(BUY, user="u_0", id=first, at=at, database_=shop.graph.database)
    assert first not in {item.id for item in recommends.recommend("u_0", 10, exclude_owned=True).items}


def test_only_what_was_bought_lately_is_ranked_beside_the_lists(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[list[str]] = []
    ranked = ServedRanker.ranked

    def seen(self: ServedRanker, setting: str, user: str, own: Any, moment: Any, others: Any, without: Any) -> Any:
        told.append(list(others))
        return ranked(self, setting, user, own, moment, others, without)

    monkeypatch.setattr(ServedRanker, "ranked", seen)
    recommender(shop).recommend("u_0", 5)
    at = shop.snapshot.before + timedelta(days=1)
    shop.graph.driver.execute_query(BUY, user="u_0", id="s:toy0", at=at, database_=shop.graph.database)
    recommender(shop).recommend("u_0", 5)
    before, after = told
    assert set(after) == {*before, "s:toy0"} != set(before)
    assert len(before) < len(set(read_standing(shop.graph, shop.snapshot.before, "u_0").own.products))


def test_a_visit_is_fused_in_by_rank(shop: Any) -> None:
    recommends = recommender(shop)
    answer = recommends.recommend("u_0", 10, exclude_owned=True, session=["s:toy0"])
    assert "s:toy0" not in {item.id for item in answer.items}
    assert "toy" in kinds(answer)
    assert any("session_neighbours" in item.sources for item in answer.items)


def test_in_full_features_sum_to_the_score_and_choose_the_path(shop: Any) -> None:
    recommends = recommender(shop)
    answer = recommends.recommend("u_1", 5, exclude_owned=True, in_full=True)
    ranked = LearnedFusion(shop.graph, shop.registry.folder)
    assert [item.id for item in answer.items] == [
        item.id for item in recommends.recommend("u_1", 5, exclude_owned=True).items
    ]
    base = [item.score - sum(item.detail.features.values()) for item in answer.items]
    assert max(base) - min(base) < 1e-5, "what any product has is the same for all, to single precision"
    for item in answer.items:
        assert item.detail.sources == {"ranker": item.score}
        shares = [abs(added) for added in item.detail.features.values()]
        assert shares == sorted(shares, reverse=True)
    toy = answer.items[0]
    assert kinds(answer)[0] == "toy"
    assert max(toy.detail.features, key=toy.detail.features.get).startswith("category_"), "its taste is in the category"
    assert "IN_CATEGORY" in {step.get("type") for step in toy.reason.path}
    assert ranked.contributions(read_standing(shop.graph, NOW), {**ASKED, "user": "u_nobody"}, [toy.id]) == {}


def test_a_reason_starts_from_the_purchase_that_its_product_leans_on_most(shop: Any) -> None:
    """A buyer of food has bought one toy now: toys lean on it, whatever else was bought more; in brief as well."""
    recommends = recommender(shop)
    at = shop.snapshot.before - timedelta(minutes=1)
    shop.graph.driver.execute_query(BUY, user="u_0", id="s:toy0", at=at, database_=shop.graph.database)
    leaning = 0
    in_brief = {item.id: item for item in recommends.recommend("u_0", 12, exclude_owned=True).items}
    for item in recommends.recommend("u_0", 12, exclude_owned=True, in_full=True).items:
        lost = list(item.detail.purchases.values())
        assert lost == sorted(lost, reverse=True)
        if not item.reason.path:
            continue
        asked = {"user": "u_0", "item": item.id, "database_": shop.graph.database}
        leading = {found["id"] for found in shop.graph.driver.execute_query(PATHS, **asked).records}
        most = max(item.detail.purchases[product] for product in leading)
        said = {same.reason.path[2]["id"] for same in (item, in_brief[item.id])}
        assert said <= leading
        assert [max(0.0, item.detail.purchases[product]) for product in said] == [max(0.0, most)] * len(said)
        leaning += said == {"s:toy0"} and most > 0
    assert leaning
    assert not any(item.detail for item in in_brief.values())


def test_in_full_what_was_judged_wrong_speaks_for_nothing_and_a_visit_speaks_for_what_it_brought(shop: Any) -> None:
    recommends = recommender(shop)
    at = shop.snapshot.before - timedelta(minutes=1)
    shop.graph.driver.execute_query(BUY, user="u_0", id="s:toy0", at=at, database_=shop.graph.database)
    asked: dict[str, Any] = {"user_id": "u_0", "n": 12, "exclude_owned": True, "in_full": True}
    first = recommends.recommend(**asked).items
    assert any("s:toy0" in item.detail.purchases for item in first)
    path = next(item.reason.path for item in first if "s:toy0" in {step.get("id") for step in item.reason.path})
    doubted = last_of(path[:3])
    file_doubt(shop.graph, doubted, by="the shop's page")
    judge_doubt(shop.graph, doubted.id, WRONG, by="ann@shop.example")
    for item in recommends.recommend(**asked).items:
        assert "s:toy0" not in item.detail.purchases
        assert "s:toy0" not in {step.get("id") for step in item.reason.path}
    visited = recommends.recommend(**asked, session=["s:soup0"]).items
    brought = [item for item in visited if next(iter(item.detail.sources)) != "ranker"]
    assert brought
    assert not any(item.detail.purchases for item in brought)


def test_in_full_what_a_rule_pins_leans_on_nothing(shop: Any) -> None:
    """A product that came after the ranker was trained, so that no source and no ranker names it."""
    new = "MATCH (p:Product {id: 's:toy0'}) CREATE (n:Product) SET n += p {.*, id: 's:new'}"
    shop.graph.driver.execute_query(new, database_=shop.graph.database)
    add_rule(shop.graph, Rule("first", "pin", "Product", "s:new", 1.0), by="ann@shop.example")
    pinned, *ranked = recommender(shop).recommend("u_0", 4, exclude_owned=True, in_full=True).items
    assert (pinned.id, pinned.detail.sources, pinned.detail.purchases) == ("s:new", {}, {})
    assert any(item.detail.purchases for item in ranked)


def test_a_purchase_that_a_reason_starts_from_is_put_back_as_it_was(shop: Any) -> None:
    lines = "MATCH (:User {id: 'u_1'})-[b:PURCHASED]->(p) RETURN p.id AS id, properties(b) AS line ORDER BY id, b.at"

    def bought() -> list[Any]:
        return [dict(found) for found in shop.graph.driver.execute_query(lines, database_=shop.graph.database).records]

    before = bought()
    product = before[0]["id"]
    with without(shop.graph, "u_1", product):
        assert product not in {found["id"] for found in bought()}
    assert bought() == before


@pytest.mark.parametrize(("true", "expected"), [(True, (1.0, 0.0, 1.0)), (False, (0.0, 0.0, 0.5))])
def test_a_reason_is_faithful_where_its_product_falls_without_it(
    shop: Any, true: bool, expected: tuple[float, float, float]
) -> None:
    """One recommender scores a toy by purchases of another toy, as it says; one only says so."""
    for number in range(3):
        at = shop.snapshot.before - timedelta(days=2)
        shop.graph.driver.execute_query(BUY, user="u_1", id=f"s:soup{number}", at=at, database_=shop.graph.database)
    product = read_standing(shop.graph, shop.snapshot.before, "u_1").own.products[0]
    path = [{"id": "u_1"}, {"type": "PURCHASED"}, {"id": product}, {"type": "BOUGHT_WITH"}, {"id": "s:toy"}]

    class Saying:
        def recommend(self, user: str, n: int, **asked: Any) -> Recommendations:
            own = read_standing(shop.graph, asked["as_of"], user).own.products
            score = 2.0 + (own.count(product) if true else 0)
            items = [Item("s:toy", "Toy", score, [], Reason("", path)), Item("s:soup", "Soup", 1.0, [], Reason("", []))]
            return Recommendations(items, None, {}, asked["as_of"], "personal")

    found = faithfulness(shop.graph, Saying(), ["u_1"], shop.snapshot.before, seed=1)
    assert (found.falls, found.falls_without_another, found.falls_further) == expected


def test_who_the_ranker_does_not_know_is_answered_by_rank_fusion(shop: Any, graph: Graph) -> None:
    at = shop.snapshot.before - timedelta(days=1)
    graph.driver.execute_query(BUY, user="u_new", id="s:soup1", at=at, database_=graph.database)
    answer = recommender(shop).recommend("u_new", 3)
    assert (answer.step, len(answer.items)) == ("personal", 3)


def test_a_rollback_takes_away_a_ranker_that_did_not_serve_then_and_brings_it_back(shop: Any) -> None:
    recommends, ranked = recommender(shop), serving(shop.graph)
    learned = [item.id for item in recommends.recommend("u_0", 8, exclude_owned=True).items]
    rollback(shop.graph, shop.registry, shop.before)
    assert set(serving(shop.graph).families) == {"graph", "text"}
    assert [item.id for item in recommends.recommend("u_0", 8, exclude_owned=True).items] != learned
    rollback(shop.graph, shop.registry, ranked.id)
    assert serving(shop.graph).families["ranker"].version == shop.ranker
    assert [item.id for item in recommends.recommend("u_0", 8, exclude_owned=True).items] == learned


def test_fusing_keeps_the_sources_behind_the_ranker() -> None:
    ranked = [RankedProduct("a", 2.0, ("ease",)), RankedProduct("b", 1.0, ())]
    blend = Blend({"near": 0.5, "own": 0.4})
    for beside in ({}, {"near": []}):
        found = joined(ranked, beside, blend)
        assert [(item.id, item.sources) for item in found] == [("a", ("ease",)), ("b", ("ranker",))]
    near = [Candidate("b", 1.0, "v"), Candidate("c", 0.5, None)]
    by_id = {item.id: item for item in joined(ranked, {"near": near, "own": [Candidate("d", 1.0, None)]}, blend)}
    assert by_id["b"].sources == ("ranker", "near")
    assert (by_id["b"].via, by_id["c"].sources, by_id["d"].sources) == ("v", ("near",), ("own",))
    assert by_id["c"].score == pytest.approx(0.5 / 62)
    assert by_id["d"].score == pytest.approx(0.4 / 61)
    assert list(by_id) == ["b", "a", "c", "d"]


OWN = """// name: cheapest
// mode: read
// params: limit
// returns: items, scores, via
// Of all toys the first by id.
CYPHER 25
MATCH (p:Product) WHERE p.id STARTS WITH 's:toy'
WITH p ORDER BY p.id LIMIT $limit
RETURN collect(p.id) AS items, collect(1.0) AS scores, collect(p.id) AS via
"""


def own_source(shop: Any, folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Recommender:
    """The shop's recommender with one more source that speaks for all that is asked about users."""
    (folder / "own" / "recommend").mkdir(parents=True, exist_ok=True)
    (folder / "own" / "recommend" / "cheapest.cypher").write_text(text)
    monkeypatch.setattr(shop.graph, "queries", load_queries(folder / "own"))
    config = RecommendConfig(fusion=FusionConfig().changed({"repeat": {"weights": {"cheapest": 2.0}}}, "test"))
    models = shop.registry.folder
    learned = LearnedFusion(shop.graph, models)
    return Recommender(shop.graph, Clock(shop.graph, "data"), QueryVectors(models), config, learned)


def test_a_shops_own_source_speaks_beside_the_ranker(
    shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = recommender(shop).recommend("u_0", 5)
    assert "toy" not in kinds(plain)
    found = own_source(shop, tmp_path, OWN, monkeypatch).recommend("u_0", 18, in_full=True).items
    shares = {item.id: item.detail.sources for item in found}
    assert "toy" in found[0].id
    assert shares["s:toy0"]["cheapest"] == pytest.approx(2 / 61)
    assert all(("cheapest" in of) == ("toy" in product) for product, of in shares.items())
    assert {"ranker"} in [set(of) for of in shares.values()], "the ranker goes on ranking"


def test_an_own_source_that_fails_is_left_out_and_one_that_cannot_be_planned_is_refused(
    shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain = [item.id for item in recommender(shop).recommend("u_0", 5).items]
    for wrong in ("collect(1 / 0) AS scores", "[1.0] AS scores"):
        broken = own_source(shop, tmp_path, OWN.replace("collect(1.0) AS scores", wrong), monkeypatch)
        caplog.clear()
        assert [item.id for item in broken.recommend("u_0", 5).items] == plain
        assert "candidate source cheapest" in caplog.text
    with pytest.raises(ConfigurationError, match=r"candidate source 'cheapest' .*cheapest\.cypher"):
        own_source(shop, tmp_path, OWN.replace("MATCH (p:Product)", "MTACH (p:Product)"), monkeypatch)


def test_an_own_query_cannot_write_whatever_its_header_says(
    shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words are looked for in the text; what hides from that, such as a procedure that writes, the server refuses."""
    sly = OWN.replace("WITH p ORDER", "CALL db.createLabel('Sly') WITH p ORDER")
    found = own_source(shop, tmp_path, sly, monkeypatch).recommend("u_0", 5)
    assert found.items
    labels = shop.graph.driver.execute_query("CALL db.labels() YIELD label RETURN collect(label) AS all").records[0]
    assert "Sly" not in labels["all"]


def test_a_broad_filter_leaves_whole_pages_of_the_ranker(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MOST_ITEMS", 10)
    recommends = recommender(shop)
    ranked = [item.id for offset in (0, 5) for item in recommends.recommend("u_0", 5, offset=offset).items]
    assert len(set(ranked)) == 10
    for product in ranked[:9]:
        add_rule(shop.graph, Rule(f"no {product}", "filter", "Product", product, 0.0), by="ann@shop.example")
    answer = recommends.recommend("u_0", 2, in_full=True)
    assert answer.step == "personal"
    assert [set(item.detail.sources) for item in answer.items] == [{"ranker"}] * 2
    assert answer.items[0].id == ranked[9]
    assert answer.next_offset == 2


@pytest.mark.parametrize("novel", [False, True])
def test_a_list_of_the_ranker_answers_what_it_answered_live(shop: Any, novel: bool) -> None:
    recommends = recommender(shop)
    rules = [Rule("no", "filter", "Product", "s:soup0", 0.0), Rule("few", "cap", "Brand", "mill", 2.0)]

    def answers() -> list[Recommendations]:
        found = [recommends.recommend(f"u_{user}", 6, novel) for user in (0, 1, 2)]
        return [replace(answer, recommendation_id="") for answer in found]

    def both() -> tuple[list[Recommendations], list[Recommendations]]:
        forget_lists(shop.graph)
        live = answers()
        assert rank_ahead(shop.graph, recommends, Clock(shop.graph, "data").now()).users == USERS
        return live, answers()

    live, listed = both()
    assert listed == live
    shop.graph.driver.execute_query(
        "MATCH (u:User {id: 'u_0'}) UNWIND [key IN keys(u) WHERE key STARTS WITH 'ranked_'] AS key "
        "WITH u, key, split(u[key], '\n') AS lines SET u[key] = lines[0] + '\n' + lines[-1]",
        database_=shop.graph.database,
    )
    assert [len(answer.items) for answer in answers()] == [1, 6, 6], "it is the list that answers"
    for rule in rules:
        add_rule(shop.graph, rule, by="ann@shop.example")
    live, listed = both()
    assert listed == live


def test_a_place_may_have_no_ranker(shop: Any) -> None:
    folder, config = shop.registry.folder, RecommendConfig(scenarios={"plain": Scenario(ranker=False)})
    learned = LearnedFusion(shop.graph, folder)
    recommends = Recommender(shop.graph, Clock(shop.graph, "data"), QueryVectors(folder), config, learned)
    ranked, plain = (recommends.recommend("u_0", 5, scenario=place, in_full=True) for place in ("", "plain"))
    assert all(set(item.detail.sources) == {"ranker"} for item in ranked.items)
    assert not any("ranker" in item.detail.sources for item in plain.items)
    assert plain.step == "personal"
