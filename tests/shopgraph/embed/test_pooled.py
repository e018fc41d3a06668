"""Means by hand, categories with all below them, neighbourhoods that hold what was bought before and nothing after."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp

from shopgraph.dataset.purchases import to_ms
from shopgraph.dataset.snapshot import Snapshot, assemble
from shopgraph.embed.pooled import (
    NeighbourhoodConfig,
    memberships,
    pool,
    pool_groups,
    pool_neighbourhoods,
)
from shopgraph.errors import ConfigurationError, InputError
from shopgraph.records import NODE_TABLES, RELATION_TABLES

END = datetime(2026, 4, 27, tzinfo=UTC)

VECTORS = np.eye(4, dtype=np.float32)
NO_RING = NeighbourhoodConfig(half_life_weeks=2, power=1, ring_share=0)


def nodes(label: str, ids: list[str]) -> pa.Table:
    return pa.Table.from_pylist([{"id": node} for node in ids], schema=NODE_TABLES[label])


def relation(name: str, rows: list[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=RELATION_TABLES[name])


def shop(turned: bool = False) -> Snapshot:
    """Four products: bread and rolls under BAKERY, milk in DAIRY, salt in nothing; two users, one without purchases."""
    in_category = [("bread", "FOOD > BAKERY > BREAD"), ("rolls", "FOOD > BAKERY"), ("milk", "FOOD > DAIRY")]
    child_of = [("FOOD > BAKERY > BREAD", "FOOD > BAKERY"), ("FOOD > BAKERY", "FOOD"), ("FOOD > DAIRY", "FOOD")]
    bought = [("ann", "bread", 2), ("ann", "bread", 4), ("ann", "milk", 2), ("ann", "milk", 2)]
    made_by = [("bread", "mill"), ("rolls", "mill"), ("milk", "farm")]
    turn = slice(None, None, -1 if turned else 1)
    lines = [
        {"start": u, "end": p, "at": END - timedelta(weeks=w), "line_id": str(n), "order_id": str(n), "quantity": 1}
        for n, (u, p, w) in enumerate(bought)
    ]
    stated = {
        name: relation(name, [{"start": start, "end": end} for start, end in rows][turn])
        for name, rows in (("IN_CATEGORY", in_category), ("CHILD_OF", child_of), ("MADE_BY", made_by))
    }
    labels = {
        "User": nodes("User", ["ann", "bob"]),
        "Product": nodes("Product", ["bread", "milk", "rolls", "salt"]),
        "Brand": nodes("Brand", ["farm", "mill", "none"]),
        "Category": nodes("Category", ["FOOD", "FOOD > BAKERY", "FOOD > BAKERY > BREAD", "FOOD > DAIRY", "TOYS"]),
    }
    return assemble(labels, {**stated, "PURCHASED": relation("PURCHASED", lines[turn])}, END)


def test_a_weighted_mean_is_brought_to_unit_length() -> None:
    weights = sp.csr_array(np.array([[3.0, 4.0, 0, 0], [0, 0, 0, 0], [0, 0, 2.0, 0]]))
    found = pool(weights, VECTORS)
    assert np.allclose(found.matrix, [[0.6, 0.8, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]])
    assert found.empty.tolist() == [False, True, False]


def test_members_that_cancel_out_point_nowhere_and_say_so() -> None:
    found = pool(sp.csr_array(np.array([[1.0, 1.0, 1.0]])), np.array([[0.1, 0.3], [-0.1, -0.3], [0.0, 0.0]]))
    assert found.empty.tolist() == [True]
    assert not found.matrix.any()


def test_a_category_holds_what_is_below_it_each_product_once() -> None:
    found = pool_groups(shop(), "IN_CATEGORY", VECTORS)
    third, half = 3**-0.5, 2**-0.5
    expected = [
        [third, third, third, 0],  # FOOD
        [half, 0, half, 0],  # BAKERY: bread, two levels below, and rolls
        [1, 0, 0, 0],
        [0, 1, 0, 0],
        [0, 0, 0, 0],  # TOYS
    ]
    assert np.allclose(found.matrix, expected)
    assert found.empty.tolist() == [False] * 4 + [True]


def test_a_circle_of_categories_ends() -> None:
    rows = [{"start": "a", "end": "b"}, {"start": "b", "end": "a"}]
    tables = {
        "CHILD_OF": relation("CHILD_OF", rows),
        "IN_CATEGORY": relation("IN_CATEGORY", [{"start": "p", "end": "a"}]),
    }
    snapshot = assemble({"Product": nodes("Product", ["p"]), "Category": nodes("Category", ["a", "b"])}, tables, END)
    assert memberships(snapshot, "IN_CATEGORY").toarray().tolist() == [[True, True]]


def test_a_brand_weighs_its_products_as_told() -> None:
    found = pool_groups(shop(), "MADE_BY", VECTORS, np.array([3.0, 1.0, 4.0, 9.0]))
    assert np.allclose(found.matrix, [[0, 1, 0, 0], [0.6, 0, 0.8, 0], [0, 0, 0, 0]])


def test_a_neighbourhood_is_the_decayed_purchases() -> None:
    found = pool_neighbourhoods(shop(), {"product": VECTORS}, NO_RING)
    bread, milk = 0.5 + 0.25, 0.5 + 0.5
    length = np.hypot(bread, milk)
    assert np.allclose(found.matrix[0], [bread / length, milk / length, 0, 0])
    assert found.empty.tolist() == [False, True]


def test_the_second_ring_gets_its_share() -> None:
    config = NeighbourhoodConfig(half_life_weeks=2, power=1, ring_share=0.25, ring=("MADE_BY",))
    found = pool_neighbourhoods(shop(), {"product": VECTORS}, config)
    near = np.array([0.75, 1.0, 0, 0]) / np.hypot(0.75, 1.0)
    mill, farm = np.array([1, 0, 1, 0]) / np.sqrt(2), np.array([0, 1, 0, 0])
    far = 0.75 * mill + 1.0 * farm
    both = 0.75 * near + 0.25 * far / np.linalg.norm(far)
    assert np.allclose(found.matrix[0], both / np.linalg.norm(both), atol=1e-6)
    assert not found.matrix[1].any()


def test_a_share_of_none_leaves_out_what_was_not_bought() -> None:
    rolls = 2  # of the same mill as the bread that was bought
    without, whole = (
        pool_neighbourhoods(shop(), {"product": VECTORS}, NeighbourhoodConfig(ring_share=share)).matrix[0, rolls]
        for share in (0.0, 1.0)
    )
    assert without == 0
    assert whole > 0.1


def test_what_happens_later_changes_nothing() -> None:
    moment = END - timedelta(weeks=3)
    later = pool_neighbourhoods(shop(), {"product": VECTORS}, NO_RING, to_ms(moment))
    assert np.allclose(later.matrix[0], [1, 0, 0, 0])  # the milk and the second bread were bought a week later
    assert pool_neighbourhoods(shop(), {"product": VECTORS}, NO_RING, 0).empty.all()


def test_the_order_of_members_changes_nothing() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(4, 7)).astype(np.float32)
    one, other = shop(), shop(turned=True)
    for found, again in (
        (pool_groups(one, "IN_CATEGORY", vectors), pool_groups(other, "IN_CATEGORY", vectors)),
        (pool_neighbourhoods(one, {"product": vectors}), pool_neighbourhoods(other, {"product": vectors})),
    ):
        assert np.array_equal(found.matrix, again.matrix)
    weights, order = sp.csr_array(random.random((3, 4))), np.array([2, 0, 3, 1])
    turned = pool(sp.csr_array(weights[:, order]), vectors[order])
    assert np.allclose(pool(weights, vectors).matrix, turned.matrix, atol=1e-7)


def test_what_cannot_be_pooled_is_said() -> None:
    broken = VECTORS.copy()
    broken[2, 1] = np.nan
    with pytest.raises(InputError, match="1 Product vectors are not finite, the first in row 2"):
        pool_neighbourhoods(shop(), {"product": broken})
    with pytest.raises(InputError, match="there are 4 of them"):
        pool_neighbourhoods(shop(), {"product": VECTORS[:3]})
    with pytest.raises(InputError, match="negative"):
        pool_groups(shop(), "MADE_BY", VECTORS, np.array([1.0, -1.0, 1.0, 1.0]))
    with pytest.raises(InputError, match="PURCHASED groups no products"):
        pool_groups(shop(), "PURCHASED", VECTORS)
    with pytest.raises(ConfigurationError, match="ring_share"):
        NeighbourhoodConfig(ring_share=1.5)
    with pytest.raises(ConfigurationError, match="CHILD_OF"):
        NeighbourhoodConfig(ring=("CHILD_OF",))
