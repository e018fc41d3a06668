"""Every packaged query is understood by the real server."""

import pytest

from shopgraph.graph.connection import Graph
from shopgraph_cypher import load_queries

QUERIES = load_queries()
EXPLAINABLE = [name for name, query in QUERIES.items() if query.mode != "schema"]


@pytest.mark.parametrize("name", EXPLAINABLE)
def test_the_server_understands_it(shared_graph: Graph, name: str) -> None:
    query = QUERIES[name]
    text = query.text.replace("CYPHER 25", "CYPHER 25 EXPLAIN", 1)
    with shared_graph.driver.session(database=shared_graph.database) as session:
        summary = session.run(text, dict.fromkeys(query.params)).consume()
    kinds = {"read": {"r"}, "write": {"rw", "w"}}
    assert summary.query_type in kinds[query.mode], f"{name} is declared {query.mode}"
