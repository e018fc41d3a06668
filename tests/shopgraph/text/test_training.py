"""From a snapshot to a kept version: rows, sharing, resume, encoding of newcomers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from shopgraph.dataset.snapshot import Snapshot, assemble
from shopgraph.errors import InputError
from shopgraph.records import NODE_TABLES, RELATION_TABLES
from shopgraph.registry import Registry
from shopgraph.text.contrastive import STEP as TUNE
from shopgraph.text.contrastive import ContrastiveConfig
from shopgraph.text.encoding import STEP as ENCODE
from shopgraph.text.training import TextConfig, encode_products, newcomer_encoder, train_text_embedding

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
    tuning = ContrastiveConfig(steps=3, batch_pairs=4, frozen_layers=0, learning_rate=1e-3)
    return TextConfig(backbone=str(tiny_backbone), dimension=8, max_tokens=16, contrastive=tuning)


class Watch:
    """Remembers progress; breaks off at a step."""

    def __init__(self, kill_at: tuple[str, int] | None = None) -> None:
        self.seen: list[tuple[str, int]] = []
        self.kill_at = kill_at

    def __call__(self, step: str, done: int, total: int, message: str = "") -> None:
        self.seen.append((step, done))
        if (step, done) == self.kill_at:
            raise KeyboardInterrupt


def test_a_version_is_kept_and_encodes_as_it_did(config: TextConfig, tmp_path: Path):
    snapshot = shop()
    trained = train_text_embedding(snapshot, config, "cpu", 7, tmp_path / "work")
    vectors = trained.vectors["Product"]
    assert vectors.ids == snapshot.ids("Product")
    assert vectors.matrix.shape == (12, 8)
    assert np.array_equal(vectors.matrix[0], vectors.matrix[2])
    assert not np.allclose(vectors.matrix[0], vectors.matrix[1])
    assert (trained.metrics["corpus.texts"], trained.metrics["corpus.pairs"]) == (8, 4)
    assert len(trained.curves) == trained.best_epoch == trained.metrics["contrastive.steps"] == 3
    registry = Registry(tmp_path / "models")
    version = trained.save(registry)
    again = encode_products(registry.path(version.id), ["red wine", "something new"])
    assert np.allclose(again[0], vectors.matrix[0], atol=1e-5)
    assert np.linalg.norm(again[1]) == pytest.approx(1, abs=1e-5)


def test_newcomers_of_a_later_snapshot_join_the_space(config: TextConfig, tmp_path: Path):
    registry = Registry(tmp_path / "models")
    early, late = shop(), shop(18)
    trained = train_text_embedding(early, config, "cpu", 7, tmp_path / "work")
    folder = registry.path(trained.save(registry).id)
    encode = newcomer_encoder(folder, late)
    known = trained.vectors["Product"].matrix
    assert np.allclose(encode(["p1b", "p0a", "p0c"]), known[[4, 0, 2]], atol=1e-5)
    assert encode([]).shape == (0, 8)
    with pytest.raises(InputError, match="'gone' is not in snapshot"):
        encode(["gone"])


def test_each_distinct_text_is_encoded_once(config: TextConfig, tmp_path: Path):
    watch = Watch()
    train_text_embedding(shop(), config, "cpu", 7, tmp_path, watch)
    assert [done for step, done in watch.seen if step == ENCODE] == [8]


@pytest.mark.parametrize("kill_at", [(TUNE, 2), (ENCODE, 8)])
def test_a_killed_training_ends_as_an_unbroken_one(config: TextConfig, tmp_path: Path, kill_at: tuple[str, int]):
    with pytest.raises(KeyboardInterrupt):
        train_text_embedding(shop(), config, "cpu", 7, tmp_path / "broken", Watch(kill_at))
    watch = Watch()
    resumed = train_text_embedding(shop(), config, "cpu", 7, tmp_path / "broken", watch)
    whole = train_text_embedding(shop(), config, "cpu", 7, tmp_path / "whole")
    assert ((TUNE, 1) in watch.seen) == (kill_at[0] == TUNE)
    assert [record.loss for record in resumed.curves] == pytest.approx(
        [record.loss for record in whole.curves], abs=1e-5
    )
    assert np.allclose(resumed.vectors["Product"].matrix, whole.vectors["Product"].matrix, atol=1e-4)


def test_another_seed_or_config_shares_no_working_files(config: TextConfig, tmp_path: Path):
    for seed, other in ((7, config), (8, config), (7, replace(config, max_tokens=12))):
        train_text_embedding(shop(), other, "cpu", seed, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_held_out_pairs_are_judged_before_and_after(config: TextConfig, tmp_path: Path):
    """A fifth theme of pairs appears in the last baskets alone."""
    trained = train_text_embedding(late_shop(), config, "cpu", 7, tmp_path)
    assert trained.metrics["corpus.held_out_pairs"] > 0
    names = (
        "retrieval.recall@20_before",
        "retrieval.recall@20_after",
        "contrastive.loss_before",
        "contrastive.loss_after",
    )
    assert all(np.isfinite(trained.metrics[name]) for name in names)
    assert trained.metrics["contrastive.loss_before"] != trained.metrics["contrastive.loss_after"]
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


def test_without_purchases_the_backbone_serves_untouched(config: TextConfig, tmp_path: Path):
    trained = train_text_embedding(shop(0), config, "cpu", 7, tmp_path)
    assert trained.metrics["contrastive.steps"] == 0
    assert trained.vectors["Product"].matrix.shape == (12, 8)


def test_a_snapshot_without_products_is_refused(config: TextConfig, tmp_path: Path):
    with pytest.raises(InputError, match="no products"):
        train_text_embedding(assemble({}, {}, datetime(2024, 1, 1, tzinfo=UTC)), config, "cpu", 7, tmp_path)


def test_a_dimension_beyond_the_backbone_is_refused(config: TextConfig, tmp_path: Path):
    with pytest.raises(InputError, match="from 32 to 64"):
        train_text_embedding(shop(), replace(config, dimension=64), "cpu", 7, tmp_path)
