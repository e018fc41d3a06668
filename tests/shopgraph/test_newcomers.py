"""A product a second old and a user of three purchases get vectors of the release that serves, without training."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from shopgraph.embed.inductive import encode_newcomers
from shopgraph.errors import InputError
from shopgraph.graph.connection import Graph
from shopgraph.ingest.loading import load_incremental
from shopgraph.newcomers import find_newcomers, write_newcomers
from shopgraph.publish import Release, rollback, serving
from shopgraph.recommend.clock import Clock
from shopgraph.recommend.query import QueryVectors
from shopgraph.recommend.recommender import Recommender
from shopgraph.records import NODE_TABLES, RELATION_TABLES, Feed, SourceInfo
from shopgraph.registry import Registry, Vectors
from shopgraph.schema import FAMILIES
from shopgraph.settings import Settings, utc_now
from shopgraph.tracking import RunLog
from shopgraph.wiring_readers import encoding_of
from shopgraph.wiring_training import Encoded, Training

TASTES = ("books", "shoes")
USERS, PRODUCTS = 24, 24
CONFIG = {"cuts": {"count": 3, "spacing_weeks": 3, "supervision_weeks": 3}, "loop": {"epochs": 30}}
SOURCE = SourceInfo("s", "Planted shop", "EUR", "made for tests")


class Shop:
    """Even users buy books, odd ones shoes; what is added is loaded like any feed."""

    def __init__(self, graph: Graph, settings: Settings) -> None:
        self.graph = graph
        self.training = Training(settings, graph, RunLog(graph), Registry(settings.models))
        self.recommender = Recommender(graph, Clock(graph, "wall"), QueryVectors(settings.models))
        self.end = utc_now() - timedelta(days=1)
        self.brands = {f"s:p{number:02}": TASTES[number % 2] for number in range(PRODUCTS)}
        self.bought: list[tuple[str, str, datetime]] = []
        random = np.random.default_rng(3)
        for user in range(USERS):
            mine = random.permutation(np.arange(user % 2, PRODUCTS, 2))[:7]
            self.bought += [
                (f"u_{user:02}", f"s:p{number:02}", self.end - timedelta(days=14 * turn, hours=user))
                for turn, number in enumerate(mine)
            ]
        self.load()
        self.snapshot_id = self.training.export(utc_now())

    def tables(self) -> tuple[dict[str, list[dict]], dict[str, list[dict]]]:
        """Rows by label and by relation type."""
        nodes = {
            "Product": [
                {"id": product, "title": product, "price": 3.0, "brand_id": brand or ""}
                for product, brand in self.brands.items()
            ],
            "User": [{"id": user} for user in sorted({user for user, *_ in self.bought})],
            "Brand": [{"id": brand, "name": brand} for brand in sorted({*TASTES, *filter(None, self.brands.values())})],
        }
        relations = {
            "PURCHASED": [
                {"start": user, "end": product, "at": at, "line_id": f"{user}{product}{at}", "order_id": f"{user}{at}",
                 "quantity": 1, "amount": 3.0, "discount": 0.0}
                for user, product, at in self.bought
            ],
            "MADE_BY": [{"start": product, "end": brand} for product, brand in self.brands.items() if brand],
        }  # fmt: skip
        return nodes, relations

    def load(self) -> None:
        nodes, relations = self.tables()
        feed = Feed(
            SOURCE,
            {label: pa.Table.from_pylist(rows, NODE_TABLES[label]) for label, rows in nodes.items()},
            {name: pa.Table.from_pylist(rows, RELATION_TABLES[name]) for name, rows in relations.items()},
        )
        load_incremental(self.graph, feed, f"load-{time.monotonic()}")

    def buy(self, user: str, products: list[str]) -> None:
        self.bought += [(user, product, utc_now()) for product in products]
        self.load()

    def publish(self, version: str) -> Release:
        self.training.publish({"graph": version}, self.snapshot_id)
        release = serving(self.graph)
        assert release is not None
        return release

    def without_artefact(self) -> str:
        """A version as an older shopgraph saved it."""
        snapshot = self.training.snapshot(self.snapshot_id)
        random = np.random.default_rng(0)
        vectors = {}
        for label in ("Product", "User"):
            matrix = random.normal(size=(len(snapshot.ids(label)), FAMILIES["graph"].dimension)).astype(np.float32)
            vectors[label] = Vectors(snapshot.ids(label), matrix / np.linalg.norm(matrix, axis=1, keepdims=True))
        return self.training.registry.save("graph", snapshot.id, vectors, {}, {}).id

    def node(self, node: str, family: str = "graph") -> dict:
        """A family's properties of a node."""
        (record,) = self.graph.driver.execute_query(
            "CYPHER 25 MATCH (n:Product|User {id: $id}) RETURN properties(n) AS found",
            id=node, database_=self.graph.database,
        ).records  # fmt: skip
        return {name: value for name, value in record["found"].items() if name.startswith(f"{family}_")}

    def shoes_over_books(self, label: str) -> dict[str, float]:
        """By node of a label, how much nearer it stands to the other label's shoes' side than to its books' side."""
        records = self.graph.driver.execute_query(
            "CYPHER 25 MATCH (n:Product|User) WHERE n.graph_blue IS NOT NULL RETURN n.id AS id, n.graph_blue AS vector",
            database_=self.graph.database,
        ).records
        found = {record["id"]: np.array(record["vector"]) for record in records}
        users = np.array([found[f"u_{number:02}"] for number in range(USERS)])
        products = np.array([found[f"s:p{number:02}"] for number in range(PRODUCTS)])
        others, mark = (users, "s:") if label == "Product" else (products, "u_")
        axis = others[1::2].mean(axis=0) - others[::2].mean(axis=0)
        return {node: float(vector @ axis) for node, vector in found.items() if node.startswith(mark)}

    def add(self, product: str, brand: str) -> None:
        self.brands[product] = brand
        self.load()


@pytest.fixture
def shop(graph: Graph, settings: Settings, tmp_path: Path) -> Shop:
    own = settings.model_copy(update={"home": tmp_path, "device": "cpu", "torch_threads": 1})
    return Shop(graph, own)


@pytest.fixture
def version(shop: Shop, tmp_path: Path) -> str:
    from shopgraph.embed.config import GraphEmbeddingConfig
    from shopgraph.embed.training import train_graph_embedding
    from shopgraph.learning.overrides import configured

    config = configured(GraphEmbeddingConfig(), CONFIG)
    snapshot = shop.training.snapshot(shop.snapshot_id)
    trained = train_graph_embedding(snapshot, config, None, "cpu", 0, tmp_path / "work", epochs=30)
    return trained.save(shop.training.registry).id


def test_a_product_a_second_old_is_recommended(shop: Shop, version: str, capsys: pytest.CaptureFixture) -> None:
    release = shop.publish(version)
    assert shop.training.encode_new() == Encoded(release.id)
    assert shop.training.encode_new() == Encoded()
    took = []
    for number, brand in enumerate(("books", "shoes")):
        shop.add(f"s:new{number}", brand)
        added = time.monotonic()
        assert shop.training.encode_new() == Encoded(release.id, products=1)
        like = shop.recommender.similar(f"s:new{number}", 12)
        took.append(time.monotonic() - added)
        assert sum(shop.brands[item.id] == brand for item in like.items) > 6
        assert any("similar_graph" in item.sources for item in like.items)
        assert like.release == release.id
    with capsys.disabled():
        print(f" [recommendable {took[0]:.2f} s after its load, the next one {took[1]:.2f} s]", end="")
    appeal = shop.shoes_over_books("Product")
    assert appeal["s:new1"] > appeal["s:new0"] + 0.1
    items = shop.recommender.recommend("u_01", 26, exclude_owned=True).items
    ranked = [item.id for item in items if "graph_neighbours" in item.sources]
    assert ranked.index("s:new1") < ranked.index("s:new0")
    assert shop.node("s:new1")["graph_blue_edges"] == 1
    assert shop.training.encode_new() == Encoded()


def test_a_user_after_three_purchases_stands_with_those_who_buy_alike(shop: Shop, version: str) -> None:
    release = shop.publish(version)
    shop.buy("u_late", ["s:p01", "s:p05"])
    assert shop.training.encode_new() == Encoded(release.id)
    assert shop.node("u_late") == {}
    shop.buy("u_late", ["s:p09"])
    assert shop.training.encode_new() == Encoded(release.id, users=1)
    late = shop.node("u_late")
    tastes = shop.shoes_over_books("User")
    assert tastes["u_late"] > max(tastes[f"u_{number:02}"] for number in range(0, USERS, 2))
    assert late["graph_blue_edges"] == 3
    newest = max(at for user, _, at in shop.bought if user == "u_late")
    assert abs(late["graph_blue_until"].to_native() - newest) < timedelta(milliseconds=2)
    items = shop.recommender.recommend("u_late", 8, exclude_owned=True).items
    assert any("graph_neighbours" in item.sources for item in items)
    # the vector knows the three: an answer as of a moment before them would see the future
    with pytest.raises(InputError, match="is not after"):
        shop.recommender.recommend("u_late", 8, as_of=newest - timedelta(hours=1))
    # a known user whose taste turns is encoded anew, and the lists of the old vector go
    shop.buy("u_00", [f"s:p{number:02}" for number in range(1, PRODUCTS, 2)] * 2)
    assert shop.training.encode_new() == Encoded(release.id, users=1)
    assert shop.shoes_over_books("User")["u_00"] > tastes["u_00"]
    assert "graph_blue_top" not in shop.node("u_00")


def test_a_release_that_took_over_meanwhile_gets_nothing_of_the_old_one(shop: Shop, version: str) -> None:
    shop.publish(version)
    shop.brands["s:new"] = "books"
    shop.buy("u_late", ["s:p00", "s:p02", "s:p04"])
    found = find_newcomers(shop.graph, shop.training.registry)
    assert found is not None
    vectors = encode_newcomers(*encoding_of(shop.training.registry.folder, version), found)
    other = shop.without_artefact()
    second = shop.publish(other)
    assert not write_newcomers(shop.graph, found, vectors)
    assert shop.node("s:new") == shop.node("u_late") == {}
    with pytest.raises(InputError, match=f"version {other} can't encode what came after its snapshot"):
        shop.training.encode_new()
    assert serving(shop.graph).id == second.id
    elsewhere = replace(shop.training, registry=Registry(shop.training.registry.folder / "elsewhere"))
    with pytest.raises(InputError, match=f"no model version '{other}'"):
        elsewhere.encode_new()
    # nothing is lost: the next release that can encode does
    third = shop.publish(version)
    assert shop.training.encode_new() == Encoded(third.id, products=1, users=1)
    assert np.allclose(shop.node("s:new")["graph_blue"], vectors.products.matrix[0], atol=1e-6)


def test_a_brand_that_comes_after_its_product_is_heard_and_an_unknown_one_is_not(shop: Shop, version: str) -> None:
    release = shop.publish(version)
    shop.brands |= {"s:new": None, "s:odd": "nobody"}
    shop.buy("u_late", ["s:new", "s:odd", "s:new"])
    assert shop.training.encode_new() == Encoded(release.id, products=2)
    assert shop.node("u_late") == {}  # bought nothing that the encoder knows
    silent = shop.node("s:new")["graph_blue"]
    assert silent == shop.node("s:odd")["graph_blue"]
    shop.add("s:new", "books")
    assert shop.training.encode_new() == Encoded(release.id, products=1)
    appeal = shop.shoes_over_books("Product")
    assert appeal["s:new"] < appeal["s:odd"] - 0.01
    assert shop.node("s:odd")["graph_blue"] == silent


def test_a_publish_into_the_slot_leaves_nothing_of_its_newcomers(shop: Shop, version: str) -> None:
    first = shop.publish(version)
    shop.brands["s:new"] = "books"
    shop.buy("u_01", ["s:p01", "s:p03", "s:p05"])
    assert shop.training.encode_new() == Encoded(first.id, products=1, users=1)
    shop.publish(shop.without_artefact())
    back = rollback(shop.graph, shop.training.registry, first.id)
    assert back.families["graph"].slot == "blue"
    stored = shop.training.registry.vectors(version, "User")
    was = shop.node("u_01")
    assert np.allclose(was["graph_blue"], stored.matrix[stored.ids.index("u_01")], atol=1e-6)
    assert was.keys() & {"graph_blue_edges", "graph_blue_until"} == set()
    assert "graph_blue" not in shop.node("s:new")
    assert shop.training.encode_new() == Encoded(back.id, products=1, users=1)
