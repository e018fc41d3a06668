"""What a drawing gets: the planted node, what surrounds it, and never more than the cap."""

from __future__ import annotations

import pytest

from shopgraph.errors import InputError
from shopgraph.graph.connection import Graph
from shopgraph.neighbourhood import neighbourhood
from shopgraph.schema import NODES, RELATIONS

PLANT = """
CYPHER 25
CREATE (p:Product {id: 'p', title: 'Soup'}), (b:Brand {id: 'b', name: 'Kettle'}), (c:Category {id: 'c', name: 'Food'})
CREATE (p)-[:MADE_BY]->(b), (p)-[:IN_CATEGORY]->(c)
CREATE (p)-[:BOUGHT_WITH {weight: 0.5}]->(q:Product {id: 'q', title: 'Bread'})-[:BOUGHT_WITH {weight: 0.4}]->(p)
WITH p
UNWIND range(1, 500) AS i
CREATE (u:User {id: 'u' + i})
CREATE (u)-[:PURCHASED {line_id: 'a' + i}]->(p), (u)-[:PURCHASED {line_id: 'b' + i}]->(p)
"""


@pytest.fixture
def planted(graph: Graph) -> Graph:
    graph.driver.execute_query(PLANT, database_=graph.database)
    return graph


def test_it_names_the_node_first_and_what_surrounds_it(planted: Graph) -> None:
    found = neighbourhood(planted, "Product", "p", limit=5)
    assert found["nodes"][0] == {"label": "Product", "id": "p", "title": "Soup"}
    titles = {(node["label"], node["title"]) for node in found["nodes"] if node["label"] != "User"}
    assert titles == {("Product", "Soup"), ("Product", "Bread"), ("Brand", "Kettle"), ("Category", "Food")}
    edges = {(edge["type"], edge["source"], edge["target"]) for edge in found["edges"] if edge["type"] != "PURCHASED"}
    assert edges == {
        ("MADE_BY", "Product\0p", "Brand\0b"),
        ("IN_CATEGORY", "Product\0p", "Category\0c"),
        ("BOUGHT_WITH", "Product\0p", "Product\0q"),
        ("BOUGHT_WITH", "Product\0q", "Product\0p"),
    }


def test_a_super_node_is_capped_and_it_grows_from_any_neighbour(planted: Graph) -> None:
    found = neighbourhood(planted, "Product", "p", limit=5)
    users = [node for node in found["nodes"] if node["label"] == "User"]
    assert 1 <= len(users) <= 5
    assert users[0]["title"] == users[0]["id"]
    grown = neighbourhood(planted, "User", users[0]["id"])
    assert [node["id"] for node in grown["nodes"]] == [users[0]["id"], "p"]
    assert len(grown["edges"]) == 1


def test_the_query_writes_out_every_label_and_relation_of_the_schema(planted: Graph) -> None:
    text = planted.queries["around"].text
    assert all(f"(n:{label} {{id: $id}})" in text for label in NODES)
    assert all(f"(n)-[r:{kind}]->(m)" in text and f"(n)<-[r:{kind}]-(m)" in text for kind in RELATIONS)


def test_unknown_nodes_are_empty_and_unknown_labels_refused(planted: Graph) -> None:
    assert neighbourhood(planted, "Product", "none") == {"nodes": [], "edges": []}
    with pytest.raises(InputError, match="'Person' is not one of Product, User"):
        neighbourhood(planted, "Person", "p")
