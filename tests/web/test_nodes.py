import re

from flask.testing import FlaskClient

from shopgraph.graph.connection import Graph
from shopgraph.schema import NODES, RELATIONS
from shopgraph_web.admin.nodes import PHRASES


def test_a_brand_lists_its_products_and_a_category_its_parts(reader: FlaskClient) -> None:
    brand = reader.get("/nodes/Brand", query_string={"id": "kettle & co"}).text
    assert "Kettle &amp; Co" in brand
    assert "Dry tomato soup" in brand
    category = reader.get("/nodes/Category?id=FOOD").text
    assert "DRINKS" in category
    assert "Dark bread" in category


def test_products_and_users_have_pages_of_their_own(reader: FlaskClient) -> None:
    assert reader.get("/nodes/Product?id=shop:tea").location == "/products/shop:tea"


def test_unknown_labels_and_ids_are_404(reader: FlaskClient) -> None:
    assert reader.get("/nodes/Person?id=1").status_code == 404
    assert reader.get("/nodes/Brand?id=none").status_code == 404


def test_the_queries_cover_every_label_and_relation_of_the_schema(shop: Graph) -> None:
    counts = shop.record("graph_counts")
    assert set(counts["nodes"]) == set(NODES)
    assert set(counts["relations"]) == set(RELATIONS)
    written = set(re.findall(r"RETURN '(\w+)' AS type, '(\w+)' AS direction", shop.queries["node_relations"].text))
    assert written == {(name, direction) for name in RELATIONS for direction in ("out", "in")} == set(PHRASES)


def test_counts_are_the_graphs_own(shop: Graph) -> None:
    counts = shop.record("graph_counts")
    assert (counts["nodes"]["Product"], counts["nodes"]["User"], counts["relations"]["PURCHASED"]) == (6, 12, 20)


def test_the_neighbourhood_names_nodes_and_relations(reader: FlaskClient) -> None:
    found = reader.get("/neighbourhood/around.json?label=Product&id=shop:soup").json
    assert {"shop:soup", "shop:bread", "kettle & co"} <= {node["id"] for node in found["nodes"]}
    assert {"PURCHASED", "MADE_BY", "BOUGHT_WITH"} <= {edge["type"] for edge in found["edges"]}
    assert reader.get("/neighbourhood/around.json?label=Product&id=none").status_code == 404
    assert reader.get("/neighbourhood/?label=Person").status_code == 400
    assert 'data-id="shop:soup"' in reader.get("/neighbourhood/?label=Product&id=shop:soup").text
