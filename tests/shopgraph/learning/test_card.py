"""A saved version carries its card as a page and its curves as a picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from shopgraph.learning.trained import EpochRecord, TrainedEmbedding
from shopgraph.registry import Registry, Vectors

CURVE = [
    EpochRecord(1, 2.5, {"novel.ndcg@20": 0.10, "novel.recall@20": 0.2}, 1.5),
    EpochRecord(2, 1.5, {"novel.ndcg@20": 0.31, "novel.recall@20": 0.4}, 1.5),
    EpochRecord(3, 1.0, {"novel.ndcg@20": 0.30, "novel.recall@20": 0.5}, 2.0),
]
TRAINED = TrainedEmbedding(
    family="graph",
    snapshot_id="snapshot-1f2e",
    vectors={"Product": Vectors(["a", "b"], np.eye(2, 4, dtype=np.float32))},
    config={"dimension": 4, "optimiser": {"learning_rate": 0.005}, "loop": {"metric": "novel.ndcg@20"}},
    metrics={"loss": 1.5, "novel.ndcg@20": 0.31},
    best_epoch=2,
    curves=CURVE,
    segments={"few purchases": {"ndcg@20": 0.123456, "users": 40}, "many | purchases": {"ndcg@20": 0.4}},
    seeds=(7, 8),
    device="cpu",
    terms={"the shop's own purchases": "internal use only"},
)


def test_the_page_names_what_was_trained_how_and_how_well(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    version = TRAINED.save(registry)
    page = (registry.path(version.id) / "card.md").read_text()
    for line in (
        "# Model card: graph",
        "| snapshot | `snapshot-1f2e` |",
        "| vectors of Product | 2 of dimension 4 |",
        "| best epoch | 2 of 3 |",
        "| training time | 5.0 s |",
        "| device | cpu |",
        "| seeds | 7, 8 |",
        "| novel.ndcg@20 | 0.31 |",
        "| segment | ndcg@20 | users |",
        "| few purchases | 0.12346 | 40 |",
        "| many \\| purchases | 0.4 |  |",
        "| optimiser.learning_rate | 0.005 |",
        "| the shop's own purchases | internal use only |",
        "![Training loss and validation figure by epoch](curves.png)",
    ):
        assert line in page.splitlines()
    assert version.metrics["segments"] == TRAINED.segments
    assert registry.get(version.id).metrics["training"]["seeds"] == [7, 8]


def test_the_picture_shows_both_curves(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    both = registry.path(TRAINED.save(registry).id) / "curves.png"
    bare = [replace(record, metrics={}) for record in CURVE]
    alone = registry.path(replace(TRAINED, curves=bare).save(registry).id) / "curves.png"
    assert both.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    picture, other = imread(both), imread(alone)
    assert picture.shape[:2] == other.shape[:2] == (432, 960)
    right = slice(None), slice(500, None)
    assert inked(picture[right]) == pytest.approx(inked(picture[:, :480]), rel=0.5)
    assert (picture != other).any()


def inked(picture: np.ndarray) -> float:
    """Share of the picture that is not white."""
    return float((picture[..., :3].min(axis=-1) < 0.9).mean())


def test_a_version_without_extras_or_epochs_has_a_card_too(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    plain = TrainedEmbedding("text", "s1", TRAINED.vectors, {}, {}, 0, [], curve_unit="step")
    page = (registry.path(plain.save(registry).id) / "card.md").read_text()
    assert "| best step | 0 of 0 |" in page
    assert "segment" not in page
    assert "terms" not in page


def test_a_refit_shows_the_figures_of_the_version_that_was_judged(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    judged = TRAINED.save(registry)
    refit = replace(TRAINED, snapshot_id="whole", metrics={"loss": 0.9}, segments={})
    version = refit.save(registry, {**judged.metrics, "held_out_version": judged.id})
    page = (registry.path(version.id) / "card.md").read_text()
    assert f"| held_out_version | {judged.id} |" in page
    assert "| novel.ndcg@20 | 0.31 |" in page
    assert "| few purchases | 0.12346 | 40 |" in page
    assert version.metrics == {**judged.metrics, "held_out_version": judged.id}
