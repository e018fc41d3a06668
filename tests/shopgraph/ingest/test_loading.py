"""Both ways in give the same graph; a load can be repeated, broken off and resumed; only what is gone is swept."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest

from shopgraph.errors import BusyError, ServiceError
from shopgraph.graph.bulk_import import import_tables
from shopgraph.graph.connection import Graph
from shopgraph.graph.wide_tables import no_beat
from shopgraph.ingest.difference import changed_nodes
from shopgraph.ingest.loading import LoadReport, load_bulk, load_incremental
from shopgraph.ingest.shop_csv import read_shop
from shopgraph.ingest.tables import stacked, table
from shopgraph.lease import Lease, held
from shopgraph.privacy.pseudonym import Pseudonymiser
from shopgraph.records import Feed, SourceInfo
from shopgraph.sample import SAMPLE, write_sample
from shopgraph.schema import BEHAVIOUR, NEVER
from shopgraph.services.neo4j_server import Neo4jServer
from shopgraph.settings import Settings, load_settings
from shopgraph.tracking import RunLog
from shopgraph.wiring_serving import open_graph

NAMES = Pseudonymiser(b"k" * 32)
SHOP = SourceInfo("shop", "A shop", "EUR", "test data")
USER = NAMES.pseudonym("shop", "42")
PRODUCTS = (
    "id,title,brand,category,price,attributes\np1,One,Nike,Shoes > Road,10,size=42\np2,Two,Nike,Shoes,20,size=43\n"
)
BEHAVIOR = "user_id,type,product_id,at,amount\n42,purchase,p1,2024-01-01,10\n42,purchase,p2,2024-01-02,20\n"


def rows(graph: Graph, text: str, **params: Any) -> list[dict[str, Any]]:
    return [record.data() for record in graph.driver.execute_query(f"CYPHER 25 {text}", params).records]


def content(graph: Graph) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Every node and relation a load writes, with all properties but the run."""
    nodes = rows(
        graph,
        "MATCH (n) WHERE NOT n:__Neo4jMigration AND NOT n:Run|Lease "
        "RETURN labels(n) AS labels, n.id AS id, properties(n) AS p",
    )
    relations = rows(
        graph,
        "MATCH (a)-[r]->(b) WHERE NOT a:__Neo4jMigration "
        "RETURN a.id AS start, type(r) AS type, b.id AS end, r.line_id AS line, properties(r) AS p",
    )
    return (
        {(*node["labels"], node["id"]): _without_run(node["p"]) for node in nodes},
        {(r["start"], r["type"], r["end"], r["line"]): _without_run(r["p"]) for r in relations},
    )


def _without_run(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name != "run"}


def shop_feed(folder: Path, products: str = PRODUCTS, behavior: str = BEHAVIOR) -> Feed:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("products.csv", products), ("behavior.csv", behavior)):
        (folder / name).unlink(missing_ok=True)
        if text:
            (folder / name).write_text(text)
    return read_shop(folder, SHOP, NAMES)


@pytest.fixture(scope="module")
def sample_feed(tmp_path_factory: pytest.TempPathFactory) -> Feed:
    folder = tmp_path_factory.mktemp("sample")
    write_sample(folder)
    return read_shop(folder, SAMPLE, NAMES)


@pytest.fixture
def bulk_settings(tmp_path: Path) -> Iterator[Settings]:
    """A home of its own, since a bulk import stops the server and fills its database."""
    settings = load_settings(home=tmp_path / "home", neo4j_heap_mib=512, neo4j_page_cache_mib=128)
    yield settings
    Neo4jServer(settings).stop()


AWKWARD_TITLES = ['say "hi"', "a,b;c", "back\\slash", "two\nlines", "'", "日本語", ""]
STRANGE_EVENTS = """nobody,view,2024-01-01,b001,,,,,
user-001,view,2024-01-01,no-such,,,,,
user-001,purchase,2024-01-01,no-such,1,5,0,,
"""


@pytest.fixture
def awkward_feed(tmp_path: Path) -> Feed:
    """The sample with texts that break naive CSV, values that are missing, and events of nobody and of nothing."""
    write_sample(tmp_path)
    with (tmp_path / "behavior.csv").open("a", encoding="utf-8") as behavior:
        behavior.write(STRANGE_EVENTS)
    feed = read_shop(tmp_path, SAMPLE, NAMES)
    ids = [f"sample:awkward-{number}" for number in range(len(AWKWARD_TITLES))]
    awkward = table("Product", {"id": ids, "title": AWKWARD_TITLES, "price": [None, *range(6)]})
    return replace(feed, nodes={**feed.nodes, "Product": stacked("Product", [feed.nodes["Product"], awkward])})


def test_bulk_and_incremental_give_the_same_graph(graph: Graph, bulk_settings: Settings, awkward_feed: Feed) -> None:
    server = Neo4jServer(bulk_settings)
    bulk = load_bulk(awkward_feed, server, bulk_settings, "bulk-run")
    incremental = load_incremental(graph, awkward_feed, "incremental-run")
    with open_graph(bulk_settings) as imported:
        nodes, relations = content(imported)
        expected_nodes, expected_relations = content(graph)
        assert nodes == expected_nodes
        assert relations == expected_relations
        assert len(nodes) == 235 + len(AWKWARD_TITLES) + 120 + 87 + 59 + 20 + 130 + 24 + 1
        assert len(relations) == awkward_feed.relation_count - 3
        titles = [nodes[("Product", f"sample:awkward-{number}")]["title"] for number in range(len(AWKWARD_TITLES))]
        assert titles == AWKWARD_TITLES
        assert (bulk.nodes, bulk.written) == (incremental.nodes, incremental.written)
        assert bulk.import_seconds is not None
        assert bulk.relations_per_second == pytest.approx(sum(bulk.written.values()) / bulk.import_seconds)
        assert {(r.file, r.field) for r in bulk.rejects} == {
            ("behavior.csv", "user_id"),
            ("behavior.csv", "product_id"),
        }
        assert sorted(map(astuple, bulk.rejects)) == sorted(map(astuple, incremental.rejects))
        assert rows(imported, "MATCH (n:User) RETURN DISTINCT n.run AS run") == [{"run": "bulk-run"}]
        with pytest.raises(ServiceError, match="not empty"):
            load_bulk(awkward_feed, server, bulk_settings, "again")


def test_an_id_twice_or_missing_stops_a_bulk_import_before_the_database_is_touched(
    tmp_path: Path, bulk_settings: Settings
) -> None:
    server = Neo4jServer(bulk_settings)
    twice = pa.table({"id": ["p1", "p1"]})
    with pytest.raises(ServiceError, match="Product has an id twice: nothing was imported"):
        import_tables(server, {"Product": twice}, {}, tmp_path / "import")
    nodes = {"Product": pa.table({"id": ["p1"]}), "Brand": pa.table({"id": ["b1"]})}
    relation = pa.table({"start": ["p1"], "end": ["b2"]})
    with pytest.raises(ServiceError, match="MADE_BY names the Brand 'b2', which is not there: nothing was imported"):
        import_tables(server, nodes, {"MADE_BY": relation}, tmp_path / "import")
    assert not (tmp_path / "import").exists()
    assert not server.home.exists()


def test_a_product_carries_copies_for_filters_and_every_default(graph: Graph, tmp_path: Path) -> None:
    load_incremental(graph, shop_feed(tmp_path), "run-1")
    (found,) = rows(graph, "MATCH (p:Product {id: 'shop:p1'}) RETURN properties(p) AS p")
    product = found["p"]
    assert product.pop("retired_at").to_native() == NEVER
    assert product.pop("first_seen").to_native().isoformat() == "2024-01-01T00:00:00+00:00"
    assert product == {
        "id": "shop:p1", "title": "One", "description": "", "price": 10.0, "image": "", "package_size": "", "stock": 1,
        "hidden": False, "brand_id": "nike", "category_1": "Shoes", "category_2": "Shoes > Road", "category_3": "",
        "variant_of": "", "source": "shop", "run": "run-1",
    }  # fmt: skip


def test_of_a_known_product_only_what_differs_is_written(graph: Graph, tmp_path: Path) -> None:
    load_incremental(graph, shop_feed(tmp_path), "run-1")
    later = PRODUCTS.replace("Two,Nike,Shoes,20", "Two,Nike,Shoes,25") + "p3,Three,,,1,\n"
    told = shop_feed(tmp_path, later, "").nodes["Product"]
    changed = changed_nodes(graph, "Product", told, no_beat).to_pylist()
    said = [{name for name, value in row.items() if value is not None} for row in changed]
    assert [row["id"] for row in changed] == ["shop:p2", "shop:p3"]
    assert said[0] == {"id", "price"}
    assert changed[0]["price"] == 25
    assert {"id", "title", "price"} <= said[1]


def test_a_second_load_adds_nothing(graph: Graph, sample_feed: Feed) -> None:
    load_incremental(graph, sample_feed, "run-1")
    before = content(graph)
    report = load_incremental(graph, sample_feed, "run-2")
    assert content(graph) == before
    assert set(report.written.values()) == {0}
    assert sum(report.present.values()) == sample_feed.relation_count
    assert {kind: report.present[kind] for kind in BEHAVIOUR} == {
        "PURCHASED": 3408, "VIEWED": 9625, "SEARCHED": 957, "RATED": 1011,
    }  # fmt: skip
    assert rows(graph, "MATCH (n:Product|User|Category)-[r]-() RETURN DISTINCT n.run AS n, r.run AS r") == [
        {"n": "run-1", "r": "run-1"}
    ]
    assert (report.retired, sum(report.removed.values())) == (0, 0)


def test_a_load_that_broke_off_is_resumed(graph: Graph, sample_feed: Feed, tmp_path: Path) -> None:
    class BrokenOffError(RuntimeError):
        pass

    def break_off(step: str, done: int, total: int, message: str = "") -> None:
        if step == "VIEWED" and done:
            raise BrokenOffError

    with pytest.raises(BrokenOffError):
        load_incremental(graph, sample_feed, "run-1", break_off)
    assert rows(graph, "MATCH (s:Source) RETURN s.id AS id") == []
    report = load_incremental(graph, sample_feed, "run-2")
    assert report.present["PURCHASED"] == 3408
    resumed = content(graph)
    rows(graph, "MATCH (n) WHERE NOT n:__Neo4jMigration DETACH DELETE n")
    load_incremental(graph, sample_feed, "run-3")
    assert content(graph) == resumed


def test_only_what_differs_is_written(graph: Graph, tmp_path: Path) -> None:
    load_incremental(graph, shop_feed(tmp_path), "run-1")
    dearer = PRODUCTS.replace("Two,Nike,Shoes,20,size=43", "Two,Puma,Shoes,21,size=43") + "p3,Three,Nike,Shoes,30,\n"
    report = load_incremental(graph, shop_feed(tmp_path, dearer, ""), "run-2")
    stamped = rows(graph, "MATCH (p:Product) RETURN p.id AS id, p.run AS run, p.price AS price ORDER BY id")
    assert [tuple(product.values()) for product in stamped] == [
        ("shop:p1", "run-1", 10.0), ("shop:p2", "run-2", 21.0), ("shop:p3", "run-2", 30.0),
    ]  # fmt: skip
    assert (report.written["MADE_BY"], report.present["MADE_BY"], report.removed["MADE_BY"]) == (2, 1, 1)
    brands = rows(
        graph, "MATCH (p:Product)-[r:MADE_BY]->(b) RETURN p.id AS id, b.id AS brand, r.run AS run ORDER BY id"
    )
    assert [tuple(brand.values()) for brand in brands] == [
        ("shop:p1", "nike", "run-1"), ("shop:p2", "puma", "run-2"), ("shop:p3", "nike", "run-2"),
    ]  # fmt: skip


def test_what_a_whole_catalogue_no_longer_names_is_retired_and_comes_back(graph: Graph, tmp_path: Path) -> None:
    load_incremental(graph, shop_feed(tmp_path), "run-1")
    gone = "id,title,brand,category,price,attributes\np1,One,Puma,Shoes > Trail,11,size=42\n"
    report = load_incremental(graph, shop_feed(tmp_path, gone, ""), "run-2")
    assert (report.swept, report.retired, report.removed["MADE_BY"], report.removed["IN_CATEGORY"]) == (True, 1, 2, 2)
    (one,) = rows(
        graph, "MATCH (p:Product {id: 'shop:p1'}) RETURN p.price AS price, p.brand_id AS brand, p.category_2 AS c"
    )
    assert one == {"price": 11.0, "brand": "puma", "c": "Shoes > Trail"}
    (two,) = rows(
        graph, "MATCH (:User)-[r:PURCHASED]->(p:Product {id: 'shop:p2'}) RETURN p.retired_at AS at, count(r) AS lines"
    )
    assert (two["at"].to_native() < NEVER, two["lines"]) == (True, 1)
    report = load_incremental(graph, shop_feed(tmp_path), "run-3")
    assert report.retired == 0
    (two,) = rows(graph, "MATCH (p:Product {id: 'shop:p2'})-[:MADE_BY]->(b) RETURN p.retired_at AS at, b.id AS brand")
    assert (two["at"].to_native(), two["brand"]) == (NEVER, "nike")


def test_another_source_a_partial_feed_and_behaviour_alone_sweep_nothing(graph: Graph, tmp_path: Path) -> None:
    load_incremental(graph, shop_feed(tmp_path), "run-1")
    only_one = shop_feed(tmp_path, "id,title\np1,One\n", "")
    other = read_shop(tmp_path, replace(SHOP, name="other"), NAMES)
    for feed in (
        other,
        replace(only_one, partial=True),
        replace(only_one, source=replace(SHOP, full_catalogue=False)),
        shop_feed(tmp_path, "", BEHAVIOR),
    ):
        report = load_incremental(graph, feed, "run-2")
        assert (report.retired, sum(report.removed.values())) == (0, 0)
    (found,) = rows(
        graph, "MATCH (p:Product {id: 'shop:p2'})-[:MADE_BY]->(b:Brand) RETURN p.retired_at AS at, b.id AS brand"
    )
    assert (found["at"].to_native(), found["brand"]) == (NEVER, "nike")


def test_a_source_is_loaded_by_one_at_a_time(graph: Graph, tmp_path: Path) -> None:
    ended = threading.Event()

    def renew(lease: Lease) -> None:
        while not ended.wait(0.1):
            lease.keep()

    with held(graph, "load of shop") as lease:
        other = threading.Thread(target=renew, args=(lease,))
        other.start()
        try:
            with pytest.raises(BusyError, match="another load of shop is running"):
                load_incremental(graph, shop_feed(tmp_path), "run-1")
        finally:
            ended.set()
            other.join()
    assert rows(graph, "MATCH (p:Product) RETURN p.id AS id") == []
    load_incremental(graph, shop_feed(tmp_path), "run-2")


def test_what_a_curator_has_set_stays(graph: Graph, tmp_path: Path) -> None:
    load_incremental(graph, shop_feed(tmp_path), "run-1")
    rows(
        graph,
        "MATCH (p:Product {id: 'shop:p1'})-[r:MADE_BY]->() DELETE r "
        "SET p.title = 'A better title', p.hidden = true, p.brand_id = 'own', "
        "p.curated = ['title', 'brand_id', 'MADE_BY'] "
        "MERGE (b:Brand {id: 'own', name: 'Own'}) CREATE (p)-[:MADE_BY {source: 'curator', run: 'edit-1'}]->(b)",
    )
    load_incremental(graph, shop_feed(tmp_path, PRODUCTS.replace(",10,", ",12,")), "run-2")
    (found,) = rows(
        graph,
        "MATCH (p:Product {id: 'shop:p1'})-[:MADE_BY]->(b) "
        "RETURN p.title AS title, p.hidden AS hidden, p.price AS price, p.brand_id AS brand, collect(b.id) AS brands",
    )
    assert found == {"title": "A better title", "hidden": True, "price": 12.0, "brand": "own", "brands": ["own"]}


def test_events_of_unknown_products_and_users_are_refused_by_file_and_line(graph: Graph, tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("id\n42\n")
    strange = "42,purchase,p9,2024-01-03,5\n43,view,p1,2024-01-03,\n42,view,p8,2024-01-03,\n42,view,p1,2024-01-04,\n"
    feed = shop_feed(tmp_path, behavior=BEHAVIOR + strange)
    report = load_incremental(graph, feed, "run-1")
    assert {(r.file, r.row, r.field, r.value) for r in report.rejects} == {
        ("behavior.csv", 4, "product_id", "shop:p9"),
        ("behavior.csv", 5, "user_id", NAMES.pseudonym("shop", "43")),
        ("behavior.csv", 6, "product_id", "shop:p8"),
    }
    assert (report.written["PURCHASED"], report.written["VIEWED"]) == (2, 1)
    assert rows(graph, "MATCH (u:User) RETURN count(u) AS users") == [{"users": 1}]


def test_the_newest_event_never_goes_back(graph: Graph, tmp_path: Path) -> None:
    load_incremental(graph, shop_feed(tmp_path), "run-1")
    older = "user_id,type,product_id,at,amount\n42,purchase,p1,2023-06-01,10\n"
    load_incremental(graph, shop_feed(tmp_path, PRODUCTS, older), "run-2")
    (found,) = rows(graph, "MATCH (s:Source {id: 'shop'}) RETURN s.newest_event_at AS at, s.currency AS currency")
    assert (found["at"].to_native().isoformat(), found["currency"]) == ("2024-01-02T00:00:00+00:00", "EUR")
    (found,) = rows(graph, "MATCH (p:Product {id: 'shop:p1'}) RETURN p.first_seen AS at")
    assert found["at"].to_native().isoformat() == "2023-06-01T00:00:00+00:00"


KILLED = """
import sys
from pathlib import Path
from shopgraph.ingest.loading import load_bulk
from shopgraph.ingest.shop_csv import read_shop
from shopgraph.privacy.pseudonym import Pseudonymiser
from shopgraph.sample import SAMPLE, write_sample
from shopgraph.services.neo4j_server import Neo4jServer
from shopgraph.settings import load_settings
settings = load_settings(home=Path(sys.argv[1]), neo4j_heap_mib=512, neo4j_page_cache_mib=128)
write_sample(settings.home / "sample")
feed = read_shop(settings.home / "sample", SAMPLE, Pseudonymiser(b"k" * 32))
load_bulk(feed, Neo4jServer(settings), settings, "killed")
"""


def test_a_killed_import_leaves_nothing_and_the_next_one_works(bulk_settings: Settings, sample_feed: Feed) -> None:
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(bulk_settings.home)])
    mark = bulk_settings.home / "neo4j" / "import-in-progress"
    deadline = time.monotonic() + 60
    while not mark.exists():
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1)
    family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
    for process in family:
        process.send_signal(signal.SIGKILL)
    child.wait()
    assert mark.exists()
    server = Neo4jServer(bulk_settings)
    report: LoadReport = load_bulk(sample_feed, server, bulk_settings, "next")
    with open_graph(bulk_settings) as graph:
        assert len(content(graph)[1]) == sum(report.written.values()) == sample_feed.relation_count
    assert not (bulk_settings.home / "bulk-import").exists()


def test_a_server_killed_in_mid_load_is_one_line_and_the_next_load_goes_on(tmp_path: Path, sample_feed: Feed) -> None:
    own = load_settings(home=tmp_path / "home", neo4j_heap_mib=512, neo4j_page_cache_mib=128, neo4j_timeout_seconds=6)
    server = Neo4jServer(own)
    server.start()

    def kill(step: str, done: int, total: int, message: str = "") -> None:
        if step == "VIEWED" and server.state() is not None:
            psutil.Process(server.state().pid).kill()

    try:
        runs = RunLog(graph := open_graph(own))
        with pytest.raises(ServiceError) as caught, runs.recorded("ingest") as (run_id, _):
            load_incremental(graph, sample_feed, run_id, kill)
        graph.close()
        assert str(caught.value).startswith("Neo4j at bolt://127.0.0.1:")
        assert "stopped answering during load_viewed: " in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
        server.start()
        with open_graph(own) as graph:
            report = load_incremental(graph, sample_feed, "next")
            assert (report.present["PURCHASED"], report.written["VIEWED"]) == (3_408, 9_625)
            assert len(content(graph)[1]) == sample_feed.relation_count
    finally:
        server.stop()


def test_order_batches_keep_every_line_and_its_order(sample_feed: Feed, monkeypatch: pytest.MonkeyPatch) -> None:
    from shopgraph.ingest import batches

    monkeypatch.setattr(batches, "LINES_A_BATCH", 7)
    purchases = sample_feed.relations["PURCHASED"]
    seen = [
        (user, product, line, at, quantity, amount, discount, order)
        for batch in batches.order_batches(purchases)
        for user, at, order, lines in batch
        for line, product, quantity, amount, discount in lines
    ]
    expected = purchases.set_column(3, "at", purchases["at"].cast(pa.int64()))
    assert sorted(seen) == sorted(tuple(row.values()) for row in expected.to_pylist())
