"""Four products of two tastes, whose held-out purchases are known: figures worked out by hand."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from shopgraph.dataset.snapshot import Snapshot, assemble
from shopgraph.dataset.split import HOLDOUT, Holdout
from shopgraph.gate import GateConfig, judge
from shopgraph.records import NODE_TABLES
from shopgraph.registry import Vectors

CUT = datetime(2017, 10, 30, tzinfo=UTC)
PRODUCTS = ["p:fantasy1", "p:fantasy2", "p:run1", "p:run2"]
USERS = ["u_a", "u_b"]


def nodes(label: str, ids: list[str]) -> pa.Table:
    schema = NODE_TABLES[label]
    return pa.table({name: ids if name == "id" else [None] * len(ids) for name in schema.names}, schema=schema)


@pytest.fixture
def learned() -> Snapshot:
    """Each user bought the first product of a taste; the runner's other shoe is the most popular thing of all."""
    lines = [("u_a", "p:fantasy1"), ("u_b", "p:run1"), ("u_c", "p:run2"), ("u_d", "p:run2"), ("u_e", "p:fantasy2")]
    purchased = pa.table(
        {
            "start": [user for user, _ in lines],
            "end": [product for _, product in lines],
            "at": pa.array([CUT - timedelta(days=3)] * len(lines), pa.timestamp("ms", tz="UTC")),
            "quantity": [1] * len(lines),
            "amount": [1.0] * len(lines),
            "discount": [0.0] * len(lines),
            "order_id": [f"o{row}" for row in range(len(lines))],
        }
    )
    users = [*USERS, "u_c", "u_d", "u_e"]
    return assemble(
        {"Product": nodes("Product", PRODUCTS), "User": nodes("User", users)}, {"PURCHASED": purchased}, CUT
    )


@pytest.fixture
def holdout() -> Holdout:
    """Each went on with the taste, bought the old thing again, and something that is not in the catalogue."""
    rows = [("u_a", "p:fantasy2"), ("u_b", "p:run2"), ("u_a", "p:fantasy1"), ("u_a", "p:new"), ("u_z", "p:run1")]
    return Holdout(
        pa.table([[u for u, _ in rows], [p for _, p in rows], [CUT + timedelta(days=1)] * len(rows)], schema=HOLDOUT)
    )


def vectors(swapped: bool = False) -> dict[str, Vectors]:
    fantasy, run = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    tastes = [run, fantasy] if swapped else [fantasy, run]
    return {
        "Product": Vectors(PRODUCTS, np.array([fantasy, fantasy, run, run], dtype=np.float32)),
        "User": Vectors(USERS, np.array(tastes, dtype=np.float32)),
    }


NDCG = {1: 1.0, 2: 1 / np.log2(3), 3: 0.5}


def test_the_figures_are_those_of_hand_arithmetic(learned: Snapshot, holdout: Holdout) -> None:
    verdict = judge(learned, holdout, vectors(), vectors(swapped=True), config=GateConfig(), seed=1)
    assert verdict.passed
    assert verdict.metrics["candidate.novel.users"] == 2
    assert verdict.metrics["candidate.novel.ndcg@20"] == pytest.approx(1.0)
    # Popularity, known items out: run2 (2 buyers), then fantasy2 or run1; u_a's fantasy2 is second, u_b's run2 first.
    assert verdict.metrics["popularity.novel.ndcg@20"] == pytest.approx((NDCG[2] + NDCG[1]) / 2)
    # Swapped tastes: u_a sees run1, run2, then fantasy2; u_b sees fantasy1, fantasy2, then run2.
    assert verdict.metrics["serving.novel.ndcg@20"] == pytest.approx(NDCG[3])
    assert verdict.metrics["difference.novel.ndcg@20"] == pytest.approx(0.5)


def test_a_worse_candidate_is_refused_with_the_figures(learned: Snapshot, holdout: Holdout) -> None:
    verdict = judge(learned, holdout, vectors(swapped=True), vectors(), config=GateConfig(), seed=1)
    assert not verdict.passed
    said = "novel NDCG@20 0.5000, popularity 0.8155, which is not at most 5% below what serves, 1.0000"
    assert verdict.reason == said
    assert judge(learned, holdout, vectors(swapped=True), vectors(), config=GateConfig(margin=0.5), seed=1).passed


def test_the_first_candidate_has_nothing_to_beat(learned: Snapshot, holdout: Holdout) -> None:
    verdict = judge(learned, holdout, vectors(swapped=True), None, config=GateConfig(), seed=1)
    assert verdict.passed
    assert verdict.reason.endswith("nothing comparable serves")


def test_a_model_that_does_not_know_a_product_never_shows_it(learned: Snapshot, holdout: Holdout) -> None:
    known = vectors()
    blind = {**known, "Product": Vectors(PRODUCTS[:1], known["Product"].matrix[:1])}
    verdict = judge(learned, holdout, known, blind, config=GateConfig(), seed=1)
    assert verdict.metrics["serving.novel.ndcg@20"] == 0.0


def test_weeks_without_anything_new_judge_nothing(learned: Snapshot, holdout: Holdout) -> None:
    repeats = Holdout(holdout.purchases.slice(2, 1))
    verdict = judge(learned, repeats, vectors(), None, config=GateConfig(), seed=1)
    assert (verdict.passed, verdict.metrics) == (True, {})
