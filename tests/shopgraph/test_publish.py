"""Releases: the flip is whole, a failed publish changes nothing, any release can come back, one publish at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shopgraph.dataset.snapshot import Snapshot, assemble, write_snapshot
from shopgraph.errors import BusyError, InputError, PublishError
from shopgraph.graph.connection import Graph
from shopgraph.lease import held
from shopgraph.nearest import nearest
from shopgraph.publish import Release, publish_release, releases, rollback, serving
from shopgraph.recommend.clock import Clock
from shopgraph.recommend.query import QueryVectors
from shopgraph.recommend.recommender import Recommender
from shopgraph.records import NODE_TABLES, RELATION_TABLES
from shopgraph.registry import Registry, Vectors
from shopgraph.schema import FAMILIES, SLOTS
from shopgraph.services.neo4j_server import Neo4jServer
from shopgraph.settings import Settings
from shopgraph.slot import index_parts

NOW = datetime(2024, 6, 3, tzinfo=UTC)
PRODUCTS = [f"p:{i:03}" for i in range(300)]
USERS = ["u_1", "u_2", "u_3"]
OWNED = PRODUCTS[:40]

PLANT = """
CYPHER 25
UNWIND $products AS id
CREATE (p:Product {id: id, title: id, hidden: false, stock: 1, retired_at: datetime('9999-12-31'), brand_id: 'b',
                   category_1: 'A', category_2: CASE WHEN id < 'p:100' THEN 'A > X' ELSE '' END, category_3: ''})
WITH count(*) AS planted
UNWIND $users AS user
CREATE (u:User {id: user})
WITH u
MATCH (p:Product) WHERE p.id IN $owned
CREATE (u)-[:PURCHASED {line_id: u.id + p.id, order_id: u.id, at: datetime('2024-06-01T00:00:00Z')}]->(p)
"""


def unit(rows: int, dimension: int, seed: int) -> np.ndarray:
    matrix = np.random.default_rng(seed).standard_normal((rows, dimension)).astype(np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


class Shop:
    """A planted shop and a way to save versions of vectors for it."""

    def __init__(self, graph: Graph, folder: Path) -> None:
        self.graph = graph
        self.registry = Registry(folder)
        bought = [
            {"start": user, "end": product, "line_id": user + product, "order_id": user, "quantity": 1, "amount": 1.0,
             "discount": 0.0, "at": datetime(2024, 6, 1, tzinfo=UTC)}
            for user in USERS for product in OWNED
        ]  # fmt: skip
        nodes = {"Product": PRODUCTS, "User": USERS}
        self.snapshot: Snapshot = assemble(
            {label: pa.Table.from_pylist([{"id": i} for i in ids], NODE_TABLES[label]) for label, ids in nodes.items()},
            {"PURCHASED": pa.Table.from_pylist(bought, RELATION_TABLES["PURCHASED"])},
            NOW,
        )

    def version(self, family: str, seed: int, **replaced: Vectors) -> str:
        dimension = FAMILIES[family].dimension
        ids = {"Product": PRODUCTS, "User": USERS}
        vectors = {
            label: Vectors(ids[label], unit(len(ids[label]), dimension, seed)) for label in FAMILIES[family].labels
        }
        return self.registry.save(family, self.snapshot.id, {**vectors, **replaced}, {"seed": seed}, {"loss": 0.5}).id

    def publish(self, **versions: str) -> Release:
        return publish_release(self.graph, self.registry, versions, self.snapshot)

    def serves(self, family: str) -> list[str]:
        """The list of a product as the serving release has it."""
        slot = serving(self.graph).families[family].slot
        (record,) = self.graph.driver.execute_query(
            "CYPHER 25 MATCH (p:Product {id: 'p:000'}) RETURN p[$key] AS list",
            key=FAMILIES[family].list_property(slot), database_=self.graph.database,
        ).records  # fmt: skip
        return record["list"].split("\n")


@pytest.fixture
def shop(graph: Graph, tmp_path: Path) -> Shop:
    graph.driver.execute_query(PLANT, products=PRODUCTS, users=USERS, owned=OWNED, database_=graph.database)
    return Shop(graph, tmp_path / "models")


def expected(seed: int, dimension: int = FAMILIES["graph"].dimension) -> list[str]:
    matrix = unit(len(PRODUCTS), dimension, seed)
    scores = matrix @ matrix[0]
    scores[0] = -np.inf
    return [PRODUCTS[row] for row in np.argsort(-scores, kind="stable")[:100]]


def test_a_release_switches_slots_and_serves_the_new_lists(shop: Shop) -> None:
    first = shop.publish(graph=shop.version("graph", 1), text=shop.version("text", 2))
    assert {family: served.slot for family, served in first.families.items()} == {"graph": "blue", "text": "blue"}
    assert first.checks["graph"]["products"] == 300
    assert (shop.serves("graph"), shop.serves("text")) == (expected(1), expected(2, 128))
    second = shop.publish(graph=shop.version("graph", 3))
    assert {family: served.slot for family, served in second.families.items()} == {"graph": "green", "text": "blue"}
    assert second.families["text"] == first.families["text"]
    assert shop.serves("graph") == expected(3)
    assert [(release.id, release.active) for release in releases(shop.graph)] == [(second.id, True), (first.id, False)]


def test_a_users_lists_are_exact_and_the_novel_one_leaves_out_what_is_owned(shop: Shop) -> None:
    shop.publish(graph=shop.version("graph", 1))
    width = FAMILIES["graph"].dimension
    users, products = unit(len(USERS), width, 1), unit(len(PRODUCTS), width, 1)
    best = [PRODUCTS[row] for row in np.argsort(-(products @ users[0]), kind="stable")]
    (record,) = shop.graph.driver.execute_query(
        "CYPHER 25 MATCH (u:User {id: 'u_1'}) RETURN u.graph_blue_top AS every, u.graph_blue_new AS new",
        database_=shop.graph.database,
    ).records
    assert record["every"].split("\n") == best[:100]
    assert record["new"].split("\n") == [product for product in best if product not in OWNED][:100]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_index_answers_what_the_exact_lists_say(shop: Shop, family: str) -> None:
    shop.publish(**{family: shop.version(family, 5)})
    matrix = unit(len(PRODUCTS), FAMILIES[family].dimension, 5)
    exact = nearest(matrix[:20], matrix, 20)
    for row in range(20):
        found = shop.graph.wide(f"searched_{family}_blue", vector=matrix[row].tolist(), limit=20)
        assert found["ids"] == [PRODUCTS[other] for other in exact[row]]


def spoiled(change: Any, ids: list[str] = PRODUCTS, dimension: int = FAMILIES["graph"].dimension) -> Vectors:
    matrix = unit(len(ids), dimension, 9)
    if change is not None:
        matrix[7] = change
    return Vectors(ids, matrix)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (spoiled(np.nan), "vector of Product p:007 is not finite"),
        (spoiled(0), "vector of Product p:007 is zero"),
        (spoiled(0.5), "vector of Product p:007 is not of unit length"),
        (spoiled(None, dimension=32), r"have shape \(300, 32\), expected \(300, 192\)"),
        (spoiled(None, [*PRODUCTS[:-1], "p:stranger"]), "vector for Product p:stranger, which snapshot"),
        (spoiled(None, PRODUCTS[:-1]), "vectors for 299 of the snapshot's 300 products"),
        (spoiled(None, [*PRODUCTS[:-1], PRODUCTS[0]]), "name an id twice"),
    ],
)
def test_a_bad_version_is_refused_and_changes_nothing(shop: Shop, wrong: Vectors, says: str) -> None:
    before = shop.publish(graph=shop.version("graph", 1))
    with pytest.raises(PublishError, match=says):
        shop.publish(graph=shop.version("graph", 9, Product=wrong))
    assert serving(shop.graph) == before_without_checks(before)
    assert shop.serves("graph") == expected(1)


def before_without_checks(release: Release) -> Release:
    return Release(release.id, release.active, release.created_at, release.families, release.restores)


def test_a_version_of_another_snapshot_or_family_is_refused(shop: Shop) -> None:
    foreign = shop.registry.save("graph", "snapshot-other", {}, {}, {}).id
    with pytest.raises(PublishError, match="was trained on snapshot snapshot-other, not on"):
        shop.publish(graph=foreign)
    with pytest.raises(PublishError, match="is a version of 'graph', not of 'text'"):
        shop.publish(text=shop.version("graph", 1))
    assert serving(shop.graph) is None


def test_a_graph_that_lost_most_of_the_products_is_taken_for_another_one(shop: Shop) -> None:
    shop.graph.driver.execute_query(
        "CYPHER 25 MATCH (p:Product) WHERE p.id >= 'p:250' DETACH DELETE p", database_=shop.graph.database
    )
    with pytest.raises(PublishError, match=r"50 of 300 Product nodes of .* are not in the graph"):
        shop.publish(graph=shop.version("graph", 1))


def test_products_that_left_are_skipped_and_newer_ones_are_encoded(shop: Shop) -> None:
    shop.graph.driver.execute_query(
        "CYPHER 25 MATCH (gone:Product {id: 'p:299'}) DETACH DELETE gone "
        "CREATE (:Product {id: 'p:new', brand_id: 'b', category_2: 'A > X'})",
        database_=shop.graph.database,
    )
    asked = []

    def encode(ids: list[str]) -> np.ndarray:
        asked.extend(ids)
        return unit(len(PRODUCTS), 128, 2)[:1]

    versions = {"text": shop.version("text", 2)}
    release = publish_release(shop.graph, shop.registry, versions, shop.snapshot, encode={"text": encode})
    assert asked == ["p:new"]
    assert release.checks["text"]["products"] == 300
    assert shop.serves("text")[0] == "p:new"
    assert "p:299" not in shop.serves("text")


def test_what_an_older_version_left_in_the_slot_is_cleared(shop: Shop) -> None:
    shop.graph.driver.execute_query(
        "CYPHER 25 CREATE (:User {id: 'u_left', graph_blue: [1.0], graph_blue_top: 'p:1'})",
        database_=shop.graph.database,
    )
    shop.publish(graph=shop.version("graph", 1))
    (record,) = shop.graph.driver.execute_query(
        "CYPHER 25 MATCH (u:User {id: 'u_left'}) RETURN u.graph_blue AS vector, u.graph_blue_top AS list",
        database_=shop.graph.database,
    ).records
    assert (record["vector"], record["list"]) == (None, None)


def test_any_release_comes_back_from_its_files(shop: Shop) -> None:
    made = [shop.publish(graph=shop.version("graph", seed), text=shop.version("text", seed)) for seed in (1, 2, 3)]
    back = rollback(shop.graph, shop.registry, made[0].id)
    assert back.restores == made[0].id
    assert {f: s.version for f, s in back.families.items()} == {f: s.version for f, s in made[0].families.items()}
    assert (shop.serves("graph"), shop.serves("text")) == (expected(1), expected(1, 128))
    # the spare slot still holds the third: nothing has to be written
    started = time.monotonic()
    again = rollback(shop.graph, shop.registry, made[2].id)
    assert shop.serves("graph") == expected(3)
    assert again.families["graph"].slot != back.families["graph"].slot
    assert time.monotonic() - started < 5
    with pytest.raises(InputError, match="no release 'release-none'"):
        rollback(shop.graph, shop.registry, "release-none")


def test_publishing_what_serves_is_no_new_release(shop: Shop) -> None:
    version = shop.version("graph", 1)
    first = shop.publish(graph=version)
    assert shop.publish(graph=version).id == first.id
    assert len(releases(shop.graph)) == 1


def test_readers_get_whole_answers_of_one_release_all_through_a_publish(shop: Shop) -> None:
    shop.publish(graph=shop.version("graph", 1), text=shop.version("text", 1))
    recommender = Recommender(shop.graph, Clock(shop.graph, "wall"), QueryVectors(shop.registry.folder))
    seen, done = [], threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(recommender.recommend("u_1", n=20, exclude_owned=True))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        last = shop.publish(graph=shop.version("graph", 2), text=shop.version("text", 2))
        deadline = time.monotonic() + 30
        while not (seen and seen[-1].release == last.id) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        done.set()
        reader.join()
    assert {len(answer.items) for answer in seen} == {20}
    assert [answer.release for answer in seen] == sorted(answer.release for answer in seen)
    assert seen[-1].release == last.id
    assert len({answer.release for answer in seen}) == 2


def test_a_second_publish_is_refused_while_the_first_one_lives(shop: Shop) -> None:
    done = threading.Event()

    def hold() -> None:
        with held(shop.graph, "publish") as lease:
            while not done.wait(0.1):
                lease.keep()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        time.sleep(0.3)
        with pytest.raises(BusyError, match=rf"another publish is running \(.*process {os.getpid()}\)"):
            shop.publish(graph=shop.version("graph", 1))
    finally:
        done.set()
        holder.join()
    assert shop.publish(graph=shop.version("graph", 1)).active


def test_a_publish_that_slept_through_its_lease_can_not_write_over_the_next(shop: Shop) -> None:
    asleep, wake, failures = threading.Event(), threading.Event(), []

    def sleeper(step: str, done: int, total: int, message: str = "") -> None:
        if "written" in step and not asleep.is_set():
            asleep.set()
            wake.wait(30)

    def late() -> None:
        versions = {"graph": shop.version("graph", 1)}
        try:
            publish_release(shop.graph, shop.registry, versions, shop.snapshot, sleeper, lease_seconds=1)
        except BusyError as error:
            failures.append(str(error))

    first = threading.Thread(target=late)
    first.start()
    assert asleep.wait(30)
    second = shop.publish(graph=shop.version("graph", 2))
    wake.set()
    first.join()
    assert len(failures) == 1
    assert "another one has taken over" in failures[0]
    assert serving(shop.graph).id == second.id
    assert shop.serves("graph") == expected(2)


KILLED = """
import os, signal, sys
from pathlib import Path
from shopgraph.dataset.snapshot import open_snapshot
from shopgraph.publish import publish_release
from shopgraph.registry import Registry
from shopgraph.settings import load_settings
from shopgraph.wiring_serving import open_graph

def die(step, done, total, message=""):
    if sys.argv[4] in step:
        os.kill(os.getpid(), signal.SIGKILL)

folder = Path(sys.argv[1])
publish_release(open_graph(load_settings()), Registry(folder / "models"), {"graph": sys.argv[3]},
                open_snapshot(folder, sys.argv[2]), die, lease_seconds=2)
"""


@pytest.mark.parametrize("step", ["Product written", "index"])
def test_a_killed_publish_changes_nothing_and_the_next_one_works(
    shop: Shop, settings: Settings, neo4j_server: Neo4jServer, tmp_path: Path, step: str
) -> None:
    first = shop.publish(graph=shop.version("graph", 1))
    snapshot = write_snapshot(shop.snapshot, tmp_path)
    environment = {
        **os.environ,
        "SHOPGRAPH_NEO4J_URI": neo4j_server.uri(),
        "SHOPGRAPH_NEO4J_PASSWORD": neo4j_server.password(),
    }
    arguments = [str(tmp_path), snapshot.id, shop.version("graph", 2), step]
    child = subprocess.run([sys.executable, "-c", KILLED, *arguments], env=environment, check=False)
    assert child.returncode == -signal.SIGKILL
    assert serving(shop.graph).id == first.id
    assert shop.serves("graph") == expected(1)
    assert shop.publish(graph=arguments[2]).families["graph"].slot == "green"
    assert shop.serves("graph") == expected(2)


def test_the_query_files_cover_every_family_and_slot_of_the_schema(shared_graph: Graph) -> None:
    for family in FAMILIES.values():
        for slot in SLOTS:
            text = shared_graph.queries[f"index_{family.name}_{slot}"].text
            assert f"INDEX {family.index_name(slot)} IF NOT EXISTS FOR (n:{family.indexed})" in text
            assert f"ON n.{family.vector_property(slot)}" in text
            assert f"`vector.dimensions`: {family.dimension}," in text
            for name in ("searched", "counted"):
                query = shared_graph.queries[f"{name}_{family.name}_{slot}"]
                assert f"VECTOR INDEX {family.index_name(slot)} FOR" in query.text


def test_an_index_is_counted_in_parts_no_larger_than_it_can_answer() -> None:
    counts = [["a", "x", 6], ["a", "y", 4], ["a", "z", 1], ["b", "x", 3], ["c", "x", 25]]
    assert index_parts(counts, most=10) == [
        {"category": "a", "first": "x", "last": "y", "count": 10},
        {"category": "a", "first": "z", "last": "z", "count": 1},
        {"category": "b", "first": "x", "last": "x", "count": 3},
        {"category": "c", "first": "x", "last": "x", "count": 10},
    ]
