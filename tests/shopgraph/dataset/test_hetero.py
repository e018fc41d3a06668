from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from shopgraph.dataset.hetero import to_hetero
from shopgraph.dataset.snapshot import Snapshot, assemble
from shopgraph.errors import InputError
from shopgraph.records import NODE_TABLES, RELATION_TABLES

START = datetime(2026, 3, 2, tzinfo=UTC)


def shop(amount: float = 4.0) -> Snapshot:
    rows = {
        "Product": [{"id": "p1", "package_size": "12 OZ"}, {"id": "p2"}, {"id": "p3"}],
        "User": [{"id": "u1", "age": "25-34"}, {"id": "u2", "age": "35-44"}],
        "Brand": [{"id": "acme"}],
    }
    line = {"at": START, "quantity": 2, "order_id": "o"}
    lines = [
        {"start": "u1", "end": "p1", "line_id": "1", **line, "amount": amount},
        {"start": "u2", "end": "p2", "line_id": "2", **line, "amount": 12.0},
    ]
    nodes = {label: pa.Table.from_pylist(found, schema=NODE_TABLES[label]) for label, found in rows.items()}
    relations = {
        "PURCHASED": pa.Table.from_pylist(lines, schema=RELATION_TABLES["PURCHASED"]),
        "MADE_BY": pa.Table.from_pylist([{"start": "p2", "end": "acme"}], schema=RELATION_TABLES["MADE_BY"]),
    }
    return assemble(nodes, relations, START + timedelta(days=1))


def test_edges_have_times_weights_and_a_reverse() -> None:
    data = to_hetero(shop())
    purchased, back = data["user", "purchased", "product"], data["product", "rev_purchased", "user"]
    assert purchased.edge_index.tolist() == [[0, 1], [0, 1]]
    assert purchased.edge_weight.tolist() == [2.0, 2.0]
    assert purchased.edge_time.tolist() == [round(START.timestamp() * 1000)] * 2
    assert back.edge_index.tolist() == purchased.edge_index.flip(0).tolist()
    assert data["product", "made_by", "brand"].edge_index.tolist() == [[1], [0]]
    assert data["author"].num_nodes == 0
    assert data.validate()


def test_features_are_the_paid_price_the_package_and_the_segments() -> None:
    data = to_hetero(shop())
    prices = np.log1p([2.0, 6.0])
    standard = (prices - prices.mean()) / prices.std()
    assert np.allclose(data["product"].x.numpy(), [[standard[0], 1.0], [standard[1], 0.0], [0.0, 0.0]])
    assert data["user"].x.tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_a_feature_that_is_no_number_is_refused() -> None:
    with pytest.raises(InputError, match="not a finite number, the first in row"):
        to_hetero(shop(amount=float("nan")))
