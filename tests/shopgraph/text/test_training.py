"""From a snapshot to a kept version: rows, sharing, resume, encoding of newcomers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from shopgraph.dataset.searches import SearchPairs
from shopgraph.dataset.snapshot import Snapshot, assemble
from shopgraph.errors import ConfigurationError, InputError
from shopgraph.learning.optimiser import OptimiserConfig
from shopgraph.query_encoder import FOLDER, QueryEncoder
from shopgraph.records import NODE_TABLES, RELATION_TABLES
from shopgraph.registry import Registry, Vectors
from shopgraph.text.config import TextConfig
from shopgraph.text.encoding import STEP as ENCODE
from shopgraph.text.examples import ExamplesConfig
from shopgraph.text.lora import LoraConfig
from shopgraph.text.pretraining import PretrainingConfig
from shopgraph.text.reader import FusedReader, newcomer_encoder
from shopgraph.text.shop import GraphVectors
from shopgraph.text.stages import FusionConfig
from shopgraph.text.training import (
    ADAPTERS,
    GRAPH_VERSION,
    train_text_embedding,
)
from shopgraph.text.tuning import STEP as TUNE
from shopgraph.text.tuning import TuningConfig

THEMES = ("red wine", "corkscrew"), ("puppy food", "dog lead"), ("green tea", "honey"), ("razor", "shaving foam")


def shop(baskets: int = 6) -> Snapshot:
    """Four themes of two texts; a third product of each theme shares the first text. Baskets hold one theme."""
    titles = {
        f"p{n}{letter}": text
        for n, theme in enumerate(THEMES)
        for letter, text in zip("abc", (*theme, theme[0]), strict=True)
    }
    start = datetime(2024, 1, 1, tzinfo=UTC)
    lines = [
        {"start": f"u{n}", "end": f"p{theme}{letter}", "line_id": f"{n}-{theme}-{letter}",
         "at": start + timedelta(days=n), "quantity": 1, "amount": 1.0, "discount": 0.0, "order_id": f"{n}-{theme}"}
        for n in range(baskets) for theme in range(4) for letter in "ab"
    ]  # fmt: skip
    for line in lines:
        line["start"] += f"-{line['order_id'][-1]}"
    users = sorted({line["start"] for line in lines})
    return assemble(
        {
            "Product": pa.Table.from_pylist(
                [{"id": product, "title": title} for product, title in titles.items()], schema=NODE_TABLES["Product"]
            ),
            "User": pa.Table.from_pylist([{"id": user} for user in users], schema=NODE_TABLES["User"]),
        },
        {"PURCHASED": pa.Table.from_pylist(lines, schema=RELATION_TABLES["PURCHASED"])},
        start + timedelta(days=365),
    )


@pytest.fixture
def config(tiny_backbone: Path) -> TextConfig:
    tuning = TuningConfig(steps=3, batch_pairs=4, frozen_layers=0, optimiser=OptimiserConfig(learning_rate=1e-3))
    return TextConfig(backbone=str(tiny_backbone), dimension=8, max_tokens=16, exported=False, tuning=tuning)


def graph_of(snapshot: Snapshot, version: str = "graph-1") -> GraphVectors:
    """Vectors of a graph version: a theme's products and buyers along one axis, the second product a little aside."""
    products, users = snapshot.ids("Product"), snapshot.ids("User")
    matrix = {label: np.zeros((len(ids), 6), np.float32) for label, ids in (("Product", products), ("User", users))}
    for row, product in enumerate(products):
        matrix["Product"][row, int(product[1])], matrix["Product"][row, 4 + (product[2] == "b")] = 1.0, 0.3
    for row, user in enumerate(users):
        matrix["User"][row, int(user[-1])] = 1.0
    unit = {label: rows / np.linalg.norm(rows, axis=1, keepdims=True) for label, rows in matrix.items()}
    return GraphVectors(version, Vectors(products, unit["Product"]), Vectors(users, unit["User"]))


class Watch:
    """Remembers progress; breaks off at a step, if need be not before another."""

    def __init__(self, kill_at: tuple[str, int] | None = None, after: tuple[str, int] | None = None) -> None:
        self.seen: list[tuple[str, int]] = []
        self.kill_at, self.after = kill_at, after

    def __call__(self, step: str, done: int, total: int, message: str = "") -> None:
        self.seen.append((step, done))
        if (step, done) == self.kill_at and (self.after is None or self.after in self.seen):
            raise KeyboardInterrupt


def test_a_version_is_kept_and_encodes_as_it_did(config: TextConfig, tmp_path: Path):
    snapshot = shop()
    trained = train_text_embedding(snapshot, config, None, "cpu", 7, tmp_path / "work")
    vectors = trained.vectors["Product"]
    assert vectors.ids == snapshot.ids("Product")
    assert vectors.matrix.shape == (12, 8)
    assert np.array_equal(vectors.matrix[0], vectors.matrix[2])
    assert not np.allclose(vectors.matrix[0], vectors.matrix[1])
    assert (trained.metrics["corpus.texts"], trained.metrics["corpus.pairs"]) == (8, 4)
    assert len(trained.curves) == trained.best_epoch == trained.metrics["tuning.steps"] == 3
    registry = Registry(tmp_path / "models")
    version = trained.save(registry)
    again = FusedReader(registry.path(version.id)).encode(["red wine", "something new"])
    assert np.allclose(again[0], vectors.matrix[0], atol=1e-5)
    assert np.linalg.norm(again[1]) == pytest.approx(1, abs=1e-5)


def test_newcomers_of_a_later_snapshot_join_the_space(config: TextConfig, tmp_path: Path):
    registry = Registry(tmp_path / "models")
    early, late = shop(), shop(18)
    trained = train_text_embedding(early, config, None, "cpu", 7, tmp_path / "work")
    folder = registry.path(trained.save(registry).id)
    encode = newcomer_encoder(folder, late)
    known = trained.vectors["Product"].matrix
    assert np.allclose(encode(["p1b", "p0a", "p0c"]), known[[4, 0, 2]], atol=1e-5)
    assert encode([]).shape == (0, 8)
    with pytest.raises(InputError, match="'gone' is not in snapshot"):
        encode(["gone"])


def test_each_distinct_text_is_encoded_once_before_and_once_after_it_learns(config: TextConfig, tmp_path: Path):
    """Before, for the start of the projection; what is kept from run to run is not read again."""
    watch, again = Watch(), Watch()
    train_text_embedding(shop(), config, None, "cpu", 7, tmp_path / "one", watch, kept=tmp_path / "kept")
    assert [done for step, done in watch.seen if step == ENCODE and done] == [8, 8]
    train_text_embedding(shop(), config, None, "cpu", 7, tmp_path / "two", again, kept=tmp_path / "kept")
    assert [done for step, done in again.seen if step == ENCODE and done] == [8]


def test_a_backbone_that_stays_reads_each_text_once_in_all_runs(config: TextConfig, tmp_path: Path):
    """Eight texts, and the empty one of a user; another graph version, fused with the same texts, reads none anew."""
    frozen, kept = replace(config, tuning=replace(config.tuning, frozen_layers=None)), tmp_path / "kept"
    read = []
    for version in ("graph-1", "graph-2"):
        watch, work = Watch(), tmp_path / version
        trained = train_text_embedding(shop(), frozen, graph_of(shop(), version), "cpu", 7, work, watch, kept=kept)
        read.append(max(done for step, done in watch.seen if step == ENCODE))
        assert len(trained.curves) == 3
    assert read == [9, 0]
    alone = train_text_embedding(shop(), frozen, graph_of(shop()), "cpu", 7, tmp_path / "alone")
    ours, theirs = (each.vectors["Product"].matrix for each in (trained, alone))
    assert np.allclose(ours @ ours.T, theirs @ theirs.T, atol=0.01)
    registry = Registry(tmp_path / "models")
    again = FusedReader(registry.path(trained.save(registry).id)).encode(
        ["red wine"], graph_of(shop()).products.matrix[:1]
    )
    assert np.allclose(again[0], trained.vectors["Product"].matrix[0], atol=1e-5)


def test_an_early_token_is_heard_before_any_step(config: TextConfig, tmp_path: Path):
    """The projection starts from what the network makes of text and graph: products of one text differ by theme."""
    snapshot, fusion = shop(), FusionConfig("early", joins=1)
    graph = graph_of(snapshot)
    asked = replace(config, fusion=fusion, tuning=replace(config.tuning, steps=0))
    row = {product: place for place, product in enumerate(snapshot.ids("Product"))}
    graph.products.matrix[row["p0c"]] = graph.products.matrix[row["p3b"]]
    found = [
        train_text_embedding(snapshot, asked, graph, "cpu", 7, tmp_path / name).vectors["Product"].matrix
        for name in ("once", "again")
    ]
    assert np.allclose(*found, atol=1e-4), "the token starts where the seed says"
    cosine = found[0] @ found[0].T
    assert cosine[row["p0a"], row["p0c"]] < 0.95 < cosine[row["p1a"], row["p1c"]]


def test_searches_place_a_query_by_what_it_led_to(config: TextConfig, tmp_path: Path):
    """Nothing was bought: two words that are in no text led to wine and to puppy food."""
    snapshot = shop(0)
    rows = {product: row for row, product in enumerate(snapshot.ids("Product"))}
    found = {"zzz": ("p0a", "p0b"), "qqq": ("p1a", "p1b")}
    pairs = np.array([(n, rows[product]) for n, led_to in enumerate(found.values()) for product in led_to])
    searches = SearchPairs(snapshot.id, list(found), pairs, np.ones(4, np.int64), np.empty((0, 2), np.int64))
    asked = replace(config, dimension=4, tuning=replace(config.tuning, steps=0, frozen_layers=None))
    trained = train_text_embedding(snapshot, asked, None, "cpu", 7, tmp_path / "work", searches=searches)
    registry = Registry(tmp_path / "models")
    reader = FusedReader(registry.path(trained.save(registry).id))
    scores = reader.encode(list(found)) @ trained.vectors["Product"].matrix.T
    for row, led_to in enumerate(found.values()):
        others = np.setdiff1d(np.arange(len(rows)), [r for p, r in rows.items() if p[:2] == led_to[0][:2]])
        assert min(scores[row, rows[product]] for product in led_to) > scores[row, others].max()


@pytest.mark.parametrize("fusion", [FusionConfig("late"), FusionConfig("early", joins=1)], ids=str)
def test_the_graph_tells_products_whose_texts_are_one(config: TextConfig, tmp_path: Path, fusion: FusionConfig):
    """a and c of a theme share a text; only the graph's vectors differ once c's is another theme's."""
    snapshot = shop()
    graph = graph_of(snapshot)
    row = {product: place for place, product in enumerate(snapshot.ids("Product"))}
    graph.products.matrix[row["p0c"]] = graph.products.matrix[row["p3b"]]
    trained = train_text_embedding(snapshot, replace(config, fusion=fusion), graph, "cpu", 7, tmp_path / "work")
    found = trained.vectors["Product"].matrix
    assert not np.allclose(found[row["p0a"]], found[row["p0c"]], atol=1e-3)
    assert np.allclose(found[row["p1a"]], found[row["p1c"]], atol=1e-6)
    assert trained.metrics[GRAPH_VERSION] == "graph-1"
    registry = Registry(tmp_path / "models")
    folder = registry.path(trained.save(registry).id)
    texts = ["red wine", "red wine", "red wine"]
    again = FusedReader(folder).encode(texts, graph.products.matrix[[row["p0a"], row["p0c"], row["p0a"]]])
    assert np.allclose(again, found[[row["p0a"], row["p0c"], row["p0a"]]], atol=1e-5)
    bare = FusedReader(folder).encode(["red wine"])
    assert np.isfinite(bare).all()
    assert not np.allclose(bare[0], again[0], atol=1e-3)
    with pytest.raises(InputError, match=r"shape \(1, 5\), expected \(nodes, 6\)"):
        FusedReader(folder).encode(["red wine"], np.ones((1, 5), np.float32))


def test_buyers_pull_what_they_bought_towards_them(config: TextConfig, tmp_path: Path):
    """With nothing but purchases to learn from, the loss of users and products falls."""
    tuning = replace(config.tuning, steps=120, optimiser=OptimiserConfig(learning_rate=3e-3))
    examples = ExamplesConfig(together=0.0, searched=0.0)
    asked = replace(config, tuning=tuning, examples=examples)
    curve = train_text_embedding(shop(), asked, graph_of(shop()), "cpu", 7, tmp_path).curves
    losses = [record.loss for record in curve]
    assert np.mean(losses[-30:]) < 0.6 * np.mean(losses[:10])


def test_queries_are_encoded_in_the_products_space_without_torch(config: TextConfig, tmp_path: Path):
    asked = replace(config, exported=True)
    trained = train_text_embedding(shop(), asked, graph_of(shop()), "cpu", 7, tmp_path / "work")
    registry = Registry(tmp_path / "models")
    folder = registry.path(trained.save(registry).id)
    served = QueryEncoder(folder / FOLDER)(["red wine", "dog lead"])
    exact = FusedReader(folder).encode(["red wine", "dog lead"])
    assert (served * exact).sum(axis=1).min() > 0.98
    assert 0 <= trained.metrics["query.cosine_error"] < 0.02


def test_pre_training_and_adapters_leave_their_traces(config: TextConfig, tmp_path: Path):
    asked = replace(
        config,
        pretraining=PretrainingConfig(steps=3, head_steps=2, batch_texts=4),
        tuning=replace(config.tuning, lora=LoraConfig(2)),
    )
    trained = train_text_embedding(shop(), asked, None, "cpu", 7, tmp_path)
    assert trained.metrics["pretraining.perplexity_after"] < trained.metrics["pretraining.perplexity_before"]
    assert (trained.files[ADAPTERS] / "adapter_model.safetensors").is_file()


def test_another_graph_version_shares_no_working_files(config: TextConfig, tmp_path: Path):
    for version in ("graph-1", "graph-2"):
        train_text_embedding(shop(), config, graph_of(shop(), version), "cpu", 7, tmp_path)
    assert len({path.name.removesuffix("-read") for path in tmp_path.iterdir()}) == 2


def test_a_corpus_of_one_product_gives_a_sound_vector(config: TextConfig, tmp_path: Path):
    products = pa.Table.from_pylist([{"id": "p", "title": "tea"}], schema=NODE_TABLES["Product"])
    snapshot = assemble({"Product": products}, {}, datetime(2024, 1, 1, tzinfo=UTC))
    asked = replace(config, pretraining=PretrainingConfig(steps=2))
    found = train_text_embedding(snapshot, asked, None, "cpu", 7, tmp_path).vectors["Product"].matrix
    assert found.shape == (1, 8)
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("frozen_layers", [0, None])
@pytest.mark.parametrize("kill_at", [TUNE, ENCODE])
def test_a_killed_training_ends_as_an_unbroken_one(
    config: TextConfig, tmp_path: Path, kill_at: str, frozen_layers: int | None
):
    config = replace(config, tuning=replace(config.tuning, frozen_layers=frozen_layers))
    at_the_catalogue = Watch((ENCODE, 8), after=(TUNE, 3)) if frozen_layers == 0 else Watch((ENCODE, 9))
    with pytest.raises(KeyboardInterrupt):
        train_text_embedding(
            shop(),
            config,
            None,
            "cpu",
            7,
            tmp_path / "broken",
            Watch((TUNE, 2)) if kill_at == TUNE else at_the_catalogue,
        )
    watch = Watch()
    resumed = train_text_embedding(shop(), config, None, "cpu", 7, tmp_path / "broken", watch)
    whole = train_text_embedding(shop(), config, None, "cpu", 7, tmp_path / "whole")
    assert ((TUNE, 1) in watch.seen) == (kill_at == TUNE or frozen_layers is None)
    assert [record.loss for record in resumed.curves] == pytest.approx(
        [record.loss for record in whole.curves], abs=1e-5
    )
    assert np.allclose(resumed.vectors["Product"].matrix, whole.vectors["Product"].matrix, atol=1e-4)


def test_another_seed_or_config_shares_no_working_files(config: TextConfig, tmp_path: Path):
    for seed, other in ((7, config), (8, config), (7, replace(config, max_tokens=12))):
        train_text_embedding(shop(), other, None, "cpu", seed, tmp_path)
    assert len({path.name.removesuffix("-read") for path in tmp_path.iterdir()}) == 3


def test_held_out_pairs_are_judged_before_and_after(config: TextConfig, tmp_path: Path):
    """A fifth theme of pairs appears in the last baskets alone."""
    trained = train_text_embedding(late_shop(), config, None, "cpu", 7, tmp_path)
    assert trained.metrics["corpus.held_out_pairs"] > 0
    names = (
        "retrieval.recall@20_before",
        "retrieval.recall@20_after",
        "tuning.loss_before",
        "tuning.loss_after",
    )
    assert all(np.isfinite(trained.metrics[name]) for name in names)
    assert trained.metrics["tuning.loss_before"] != trained.metrics["tuning.loss_after"]
    assert 0 <= trained.metrics["retrieval.all_recall@20"] <= 1


def late_shop() -> Snapshot:
    early = shop(18)
    purchased = early.relations["PURCHASED"].to_pylist()
    ends = {product: row for row, product in enumerate(early.ids("Product"))}
    last = max(line["order"] for line in purchased)
    at = max(line["at"] for line in purchased)
    crossed = (("p0b", "p1b"), ("p2b", "p3b"))
    for number in range(6):
        for product in crossed[number % 2]:
            purchased.append(
                {**purchased[0], "start": number, "end": ends[product], "order": last + 1 + number,
                 "at": at + timedelta(days=10 + number)}
            )  # fmt: skip
    table = pa.Table.from_pylist(purchased, schema=early.relations["PURCHASED"].schema)
    return replace(early, relations={**early.relations, "PURCHASED": table})


def test_without_purchases_nothing_is_tuned(config: TextConfig, tmp_path: Path):
    trained = train_text_embedding(shop(0), config, None, "cpu", 7, tmp_path)
    assert trained.metrics["tuning.steps"] == 0
    assert trained.vectors["Product"].matrix.shape == (12, 8)


def test_a_snapshot_without_products_is_refused(config: TextConfig, tmp_path: Path):
    with pytest.raises(InputError, match="no products"):
        train_text_embedding(assemble({}, {}, datetime(2024, 1, 1, tzinfo=UTC)), config, None, "cpu", 7, tmp_path)


def test_a_dimension_beyond_the_backbone_is_refused(config: TextConfig, tmp_path: Path):
    with pytest.raises(InputError, match="from 32 to 64"):
        train_text_embedding(shop(), replace(config, dimension=64), None, "cpu", 7, tmp_path)


@pytest.mark.parametrize("named", [-0.1, 1.0])
def test_a_share_of_names_that_leaves_nothing_to_the_rest_is_refused(named: float):
    with pytest.raises(ConfigurationError, match=f"named={named}: must be from 0 to below 1"):
        TextConfig(named=named)
