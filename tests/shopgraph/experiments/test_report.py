"""Experiments in a real graph: begun, stopped and resumed; what was shown and done, counted as by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis

from shopgraph.errors import InputError, OverdueError
from shopgraph.events.consumer import FORGET_AFTER, Consumer
from shopgraph.events.event import Event, accepted
from shopgraph.events.shown import STREAM as SHOWN
from shopgraph.events.shown import Shown
from shopgraph.events.stream import REFUSED, STREAM, EventStream
from shopgraph.experiments import lifecycle
from shopgraph.experiments.report import judged, report_of
from shopgraph.experiments.statistics import share
from shopgraph.graph.connection import Graph
from shopgraph.privacy.pseudonym import Pseudonymiser
from shopgraph.recommend.candidate import Sources
from shopgraph.recommend.experiment import AB, INTERLEAVING, Experiment, Variant
from shopgraph.recommend.place import Places
from shopgraph.recommend.scenario import Scenario, read_scenarios
from shopgraph.services.broker import Broker

AT = datetime(2024, 6, 1, tzinfo=UTC)
NAMES = Pseudonymiser(b"k" * 32)
PRODUCTS = "CYPHER 25 UNWIND ['s:tea', 's:soup', 's:bread'] AS id CREATE (:Product {id: id, title: id})"
TRIED = Experiment("e-1", "more variety", "home", AB, (Variant("control"), Variant("varied", 1.0, {"diversity": 0.3})))


@pytest.fixture
def stream(broker: Broker) -> Iterator[EventStream]:
    with Redis.from_url(broker.url()) as client:
        client.delete(STREAM, REFUSED, SHOWN)
    found = EventStream(broker.url())
    yield found
    found.close()
    with Redis.from_url(broker.url()) as client:
        client.delete(STREAM, REFUSED, SHOWN)


@pytest.fixture
def shop(graph: Graph) -> Graph:
    graph.driver.execute_query(PRODUCTS, database_=graph.database)
    return graph


@pytest.fixture
def places(shop: Graph) -> Places:
    return Places(Scenario(), read_scenarios({}, {}), Sources(shop))


def answer(number: int, user: str, variant: str, *items: str, hours: float = 0.0, teams: tuple[int, ...] = ()) -> Shown:
    at_ms = round((AT + timedelta(hours=hours)).timestamp() * 1000)
    who = NAMES.pseudonym("s", user)
    return Shown(f"r_{number}", "User", who, at_ms, "home", "e-1", variant, list(items), list(teams))


def write(graph: Graph, stream: EventStream, shown: list[Shown], events: list[dict[str, Any]]) -> None:
    stream.shown.append(shown)
    posted = [{"type": "view", "at": AT + timedelta(hours=1), **event} for event in events]
    stream.append([accepted(Event.model_validate(event), "s", NAMES, datetime.now(UTC)) for event in posted])
    Consumer(graph, stream, "s").step(0.01)


def outcomes(report: Any) -> dict[str, list[tuple[int, int]]]:
    """By variant, products and users of each outcome."""
    return {
        variant.name: [(told.products, told.users) for told in variant.outcomes.values()] for variant in report.variants
    }


def test_what_users_did_is_counted_by_variant(shop: Graph, places: Places, stream: EventStream) -> None:
    lifecycle.begin(shop, places, TRIED, by="ann")
    shown = [
        answer(1, "Ann", "control", "s:tea", "s:soup"), answer(2, "Ann", "control", "s:tea", hours=2),
        answer(3, "Bo", "control", "s:bread"),
        answer(4, "Cy", "varied", "s:tea", "s:bread"), answer(5, "Di", "varied", "s:soup"),
    ]  # fmt: skip
    events = [
        # of an answer that is named: once each product and answer, however often
        {"user_id": "Ann", "product_id": "s:tea", "recommendation_id": "r_1", "event_id": "1"},
        {"user_id": "Ann", "product_id": "s:tea", "recommendation_id": "r_1", "event_id": "2"},
        {"user_id": "Ann", "product_id": "s:tea", "recommendation_id": "r_2", "event_id": "3"},
        # named, and bought by somebody who had not signed in when it was shown
        {"type": "purchase", "amount": 1.0, "user_id": "New", "product_id": "s:soup", "recommendation_id": "r_5"},
        # not shown by the answer that is named, and of an answer that nobody knows
        {"user_id": "Bo", "product_id": "s:tea", "recommendation_id": "r_3"},
        {"user_id": "Bo", "product_id": "s:bread", "recommendation_id": "r_99"},
        # of none that is named: within a day of what was shown; too late; before it; not shown
        {"type": "basket_add", "user_id": "Cy", "product_id": "s:bread", "at": AT + timedelta(hours=23)},
        {"type": "basket_add", "user_id": "Cy", "product_id": "s:tea", "at": AT + timedelta(hours=24)},
        {"type": "purchase", "amount": 1.0, "user_id": "Cy", "product_id": "s:bread", "at": AT - timedelta(hours=1)},
        {"user_id": "Di", "product_id": "s:bread"},
    ]
    write(shop, stream, shown, events)
    report = report_of(shop, lifecycle.find(shop, "e-1"))
    assert [(each.name, each.share, each.users, each.answers) for each in report.variants] == [
        ("control", 0.5, 2, 3), ("varied", 0.5, 2, 2)
    ]  # fmt: skip
    assert outcomes(report) == {"control": [(2, 1), (0, 0), (0, 0)], "varied": [(0, 0), (1, 1), (1, 1)]}
    bought = report.variants[1].outcomes["bought"]
    assert bought.share == share(1, 2)
    assert bought.difference is not None
    assert bought.difference.value == 0.5
    assert report.variants[0].outcomes["bought"].difference is None
    assert (report.sample_ratio_p, report.warnings, report.wins) == (1.0, [], {})


def test_an_interleaving_is_won_by_the_list_that_users_choose_from(
    shop: Graph, places: Places, stream: EventStream
) -> None:
    lifecycle.begin(shop, places, replace(TRIED, kind=INTERLEAVING), by="ann")
    shown = [
        answer(number, user, "", "s:tea", "s:soup", "s:bread", teams=(1, 0, -1))
        for number, user in enumerate(["Ann", "Bo", "Cy", "Di"])
    ]
    events = [
        {"user_id": "Ann", "product_id": "s:tea", "recommendation_id": "r_0"},
        {"user_id": "Bo", "product_id": "s:tea"},
        {"user_id": "Bo", "product_id": "s:bread"},
        {"user_id": "Cy", "product_id": "s:tea"},
        {"user_id": "Cy", "product_id": "s:soup"},
        {"user_id": "Di", "product_id": "s:soup"},
        {"type": "purchase", "amount": 1.0, "user_id": "Di", "product_id": "s:soup"},
    ]
    write(shop, stream, shown, events)
    report = report_of(shop, lifecycle.find(shop, "e-1"))
    viewed, basket, bought = report.wins.values()
    assert (viewed.first, viewed.second, viewed.ties) == (1, 2, 1)
    assert (basket.first, basket.second, basket.ties) == (0, 0, 0)
    assert (bought.first, bought.second, bought.ties) == (1, 0, 0)
    assert outcomes(report) == {"control and varied": [(6, 4), (0, 0), (1, 1)]}
    assert report.sample_ratio_p is None


def test_one_runs_at_a_place_and_a_stop_can_be_taken_back(shop: Graph, places: Places, stream: EventStream) -> None:
    lifecycle.begin(shop, places, TRIED, by="ann")
    with pytest.raises(InputError, match=r"more variety \(e-1\) runs at home: stop it first"):
        lifecycle.begin(shop, places, replace(TRIED, id="e-2"), by="bo")
    lifecycle.begin(shop, places, replace(TRIED, id="e-3", scenario="basket"), by="bo")
    with pytest.raises(InputError, match="runs already"):
        lifecycle.resume(shop, "e-1", by="bo")
    lifecycle.stop(shop, "e-1", by="bo")
    with pytest.raises(InputError, match="e-1 does not run"):
        lifecycle.stop(shop, "e-1", by="bo")
    lifecycle.begin(shop, places, replace(TRIED, id="e-2"), by="bo")
    with pytest.raises(InputError, match="another experiment runs at home"):
        lifecycle.resume(shop, "e-1", by="cy")
    lifecycle.stop(shop, "e-2", by="bo")
    lifecycle.resume(shop, "e-1", by="cy")
    listed = lifecycle.list_experiments(shop)
    assert [(node["id"], node["running"]) for node in listed] == [("e-3", True), ("e-1", True), ("e-2", False)]
    told = [line.split()[0] + line.rpartition(" by ")[2] for line in lifecycle.find(shop, "e-1")["history"]]
    assert told == ["begunann", "stoppedbo", "resumedcy"]


def test_an_experiment_stops_whatever_becomes_of_its_report(
    shop: Graph, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overdue(*_: Any) -> None:
        raise OverdueError("Neo4j took longer than 5 s for experiment_outcomes: try again")

    lifecycle.begin(shop, places, TRIED, by="ann")
    monkeypatch.setattr(lifecycle, "report_of", overdue)
    lifecycle.stop(shop, "e-1", by="bo")
    assert lifecycle.find(shop, "e-1")["running"] is False
    assert report_of(shop, lifecycle.find(shop, "e-1")).ended_at is not None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"scenario": "nowhere"}, "'nowhere' is no place: choose from home, product, basket, search"),
        ({"variants": (Variant("a"), Variant("b", 1.0, {"rank": 1}))}, "b: rank: Extra inputs"),
        (
            {"variants": (Variant("a"), Variant("b", 1.0, {"fusion": {"novel": {"weights": {"mine": 1}}}}))},
            "candidate source 'mine'",
        ),
    ],
)
def test_what_cannot_be_tried_is_refused_before_anybody_sees_it(
    shop: Graph, places: Places, changed: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        lifecycle.begin(shop, places, replace(TRIED, **changed), by="ann")
    assert lifecycle.list_experiments(shop) == []


def test_variants_that_the_ranker_would_answer_alike_are_refused(shop: Graph, places: Places) -> None:
    louder = {"fusion": {"novel": {"weights": {"popular_lately": 2}}}}
    tried = replace(TRIED, variants=(Variant("a"), Variant("b", 1.0, louder)))
    lifecycle.begin(shop, places, tried, by="ann")
    lifecycle.stop(shop, "e-1", by="ann")
    shop.driver.execute_query(
        "CREATE (:Release {id: 'r', active: true, created_at: datetime()})"
        "-[:NAMES {family: 'ranker'}]->(:ModelVersion {id: 'v'})",
        database_=shop.database,
    )
    with pytest.raises(InputError, match="the same of every variant"):
        lifecycle.begin(shop, places, replace(tried, id="e-2"), by="ann")
    for more in (
        {"ranker": False},
        {"diversity": 0.2},
        {"fusion": {"session": {"weights": {"session_neighbours": 2}}}},
    ):
        other = replace(tried, id=f"e-{more}", variants=(Variant("a"), Variant("b", 1.0, {**louder, **more})))
        lifecycle.begin(shop, places, other, by="ann")
        lifecycle.stop(shop, other.id, by="ann")
    lifecycle.begin(shop, places, replace(TRIED, id="e-aa", variants=(Variant("a"), Variant("b"))), by="ann")


def test_what_was_shown_is_forgotten_after_a_month_and_what_was_found_is_kept(
    shop: Graph, places: Places, stream: EventStream
) -> None:
    lifecycle.begin(shop, places, TRIED, by="ann")
    write(shop, stream, [answer(1, "Ann", "control", "s:tea")], [{"user_id": "Ann", "product_id": "s:tea"}])
    lifecycle.stop(shop, "e-1", by="ann")
    ages = "MATCH (e:Experiment), (r:Recommendation) SET e.begun_at = e.begun_at - $age, r.kept_at = r.kept_at - $age"
    shop.driver.execute_query(ages, age=FORGET_AFTER + timedelta(days=1), database_=shop.database)
    Consumer(shop, stream, "s").step(0.01)
    left = shop.driver.execute_query("MATCH (r:Recommendation) RETURN r", database_=shop.database).records
    assert left == []
    report = report_of(shop, lifecycle.find(shop, "e-1"))
    assert outcomes(report)["control"][0] == (1, 1)
    lifecycle.resume(shop, "e-1", by="ann")
    report = report_of(shop, lifecycle.find(shop, "e-1"))
    assert outcomes(report)["control"][0] == (0, 0)
    assert "older answers are not counted any more" in report.warnings[0]


def test_users_dealt_out_wrongly_are_warned_of() -> None:
    def told(users: int) -> list[str]:
        rows = [["control", [0] * 9, 500, 900], ["varied", [1, 0, 0] + [0] * 6, users, 700], ["gone", [1] * 9, 7, 7]]
        return judged(TRIED, rows, AT, None, AT + timedelta(days=1)).warnings

    assert told(510) == []
    (warning,) = told(700)
    assert "users were not dealt out as the weights say (p = 7.8e-09)" in warning


def test_variants_are_read_by_name_with_their_weight() -> None:
    read = lifecycle.read_variants({"control": {}, "other": {"weight": 3, "ranker": False}})
    assert read == (Variant("control"), Variant("other", 3.0, {"ranker": False}))
    with pytest.raises(InputError, match="other: a variant is an object"):
        lifecycle.read_variants({"other": 1})
    with pytest.raises(InputError, match="weight = 'much': not a number"):
        lifecycle.read_variants({"other": {"weight": "much"}})
