"""Real services for every test: one private Neo4j and one private Valkey a test run, gone with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shopgraph.graph.connection import Graph
from shopgraph.services.broker import Broker
from shopgraph.services.neo4j_distribution import install
from shopgraph.services.neo4j_server import Neo4jServer
from shopgraph.settings import Settings, load_settings
from shopgraph.wiring_serving import open_graph

for name in [name for name in os.environ if name.startswith("SHOPGRAPH_") and name != "SHOPGRAPH_CACHE"]:
    del os.environ[name]
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a home folder that lives as long as this test run."""
    return load_settings(
        home=tmp_path_factory.mktemp("home"), neo4j_heap_mib=768, neo4j_page_cache_mib=256, clock="data"
    )


@pytest.fixture(scope="session")
def neo4j_server(settings: Settings) -> Iterator[Neo4jServer]:
    install(settings.cache, print)
    server = Neo4jServer(settings)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def broker(settings: Settings) -> Iterator[Broker]:
    server = Broker(settings)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def shared_graph(settings: Settings, neo4j_server: Neo4jServer) -> Iterator[Graph]:
    with open_graph(settings) as graph:
        yield graph


@pytest.fixture
def graph(shared_graph: Graph) -> Graph:
    """An empty graph with the schema applied."""
    wipe = "CYPHER 25 MATCH (n) WHERE NOT n:__Neo4jMigration CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 5000 ROWS"
    with shared_graph.driver.session(database=shared_graph.database) as session:
        session.run(wipe).consume()
    return shared_graph


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Public data sets that lie beside a development checkout; a user has none."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the public data sets are not beside this checkout (../shared/data)")
    return folder
