"""A snapshot says what the graph says before a moment: not how it was loaded, not what was learned from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from shopgraph.dataset import graph_reading
from shopgraph.dataset.snapshot import assemble, export_snapshot, open_snapshot, write_snapshot
from shopgraph.dataset.split import Holdout, split
from shopgraph.errors import InputError
from shopgraph.graph import wide_tables
from shopgraph.graph.connection import Graph
from shopgraph.records import NODE_TABLES

START = datetime(2026, 3, 2, tzinfo=UTC)
END = START + timedelta(days=30)
PURCHASES = [
    {"user": "u_b", "product": "p2", "day": 1, "order": "o-2"},
    {"user": "u_a", "product": "p1", "day": 2, "order": "o-1"},
    {"user": "u_a", "product": "p2", "day": 2, "order": "o-1"},
    {"user": "u_a", "product": "p1", "day": 20, "order": "o-3"},
]
NODES = """CYPHER 25
UNWIND $ids AS id
CALL (id) {
  WHEN id STARTS WITH 'p' THEN {
    CREATE (:Product {id: id, title: 'title of ' + id, price: 2.5, source: $stamp, run: $stamp})
  }
  WHEN id STARTS WITH 'u' THEN { CREATE (:User {id: id, source: $stamp, run: $stamp}) }
  ELSE { CREATE (:Brand {id: id, name: id}) }
}"""
LINES = """CYPHER 25
UNWIND $lines AS line
MATCH (u:User {id: line.user})
MATCH (p:Product {id: line.product})
CREATE (u)-[:PURCHASED {line_id: line.order + line.product + $stamp, at: $start + duration({days: line.day}),
  quantity: 2, amount: 5.0, order_id: line.order, run: $stamp}]->(p)"""
MADE_BY = "CYPHER 25 MATCH (p:Product {id: 'p1'}) MATCH (b:Brand) CREATE (p)-[:MADE_BY {run: $stamp}]->(b)"


def run(graph: Graph, text: str, **params: object) -> None:
    graph.driver.execute_query(text, params, database_=graph.database)


def load(graph: Graph, *, turned: bool = False) -> None:
    step = -1 if turned else 1
    stamp = "second" if turned else "first"
    run(graph, NODES, ids=["p1", "p2", "p3", "u_a", "u_b", "u_c", "acme"][::step], stamp=stamp)
    run(graph, LINES, lines=PURCHASES[::step], start=START, stamp=stamp)
    run(graph, MADE_BY, stamp=stamp)


def empty(graph: Graph) -> None:
    run(graph, "CYPHER 25 MATCH (n) WHERE NOT n:__Neo4jMigration DETACH DELETE n")


def test_rows_are_sorted_numbered_and_complete(graph: Graph, tmp_path: Path) -> None:
    load(graph)
    snapshot = export_snapshot(graph, END, tmp_path)
    purchased = snapshot.relations["PURCHASED"]
    assert snapshot.ids("Product") == ["p1", "p2", "p3"]
    assert snapshot.ids("User") == ["u_a", "u_b", "u_c"], "nodes without relations stay in"
    assert list(zip(*(purchased[name].to_pylist() for name in ("start", "end", "order")), strict=True)) == [
        (0, 0, 0),
        (0, 0, 2),
        (0, 1, 0),
        (1, 1, 1),
    ]
    assert purchased["quantity"].to_pylist() == [2] * 4
    assert purchased["discount"].to_pylist() == [None] * 4, "what no source states is null"
    assert snapshot.relations["MADE_BY"].to_pydict() == {"start": [0], "end": [0]}
    assert snapshot.nodes["Product"]["price"].to_pylist() == [2.5] * 3


def test_the_order_of_loading_changes_nothing(graph: Graph, tmp_path: Path) -> None:
    load(graph)
    first = export_snapshot(graph, END, tmp_path)
    empty(graph)
    load(graph, turned=True)
    second = export_snapshot(graph, END, tmp_path)
    assert second.id == first.id
    assert [entry.name for entry in tmp_path.iterdir()] == [first.id], "the folder is reused, no draft is left"


def test_the_size_of_a_page_changes_nothing(graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(graph)
    whole = export_snapshot(graph, END, tmp_path)
    monkeypatch.setattr(wide_tables, "NODES_A_RECORD", 2)
    monkeypatch.setattr(wide_tables, "USERS_A_RECORD", 1)
    monkeypatch.setattr(graph_reading, "USERS_A_RECORD", 1)
    paged = export_snapshot(graph, END, tmp_path / "paged")
    assert paged.id == whole.id
    assert paged.nodes == whole.nodes
    assert paged.relations == whole.relations


def test_stamps_learned_and_derived_properties_have_no_say(graph: Graph, tmp_path: Path) -> None:
    load(graph)
    before = export_snapshot(graph, END, tmp_path).id
    run(
        graph,
        "CYPHER 25 MATCH (p:Product) SET p.graph_blue = [1.0, 0.0], p.graph_blue_top = ['p1'], p.popularity = 7, "
        "p.run = 'other', p.updated_at = datetime(), p.first_seen = datetime()",
    )
    run(graph, "CYPHER 25 MATCH (a:Product {id: 'p1'}) MATCH (b:Product {id: 'p2'}) CREATE (a)-[:BOUGHT_WITH]->(b)")
    assert export_snapshot(graph, END, tmp_path).id == before
    run(graph, "CYPHER 25 MATCH (p:Product {id: 'p1'}) SET p.price = 3.0")
    assert export_snapshot(graph, END, tmp_path).id != before


def test_nothing_from_the_moment_on_is_seen(graph: Graph, tmp_path: Path) -> None:
    load(graph)
    moment = START + timedelta(days=20)
    cut = export_snapshot(graph, moment, tmp_path)
    assert cut.relations["PURCHASED"].num_rows == 3
    assert max(cut.relations["PURCHASED"]["at"].to_pylist()) < moment


def test_a_split_gives_the_snapshot_an_export_would_have_given(graph: Graph, tmp_path: Path) -> None:
    load(graph)
    moment = START + timedelta(days=20)
    earlier, holdout = split(export_snapshot(graph, END, tmp_path), moment)
    assert earlier.id == export_snapshot(graph, moment, tmp_path).id
    assert holdout.purchases.to_pylist() == [{"user": "u_a", "product": "p1", "at": moment}]
    holdout.write(tmp_path / "holdout.parquet")
    assert Holdout.read(tmp_path / "holdout.parquet").purchases.equals(holdout.purchases)
    with pytest.raises(InputError, match="no purchases from"):
        split(earlier, END)


def test_a_kept_snapshot_opens_as_it_was_and_a_broken_one_is_named(graph: Graph, tmp_path: Path) -> None:
    load(graph)
    kept = export_snapshot(graph, END, tmp_path)
    opened = open_snapshot(tmp_path, kept.id)
    assert opened.before == END
    assert opened.path == kept.path
    assert all(opened.relations[name].equals(table) for name, table in kept.relations.items())
    (tmp_path / kept.id / "PURCHASED.parquet").write_bytes(b"half")
    with pytest.raises(InputError, match="damaged"):
        open_snapshot(tmp_path, kept.id)
    with pytest.raises(InputError, match="no snapshot 'other'"):
        open_snapshot(tmp_path, "other")


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    products = pa.Table.from_pylist([{"id": "p1"}], schema=NODE_TABLES["Product"])
    snapshot = assemble({"Product": products}, {}, END)

    def full(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("shopgraph.dataset.snapshot.pq.write_table", full)
    with pytest.raises(OSError, match="disk full"):
        write_snapshot(snapshot, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_empty_graph_and_a_time_without_zone_are_refused(graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no products"):
        export_snapshot(graph, END, tmp_path)
    with pytest.raises(InputError, match="needs a zone"):
        export_snapshot(graph, END.replace(tzinfo=None), tmp_path)
