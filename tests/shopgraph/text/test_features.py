"""Texts as features: each encoded once and never again, narrow by a projection that later products get too."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from shopgraph.dataset.corpus import ProductWords, read_corpus
from shopgraph.dataset.snapshot import Snapshot, assemble
from shopgraph.errors import InputError
from shopgraph.records import NODE_TABLES
from shopgraph.settings import utc_now
from shopgraph.text import features
from shopgraph.text.backbone import open_encoder
from shopgraph.text.encoding import encode_texts
from shopgraph.text.features import (
    FEATURES,
    FrozenEncoder,
    TextFeaturesConfig,
    learn_text_features,
    open_text_features,
)
from shopgraph.text.projection import Projection

TITLES = ["green tea", "red wine", "green tea", "dog food", "white bread", "rye bread", "soap"]


def shop(titles: list[str]) -> Snapshot:
    rows = [{"id": f"p{number}", "title": title} for number, title in enumerate(titles)]
    return assemble({"Product": pa.Table.from_pylist(rows, NODE_TABLES["Product"])}, {}, utc_now())


@pytest.fixture
def config(tiny_backbone: Path) -> TextFeaturesConfig:
    return TextFeaturesConfig(backbone=str(tiny_backbone), max_tokens=32, columns=4)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that the model reads, in a list that grows."""
    seen: list[str] = []

    def noted(model, texts, *arguments):
        seen.extend(texts)
        return encode_texts(model, texts, *arguments)

    monkeypatch.setattr(features, "encode_texts", noted)
    return seen


def test_each_text_is_encoded_once_and_never_again(config: TextFeaturesConfig, asked: list[str], tmp_path: Path):
    told: list[tuple] = []
    learn = {"config": config, "kept": tmp_path / "kept", "device": "cpu"}
    first = learn_text_features(shop(TITLES), folder=tmp_path / "a", progress=lambda *said: told.append(said), **learn)
    assert sorted(asked) == sorted(set(TITLES))
    assert told[0] == ("graph embedding: texts", 0, 6, "0 of 6 texts are known")
    assert told[-1][:3] == ("graph embedding: texts", 6, 6)
    assert np.array_equal(first[0], first[2])
    assert first.shape == (7, 4)
    asked.clear()
    again = learn_text_features(shop(TITLES), folder=tmp_path / "b", **learn)
    assert asked == []
    assert np.array_equal(again, first)
    learn_text_features(shop([*TITLES, "cat food"]), folder=tmp_path / "c", **learn)
    assert asked == ["cat food"]


def test_the_model_is_the_untouched_one(config: TextFeaturesConfig, tiny_backbone: Path, tmp_path: Path):
    """Cosines of the wide vectors are the model's own."""
    encoder = FrozenEncoder(config, tmp_path / "kept", "cpu")
    texts = sorted(set(TITLES))
    wide = encode_texts(open_encoder(tiny_backbone, "cpu", 32), texts).matrix
    assert np.allclose(encoder(texts), wide, atol=1e-6)
    assert np.allclose(encoder(texts[::-1]), wide[::-1], atol=1e-6)  # looked up


def test_another_model_is_another_name(config: TextFeaturesConfig, tiny_backbone: Path, tmp_path: Path):
    other = tmp_path / "other"
    shutil.copytree(tiny_backbone, other)
    same = FrozenEncoder(TextFeaturesConfig(backbone=str(other), max_tokens=32), tmp_path, "cpu").name
    assert same == FrozenEncoder(config, tmp_path, "cpu").name
    assert FrozenEncoder(TextFeaturesConfig(backbone=str(other)), tmp_path, "cpu").name != same
    (other / "config.json").write_text((other / "config.json").read_text() + " ")
    assert FrozenEncoder(TextFeaturesConfig(backbone=str(other), max_tokens=32), tmp_path, "cpu").name != same


def test_a_later_product_gets_the_projection_of_the_version(config: TextFeaturesConfig, tmp_path: Path):
    matrix = learn_text_features(shop(TITLES), config, tmp_path / "kept", tmp_path, "cpu")
    opened = open_text_features(tmp_path, tmp_path / "elsewhere", "cpu")
    words = [ProductWords("dog food"), ProductWords("soap"), ProductWords("dog  food")]
    found = opened.of(words, [])
    assert np.allclose(found, matrix[[3, 6, 3]], atol=1e-6)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert opened.of([], []).shape == (0, 4)
    kept = Projection.read(tmp_path / FEATURES / "projection.npz")
    assert 0 < kept.kept_energy <= 1


def test_a_shop_of_few_texts_has_a_column_a_text(config: TextFeaturesConfig, tmp_path: Path):
    snapshot = shop(["tea", "wine", "tea"])
    assert learn_text_features(snapshot, config, tmp_path / "kept", tmp_path, "cpu").shape == (3, 2)
    assert read_corpus(snapshot, config.corpus).texts == ["tea", "wine"]
    with pytest.raises(InputError, match="has no products"):
        learn_text_features(shop([]), config, tmp_path / "kept", tmp_path, "cpu")


def test_what_a_version_lacks_is_said(config: TextFeaturesConfig, tiny_backbone: Path, tmp_path: Path):
    own, version = tmp_path / "own", tmp_path / "graph-1"
    shutil.copytree(tiny_backbone, own)
    config = TextFeaturesConfig(backbone=str(own), columns=4)
    learn_text_features(shop(TITLES), config, tmp_path / "kept", version, "cpu")
    (own / "config.json").write_text((own / "config.json").read_text() + " ")
    with pytest.raises(InputError, match=r"version graph-1 read texts with another .* than there is now: retrain"):
        open_text_features(version, tmp_path / "kept", "cpu")
    reading = version / FEATURES / "reading.json"
    for damaged in ("{", json.dumps({"model": "x"}), json.dumps({"model": "x", "config": {"words": 3}})):
        reading.write_text(damaged)
        with pytest.raises(InputError, match="can't be read"):
            open_text_features(version, tmp_path / "kept", "cpu")
    shutil.rmtree(version / FEATURES)
    with pytest.raises(InputError, match="can't be read as a projection"):
        open_text_features(version, tmp_path / "kept", "cpu")
