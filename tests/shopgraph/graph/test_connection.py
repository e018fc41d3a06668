from pathlib import Path

import pytest

from shopgraph.errors import QueryError, ServiceError
from shopgraph.graph import connection
from shopgraph.graph.connection import Graph, batched, parse_version
from shopgraph.services.local_process import free_port
from shopgraph.services.neo4j_server import Neo4jServer
from shopgraph.settings import Settings
from shopgraph.wiring_serving import open_graph


@pytest.mark.parametrize(
    ("agent", "version"),
    [
        ("Neo4j/2026.08.1", (2026, 8, 1)),
        ("Neo4j/2026.01.0-drop04.0", (2026, 1, 0)),
        ("Neo4j/5.26.12", (5, 26, 12)),
        ("Neo4j/dev", ()),
        ("Memgraph", ()),
    ],
)
def test_a_version_is_read_from_the_agent(agent: str, version: tuple[int, ...]) -> None:
    assert parse_version(agent) == version


def test_a_server_that_is_too_old_is_refused(neo4j_server: Neo4jServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MINIMUM_VERSION", (2099, 1))
    with pytest.raises(ServiceError, match=r"Neo4j/2026.08.1 at bolt://.* is too old: .* needs Neo4j 2099.1 or later"):
        Graph(neo4j_server.uri(), ("neo4j", neo4j_server.password()), "neo4j", {})


def test_nobody_there_is_one_line() -> None:
    with pytest.raises(ServiceError, match="can't be reached"):
        Graph(f"bolt://127.0.0.1:{free_port(None)}", ("neo4j", "x"), "neo4j", {}, 2.0)


def test_an_address_that_is_none_is_one_line() -> None:
    with pytest.raises(ServiceError, match="'http://db' can't be used"):
        Graph("http://db", ("neo4j", "x"), "neo4j", {}, 2.0)


def test_a_query_is_called_as_declared(graph: Graph) -> None:
    with pytest.raises(QueryError, match="run_begin is declared write and was called to read"):
        graph.read("run_begin")
    with pytest.raises(QueryError, match=r"run_detail takes \['id'\], was given \['ids'\]"):
        graph.read("run_detail", ids=["x"])
    with pytest.raises(KeyError, match="no query file is named"):
        graph.read("nothing")
    assert graph.record("run_detail", id="nobody") is None


def test_rows_are_written_in_batches() -> None:
    assert list(batched(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(batched([], 2)) == []


def test_a_server_that_takes_too_long_is_a_service_that_may_be_tried_again(
    settings: Settings, neo4j_server: Neo4jServer, tmp_path: Path
) -> None:
    (tmp_path / "slow.cypher").write_text(
        "// name: slow\n// mode: read\n// params: -\n// returns: total\n// Counts for a minute.\n"
        "CYPHER 25\nUNWIND range(1, 2000000000) AS i\nRETURN sum(i) AS total\n"
    )
    hasty = settings.model_copy(update={"cypher_path": tmp_path, "neo4j_timeout_seconds": 1.0})
    with open_graph(hasty, apply_schema=False) as graph, pytest.raises(ServiceError, match="longer than 1 s for slow"):
        graph.read("slow")
