"""One contract, kept by the driver and by py2neo alike."""

from collections.abc import Callable
from typing import Any

import neo4j
import pytest

from shopgraph.errors import QueryError, ServiceError
from shopgraph.graph.connection import Graph
from shopgraph.graph.py2neo_session import Py2neoSession
from shopgraph.services.neo4j_server import Neo4jServer

Run = Callable[..., list[dict[str, Any]]]


class Driver:
    """The official driver with py2neo's two verbs, for the comparison."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def read(self, text: str, **params: Any) -> list[dict[str, Any]]:
        return self._run(text, params, neo4j.RoutingControl.READ)

    def write(self, text: str, **params: Any) -> list[dict[str, Any]]:
        return self._run(text, params, neo4j.RoutingControl.WRITE)

    def _run(self, text: str, params: dict[str, Any], routing: neo4j.RoutingControl) -> list[dict[str, Any]]:
        try:
            result = self._graph.driver.execute_query(text, params, routing_=routing, database_=self._graph.database)
        except neo4j.exceptions.ClientError as error:
            raise QueryError(error.message) from None
        return [record.data() for record in result.records]


@pytest.fixture(params=["driver", "py2neo"])
def session(request: pytest.FixtureRequest, graph: Graph, neo4j_server: Neo4jServer) -> Driver | Py2neoSession:
    if request.param == "driver":
        return Driver(graph)
    return Py2neoSession(neo4j_server.uri(), ("neo4j", neo4j_server.password()), graph.database)


def test_what_is_written_is_read(session: Driver | Py2neoSession) -> None:
    session.write(
        "UNWIND $rows AS row MERGE (p:Product {id: row.id}) SET p += row",
        rows=[{"id": "a", "title": "Zürich 🍫", "price": 2.5, "stock": 3, "graph_blue": [0.6, 0.8]}, {"id": "b"}],
    )
    assert session.read("MATCH (p:Product) RETURN p.id AS id, p.title AS title, p.price AS price ORDER BY id") == [
        {"id": "a", "title": "Zürich 🍫", "price": 2.5},
        {"id": "b", "title": None, "price": None},
    ]
    assert session.read("MATCH (p:Product {id: $id}) RETURN p.graph_blue AS v", id="a") == [{"v": [0.6, 0.8]}]


def test_a_read_may_not_write(session: Driver | Py2neoSession) -> None:
    with pytest.raises(QueryError, match=r"(?i)writ"):
        session.read("CREATE (:Product {id: 'x'})")
    assert session.read("MATCH (p:Product) RETURN count(p) AS n") == [{"n": 0}]


def test_a_write_is_whole_or_not_at_all(session: Driver | Py2neoSession) -> None:
    with pytest.raises(QueryError, match="already exists"):
        session.write("UNWIND ['a', 'b', 'a'] AS id CREATE (:Product {id: id})")
    assert session.read("MATCH (p:Product) RETURN count(p) AS n") == [{"n": 0}]


def test_a_wrong_text_is_one_line(session: Driver | Py2neoSession) -> None:
    with pytest.raises(QueryError, match="Invalid input"):
        session.read("MTCH (n) RETURN n")


def test_both_see_one_graph(graph: Graph, neo4j_server: Neo4jServer) -> None:
    py2neo = Py2neoSession(neo4j_server.uri(), ("neo4j", neo4j_server.password()), graph.database)
    py2neo.write("CREATE (:Run {id: 'from-py2neo', status: 'succeeded'})")
    assert graph.record("run_detail", id="from-py2neo")["status"] == "succeeded"


def test_a_wrong_password_is_one_line(neo4j_server: Neo4jServer) -> None:
    with pytest.raises(ServiceError, match="through py2neo"):
        Py2neoSession(neo4j_server.uri(), ("neo4j", "wrong"), "neo4j")
