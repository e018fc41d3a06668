from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from shopgraph.dataset.snapshot import assemble
from shopgraph.ranking.facets import NONE, FacetConfig, facets_of
from shopgraph.records import NODE_TABLES, RELATION_TABLES


def test_facets_read_the_tree_brands_titles_and_the_commonest_attributes() -> None:
    nodes = {
        "Product": [{"id": "a", "title": "Tea"}, {"id": "b", "title": "Tea"}, {"id": "c", "title": ""}, {"id": "d"}],
        "Brand": [{"id": "x"}, {"id": "y"}],
        "Category": [
            {"id": "food", "level": 1},
            {"id": "food > hot", "level": 2},
            {"id": "food > hot > tea", "level": 3},
            {"id": "toys", "level": 1},
        ],
        "Attribute": [
            {"id": "size=1", "key": "size", "value": "1"},
            {"id": "size=2", "key": "size", "value": "2"},
            {"id": "mood=odd", "key": "mood", "value": "odd"},
        ],
    }
    relations = {
        "MADE_BY": [("a", "x"), ("b", "y"), ("c", "x")],
        "IN_CATEGORY": [("a", "food > hot > tea"), ("b", "food > hot"), ("c", "toys")],
        "CHILD_OF": [("food > hot > tea", "food > hot"), ("food > hot", "food")],
        "HAS_ATTRIBUTE": [("a", "size=1"), ("b", "size=2"), ("c", "mood=odd")],
    }
    snapshot = assemble(
        {label: pa.Table.from_pylist(rows, schema=NODE_TABLES[label]) for label, rows in nodes.items()},
        {
            name: pa.Table.from_pylist([{"start": s, "end": e} for s, e in rows], schema=RELATION_TABLES[name])
            for name, rows in relations.items()
        },
        datetime(2026, 1, 1, tzinfo=UTC),
    )
    found = {facet.name: facet.values.tolist() for facet in facets_of(snapshot, FacetConfig(attribute_keys=1))}
    food, hot, tea, toys = range(4)
    assert found["category_1"] == [food, food, toys, NONE]
    assert found["category_2"] == [hot, hot, toys, NONE]
    assert found["category_3"] == [tea, hot, toys, NONE]
    assert found["brand"] == [0, 1, 0, NONE]
    assert found["title"] == [0, 0, NONE, NONE]
    assert found["brand_in_category"][3] == NONE
    assert len(set(found["brand_in_category"])) == 4
    assert found["attribute_size"] == [0, 1, NONE, NONE]
    assert "attribute_mood" not in found, "only the key that most products state was asked for"
    assert "author" not in found, "nobody states one"
