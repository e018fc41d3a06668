"""The battery: of every source that there is the planted answer comes first, and what may not be shown never comes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from shopgraph.graph.connection import Graph
from shopgraph.publish import publish_release
from shopgraph.recommend.candidate import Sources, source_names
from shopgraph.registry import Vectors
from shopgraph.schema import FAMILIES
from shopgraph_cypher import load_queries

from .conftest import AXES, NOW, Planted, ask, ids, planted

RIGHT = "s:bread0"
"""The answer to all: bread 0, which is bought with soup 0, is like bread 1, and sells best."""
BEFORE_ANY = NOW - timedelta(weeks=100)
OWNS_BREAD_1 = {"user": "u_loaf", "without": ["s:bread1"]}
ASKED: dict[str, dict[str, Any]] = {
    "attribute_paths": OWNS_BREAD_1,
    "baskets_like_these": {"like": ["s:soup0"], "unlike": ["s:toy0"]},
    "bought_together": {"user": "u_soup"},
    "category_favourites": OWNS_BREAD_1,
    "due_again": {"user": "u_fan"},
    "full_text_search": {"query": "bread0"},
    "graph_like_these": {"like": ["s:bread1"], "unlike": ["s:toy0"], "without": ["s:bread1"]},
    "graph_neighbours": OWNS_BREAD_1,
    "new_arrivals": {"unbought_before": BEFORE_ANY, "without": [f"s:bread{i}" for i in (1, 2, 3)]},
    "popular_in_category": {"session": ["s:bread1", "s:toy3"]},
    "popular_in_segment": {"user": "u_loaf"},
    "popular_lately": {},
    "popular_within": {"categories": ["FOOD > BREAD"]},
    "repeat_purchases": {"user": "u_fan"},
    "searched_lately": {"searches": ["bread0", "soup1"]},
    "session_neighbours": {"session": ["s:bread1", "s:soup0"]},
    "similar_baskets": {"product": "s:soup0"},
    "similar_graph": {"product": "s:bread1"},
    "similar_text": {"product": "s:bread1"},
    "similar_users": {"user": "u_soup", "without": ["s:soup0"]},
    "text_like_these": {"like": ["s:bread1"], "unlike": ["s:toy0"], "without": ["s:bread1"]},
    "text_neighbours": OWNS_BREAD_1,
    "text_new_arrivals": {**OWNS_BREAD_1, "unbought_before": BEFORE_ANY},
    "text_search": {},
}
"""By source, what it is asked with besides the defaults of `ask`."""
SHOWN = "p.hidden = false, p.stock = 1, p.retired_at = datetime('9999-12-31T00:00:00Z')"
KEPT_BACK = ("p.hidden = true", "p.stock = 0", "p.retired_at = datetime('2024-01-01T00:00:00Z')")


@pytest.fixture(scope="module")
def shop(shared_graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    database = shared_graph.database
    shared_graph.driver.execute_query("MATCH (n) WHERE NOT n:__Neo4jMigration DETACH DELETE n", database_=database)
    baskets = [(f"u_{i}", product, 1 + i / 10, "first") for i in range(5) for product in ("s:soup0", RIGHT)]
    fan = [("u_fan", RIGHT, 2, "a"), ("u_fan", RIGHT, 1, "b"), ("u_fan", "s:soup1", 1, "b")]
    others = [("u_loaf", "s:bread1", 1, "a"), ("u_soup", "s:soup0", 2, "a"), ("u_toys", "s:toy3", 1, "a")]
    young = {user: {"age": "19-24"} for user in ("u_loaf", *(f"u_{i}" for i in range(5)))}
    found = planted(
        shared_graph, tmp_path_factory.mktemp("battery"), [*baskets, *fan, *others], users={**young, "u_toys": {}}
    )
    versions = {
        family: found.registry.save(family, found.snapshot.id, turned(found, family), {}, {}).id for family in FAMILIES
    }
    publish_release(shared_graph, found.registry, versions, found.snapshot)
    yield found
    shared_graph.driver.execute_query("MATCH (n) WHERE NOT n:__Neo4jMigration DETACH DELETE n", database_=database)


def turned(shop: Planted, family: str) -> dict[str, Vectors]:
    """Each kind has an axis; its products turn away from it, the first not at all, each next one by a larger step."""
    vectors = {}
    for label in FAMILIES[family].labels:
        names = shop.snapshot.ids(label)
        matrix = np.zeros((len(names), FAMILIES[family].dimension), np.float32)
        for row, name in enumerate(names):
            kind = next((kind for kind in AXES if kind in name), "bread")
            number = int(name[-1]) if label == "Product" else 0
            angle = 0.1 * number**1.5
            matrix[row, [AXES[kind], 3 + AXES[kind]]] = np.cos(angle), np.sin(angle)
        vectors[label] = Vectors(names, matrix)
    return vectors


@pytest.mark.parametrize("source", source_names(load_queries()))
def test_the_planted_answer_comes_first_and_never_where_it_may_not_be_shown(shop: Planted, source: str) -> None:
    assert source in ASKED, f"a new source? Say in ASKED for which question it answers {RIGHT} first"
    graph, given = shop.graph, ASKED[source]
    assert ids(ask(graph, source, **given))[0] == RIGHT
    if "without" in Sources(graph).parameters(source):
        assert RIGHT not in ids(ask(graph, source, **{**given, "without": [*given.get("without", []), RIGHT]}))
    try:
        for change in KEPT_BACK:
            set_right(graph, f"{SHOWN}, {change}")
            assert RIGHT not in ids(ask(graph, source, **given)), change
    finally:
        set_right(graph, SHOWN)


def set_right(graph: Graph, change: str) -> None:
    graph.driver.execute_query(
        f"CYPHER 25 MATCH (p:Product {{id: $id}}) SET {change}", id=RIGHT, database_=graph.database
    )
