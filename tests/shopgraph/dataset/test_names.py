"""What names are queries for: distinct names, and every product that belongs to what is so called."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from shopgraph.dataset.corpus import CorpusConfig
from shopgraph.dataset.names import read_names
from shopgraph.dataset.snapshot import Snapshot, assemble
from shopgraph.records import NODE_TABLES, RELATION_TABLES

CODES = [f"Maker {number}" for number in range(20)]


def shop() -> Snapshot:
    """Soups are a category and a brand, too; one brand is a code, one has no name."""
    nodes = {
        "Product": [{"id": f"p{n}"} for n in range(4)],
        "Category": [{"id": "FOOD > SOUP", "name": "Soup"}, {"id": "PLAY", "name": "Toys  for all"}],
        "Brand": [{"id": "b", "name": "Soup"}, {"id": "none"}, *({"id": name, "name": name} for name in CODES)],
        "Author": [],
        "Attribute": [{"id": "colour=red", "key": "colour", "value": "red"}],
    }
    relations = {
        "IN_CATEGORY": [("p0", "FOOD > SOUP"), ("p1", "FOOD > SOUP"), ("p3", "PLAY")],
        "MADE_BY": [("p1", "b"), ("p2", "b"), ("p3", "Maker 3"), ("p0", "none")],
        "HAS_ATTRIBUTE": [("p3", "colour=red")],
    }
    return assemble(
        {label: pa.Table.from_pylist(rows, schema=NODE_TABLES[label]) for label, rows in nodes.items()},
        {
            kind: pa.Table.from_pylist([{"start": a, "end": b} for a, b in ends], schema=RELATION_TABLES[kind])
            for kind, ends in relations.items()
        },
        datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_a_name_has_the_products_of_everything_so_called_and_codes_are_no_names():
    found = read_names(shop(), CorpusConfig(), most=10)
    assert found.names == ["Soup", "Toys for all", "colour red"]
    assert found.products.toarray().tolist() == [[1, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1]]


def test_the_names_of_the_most_products_are_kept():
    found = read_names(shop(), CorpusConfig(), most=1)
    assert found.names == ["Soup"]
    assert found.products.shape == (1, 4)
    assert read_names(shop(), CorpusConfig(), most=0).products.shape == (0, 4)


def test_a_shop_without_names_has_none():
    nodes = {"Product": pa.Table.from_pylist([{"id": "p"}], schema=NODE_TABLES["Product"])}
    found = read_names(assemble(nodes, {}, datetime(2026, 1, 1, tzinfo=UTC)), CorpusConfig(), most=5)
    assert found.names == []
    assert found.products.shape == (0, 1)
