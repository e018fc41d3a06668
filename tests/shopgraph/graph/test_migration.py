import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from shopgraph.errors import ServiceError
from shopgraph.graph.connection import Graph
from shopgraph.graph.migration import Schema
from shopgraph.settings import Settings
from shopgraph.wiring_serving import open_graph
from shopgraph_cypher import MIGRATIONS


@pytest.fixture
def folder(shared_graph: Graph, tmp_path: Path) -> Iterator[Path]:
    """A copy of the migrations; what a test applies beyond them is taken back."""
    copy = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, copy)
    yield copy
    shared_graph.driver.execute_query("DROP INDEX trial IF EXISTS", database_=shared_graph.database)
    shared_graph.driver.execute_query(
        "MATCH (m:__Neo4jMigration {version: '9000'}) DETACH DELETE m", database_=shared_graph.database
    )


def last(folder: Path) -> Path:
    return sorted(folder.glob("V*.cypher"))[-1]


def test_applying_twice_is_a_no_op(shared_graph: Graph) -> None:
    schema = Schema(shared_graph)
    assert schema.apply() == []
    assert {entry.state for entry in schema.status()} == {"applied"}
    assert len(schema.status()) == len(list(MIGRATIONS.glob("V*.cypher")))


def test_a_new_file_is_pending_then_applied(shared_graph: Graph, folder: Path) -> None:
    (folder / "V9000__trial.cypher").write_text("CYPHER 25 CREATE INDEX trial IF NOT EXISTS FOR (n:Trial) ON (n.x);\n")
    schema = Schema(shared_graph, folder)
    assert schema.status()[-1].state == "pending"
    assert schema.apply() == ["9000"]
    names = shared_graph.driver.execute_query("SHOW INDEXES YIELD name", database_=shared_graph.database).records
    assert "trial" in [record["name"] for record in names]
    assert Schema(shared_graph, folder).status()[-1].state == "applied"


def test_a_file_that_changed_since_is_refused(shared_graph: Graph, folder: Path) -> None:
    changed = last(folder)
    changed.write_text(changed.read_text() + "CYPHER 25 CREATE INDEX trial IF NOT EXISTS FOR (n:Trial) ON (n.x);\n")
    schema = Schema(shared_graph, folder)
    assert schema.status()[-1].state == "invalid"
    with pytest.raises(ServiceError, match=r"changed after it was applied to this graph: restore the file"):
        schema.apply()


def test_a_file_that_is_gone_is_refused(shared_graph: Graph, folder: Path) -> None:
    last(folder).unlink()
    with pytest.raises(ServiceError, match=r"\(file missing\)"):
        Schema(shared_graph, folder).verify()


def test_a_server_that_is_gone_is_one_line(settings: Settings, shared_graph: Graph) -> None:
    with open_graph(settings, apply_schema=False) as graph:
        schema = Schema(graph)
    with pytest.raises(ServiceError, match="failed while its schema was read or applied"):
        schema.apply()
