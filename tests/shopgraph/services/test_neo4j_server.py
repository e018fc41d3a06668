"""A managed Neo4j of its own, which these tests kill, break and start again in turn."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shopgraph.errors import ConfigurationError, ServiceError
from shopgraph.graph.connection import Graph
from shopgraph.services.local_process import secret
from shopgraph.services.neo4j_distribution import _verify, install, installed
from shopgraph.services.neo4j_server import Memory, Neo4jServer
from shopgraph.settings import Settings, load_settings
from shopgraph.wiring_serving import open_graph


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(
        home=tmp_path_factory.mktemp("services") / "with space", neo4j_heap_mib=512, neo4j_page_cache_mib=64
    )


@pytest.fixture(scope="module")
def server(own: Settings) -> Iterator[Neo4jServer]:
    install(own.cache, print)
    secret(own.secrets / "neo4j.password", lambda: "-a-dash-first-x7Qm2v")  # as one random password in 64 has
    neo4j = Neo4jServer(own)
    neo4j.start()
    yield neo4j
    neo4j.stop()


def count(settings: Settings) -> int:
    with open_graph(settings, apply_schema=False) as graph:
        query = "MATCH (n:Mark) RETURN count(n) AS n"
        return graph.driver.execute_query(query, database_=graph.database).records[0]["n"]


def command(settings: Settings, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from shopgraph.cli import main; main()", *arguments],
        env={**os.environ, "SHOPGRAPH_HOME": str(settings.home), "COLUMNS": "400", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_is_killed_started_again_and_has_what_was_committed(own: Settings, server: Neo4jServer) -> None:
    assert server.start() == server.state()
    with open_graph(own, apply_schema=False) as graph:
        graph.driver.execute_query("CREATE (:Mark)", database_=graph.database)
    os.kill(server.state().pid, signal.SIGKILL)
    while server.state() is not None:
        time.sleep(0.05)
    server.start()
    assert count(own) == 1


def test_a_wrong_password_is_one_line(own: Settings, server: Neo4jServer) -> None:
    with pytest.raises(ServiceError, match="refuses the user 'neo4j': check SHOPGRAPH_NEO4J_PASSWORD"):
        Graph(server.uri(), ("neo4j", "wrong"), "neo4j", {}, 10.0)


def test_the_commands_tell_what_runs(own: Settings, server: Neo4jServer) -> None:
    rows = {row["name"]: row for row in json.loads(command(own, "services", "status", "--json").stdout)}
    assert (rows["neo4j"]["running"], rows["neo4j"]["port"]) == (True, server.state().port)
    assert rows["valkey"]["running"] is False
    assert Path(rows["neo4j"]["log"]).exists()
    logged = command(own, "services", "logs", "neo4j", "--lines", "5").stdout
    assert "Started." in logged
    assert server.password() not in server.log.read_text()
    assert command(own, "services", "logs", "mysql").returncode == 2


def test_an_own_server_is_used_and_never_managed(own: Settings, server: Neo4jServer, tmp_path: Path) -> None:
    elsewhere = load_settings(home=tmp_path, neo4j_uri=server.uri(), neo4j_password=server.password())
    assert count(elsewhere) == 1
    environment = {"SHOPGRAPH_NEO4J_URI": server.uri(), "SHOPGRAPH_BROKER_URL": "redis://127.0.0.1:1/0"}
    assert json.loads(command(elsewhere, "services", "status", "--json", **environment).stdout) == []
    said = command(elsewhere, "services", "start", **environment)
    assert "neo4j is your own server: left alone" in said.stdout
    assert command(elsewhere, "services", "stop", **environment).returncode == 0
    assert server.state() is not None
    with pytest.raises(ConfigurationError, match="set SHOPGRAPH_NEO4J_PASSWORD too"):
        open_graph(load_settings(home=tmp_path, neo4j_uri=server.uri()))


def test_nothing_running_is_one_line(tmp_path: Path) -> None:
    said = command(load_settings(home=tmp_path), "schema", "status")
    assert said.returncode == 1
    assert said.stderr == "error: the managed Neo4j is not running: start it with 'shopgraph services start'\n"


def test_an_import_neither_runs_beside_the_server_nor_replaces_a_database_unasked(
    own: Settings, server: Neo4jServer
) -> None:
    with pytest.raises(ServiceError, match="must be stopped"):
        server.bulk_import([])
    assert server.stop() is True
    with pytest.raises(ServiceError, match="has a database already"):
        server.bulk_import(["--nodes=Mark=missing.csv"])
    assert not (server.home / "import-in-progress").exists()


def test_the_half_database_of_a_broken_import_is_discarded(own: Settings, server: Neo4jServer) -> None:
    server.stop()
    (server.home / "import-in-progress").touch()
    password = server.password()
    server.start()
    assert count(own) == 0
    assert server.password() == password


def test_a_database_that_cannot_be_opened_is_one_line_that_says_what_to_do(own: Settings, server: Neo4jServer) -> None:
    server.stop()
    store = server.home / "data" / "databases" / "neo4j" / "neostore"
    content = store.read_bytes()
    store.write_bytes(b"")
    server.start()
    said = command(own, "schema", "status", SHOPGRAPH_NEO4J_TIMEOUT_SECONDS="2")
    assert said.returncode == 1
    assert said.stderr.startswith(f"error: Neo4j at {server.uri()} failed while its schema was read or applied: ")
    assert said.stderr.endswith("then restart it ('shopgraph services stop' and 'shopgraph services start')\n")
    assert len(said.stderr.splitlines()) == 1
    server.stop()
    store.write_bytes(content)
    server.start()
    assert count(own) == 0


def test_an_import_that_fails_says_why_on_one_line(own: Settings, tmp_path: Path) -> None:
    server = Neo4jServer(load_settings(home=tmp_path, neo4j_heap_mib=512, neo4j_page_cache_mib=64))
    rows = tmp_path / "rows.csv"
    rows.write_text("p:ID(Mark),size:long\n1,large\n")
    with pytest.raises(ServiceError) as caught:
        server.bulk_import([f"--nodes=Mark={rows}"])
    said = str(caught.value)
    assert len(said.splitlines()) == 1
    assert said.startswith("neo4j-admin database import failed with status ")
    assert "large" in said
    assert str(server.log) in said


def test_memory_is_sized_to_the_machine() -> None:
    assert Memory.of_machine(2 * 2**30) == Memory(heap_mib=512, page_cache_mib=256)
    assert Memory.of_machine(24 * 2**30) == Memory(heap_mib=1536, page_cache_mib=1228)
    assert Memory.of_machine(512 * 2**30) == Memory(heap_mib=4096, page_cache_mib=8192)


def test_jars_that_are_not_the_locked_ones_are_refused(own: Settings, tmp_path: Path) -> None:
    lock = tmp_path / "jgo.lock.toml"
    lock.write_text(
        '[[dependencies]]\ngroupId = "org.neo4j"\nartifactId = "neo4j"\nversion = "2026.08.1"\nsha256 = "bad"\n'
    )
    with pytest.raises(ServiceError, match=r"jars differ from neo4j.lock.toml, the first is "):
        _verify(lock)
    assert installed(tmp_path) is None
    with pytest.raises(ServiceError, match="'shopgraph services install'"):
        Neo4jServer(load_settings(home=tmp_path, cache=tmp_path)).start()
