"""Derived relations and popularity against hand arithmetic; only differences are written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from shopgraph.dataset.snapshot import Snapshot, assemble
from shopgraph.derivation.derive import DerivationConfig, derive
from shopgraph.derivation.neighbours import bought_with
from shopgraph.errors import InputError
from shopgraph.graph.connection import Graph
from shopgraph.records import NODE_TABLES, RELATION_TABLES

NOW = datetime(2024, 6, 3, tzinfo=UTC)
LOOSE = DerivationConfig(minimum_support=2)
Lines = list[tuple[str, str, str, float]]
"""user, product, order, weeks before NOW"""

BASKETS: Lines = [
    *(("u_a", product, "1", 1) for product in ("p:a", "p:b")),
    *(("u_a", product, "2", 2) for product in ("p:a", "p:b", "p:c")),
    *(("u_b", product, "3", 1) for product in ("p:a", "p:c")),
    ("u_c", "p:a", "4", 6),
]


@pytest.fixture
def cut(graph: Graph) -> Callable[[Lines], Snapshot]:
    """Put users and products into the graph, and make a snapshot of purchases among them."""

    def made(lines: Lines) -> Snapshot:
        products = sorted({product for _, product, _, _ in lines} | {"p:never"})
        users = sorted({user for user, *_ in lines})
        graph.driver.execute_query(
            "CYPHER 25 FOREACH (id IN $products | MERGE (:Product {id: id})) "
            "FOREACH (id IN $users | MERGE (:User {id: id}))",
            products=products, users=users, database_=graph.database,
        )  # fmt: skip
        rows = [
            {"start": user, "end": product, "line_id": f"{order}/{product}", "order_id": order,
             "at": NOW - timedelta(weeks=weeks), "quantity": 1, "amount": 1.0, "discount": 0.0}
            for user, product, order, weeks in lines
        ]  # fmt: skip
        nodes = {"Product": products, "User": users}
        return assemble(
            {label: pa.Table.from_pylist([{"id": i} for i in ids], NODE_TABLES[label]) for label, ids in nodes.items()},
            {"PURCHASED": pa.Table.from_pylist(rows, RELATION_TABLES["PURCHASED"])},
            NOW,
        )

    return made


def stored(graph: Graph) -> dict[tuple[str, str], float]:
    return {
        (record["id"], other): weight
        for record in graph.read("bought_with_stored")
        for other, weight in zip(record["ids"], record["weights"], strict=True)
    }


def popularity(graph: Graph) -> dict[str, int]:
    found = graph.wide("popularity_stored")
    return dict(zip(found["ids"], found["counts"], strict=True))


def test_the_weight_is_the_cosine_of_baskets_and_support_is_required(
    cut: Callable[..., Snapshot], graph: Graph
) -> None:
    derive(graph, cut(BASKETS), NOW, config=LOOSE)
    # a is in 4 baskets, b in 2, c in 2; a and b share 2, a and c 2, b and c only 1
    expected = round(2 / np.sqrt(4 * 2), 4)
    assert stored(graph) == {
        ("p:a", "p:b"): expected, ("p:b", "p:a"): expected, ("p:a", "p:c"): expected, ("p:c", "p:a"): expected,
    }  # fmt: skip


def test_popularity_counts_each_buyer_of_the_last_four_weeks_once(cut: Callable[..., Snapshot], graph: Graph) -> None:
    derive(graph, cut(BASKETS), NOW)
    assert {product: count for product, count in popularity(graph).items() if count > 0} == {
        "p:a": 2, "p:b": 1, "p:c": 2,
    }  # fmt: skip


def test_only_differences_are_written(cut: Callable[..., Snapshot], graph: Graph) -> None:
    first = derive(graph, cut(BASKETS), NOW, config=LOOSE)
    # u_a and u_b are alike, and u_c, who bought only what all did, is like both
    assert (first.bought_with, first.similar_users, first.written, first.removed) == (4, 6, 10, 0)
    assert first.popularity_changed == 3
    again = derive(graph, cut(BASKETS), NOW, config=LOOSE)
    assert (again.written, again.removed, again.popularity_changed) == (0, 0, 0)
    without_c = derive(graph, cut([line for line in BASKETS if line[1] != "p:c"]), NOW, config=LOOSE)
    # all pairs of users move: lengths do
    assert (without_c.written, without_c.removed, without_c.popularity_changed) == (6, 2, 1)
    assert set(stored(graph)) == {("p:a", "p:b"), ("p:b", "p:a")}
    assert popularity(graph)["p:c"] == 0


def test_purchases_from_the_day_on_are_not_seen(cut: Callable[..., Snapshot], graph: Graph) -> None:
    derive(graph, cut(BASKETS), NOW - timedelta(weeks=1), config=LOOSE)
    assert stored(graph) == {}
    assert {p: n for p, n in popularity(graph).items() if n > 0} == {"p:a": 1, "p:b": 1, "p:c": 1}
    (record,) = graph.driver.execute_query(
        "CYPHER 25 MATCH (d:Derivation {id: 'popularity'}) RETURN d.as_of AS as_of, d.newest_event_at AS newest, "
        "d.complete AS complete",
        database_=graph.database,
    ).records
    assert (record["as_of"].to_native(), record["newest"].to_native(), record["complete"]) == (
        NOW - timedelta(weeks=1), NOW - timedelta(weeks=2), True,
    )  # fmt: skip


def test_a_product_keeps_its_strongest_neighbours_only() -> None:
    # 30 products in pairs of rising support with product 0
    order, product = [], []
    for other in range(1, 31):
        for basket in range(other):
            order += [1000 * other + basket] * 2
            product += [0, other]
    pairs = bought_with(np.array(order), np.array(product), 31, minimum_support=1, most=20)
    mine = pairs.end[pairs.start == 0]
    assert mine.tolist() == list(range(30, 10, -1))
    assert (np.bincount(pairs.start)[1:] == 1).all()


def test_users_are_alike_by_what_they_buy_of_late(cut: Callable[..., Snapshot], graph: Graph) -> None:
    lines = [
        ("u_a", "p:a", "1", 12), ("u_a", "p:a", "2", 0.001), ("u_a", "p:b", "3", 12), ("u_b", "p:a", "4", 12),
        ("u_c", "p:c", "5", 1),
    ]  # fmt: skip
    derive(graph, cut(lines), NOW)
    # u_a has sqrt(1 / 2 + 1) of a and sqrt(1 / 2) of b; u_b has only a
    expected = np.sqrt(1.5) / np.sqrt(1.5 + 0.5)
    found = {record["id"]: (record["ids"], record["weights"]) for record in graph.read("similar_users_stored")}
    assert found == {
        "u_a": (["u_b"], [pytest.approx(expected, abs=1e-4)]), "u_b": (["u_a"], [pytest.approx(expected, abs=1e-4)]),
    }  # fmt: skip


def test_an_empty_past_is_one_clear_line(cut: Callable[..., Snapshot], graph: Graph) -> None:
    with pytest.raises(InputError, match="holds no purchase before 2020-01-01 00:00"):
        derive(graph, cut(BASKETS), datetime(2020, 1, 1, tzinfo=UTC))
