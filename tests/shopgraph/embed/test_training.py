"""Training on two planted tastes, and what is refused before its first step."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from shopgraph.embed.config import GraphEmbeddingConfig
from shopgraph.embed.cuts import CutsConfig
from shopgraph.embed.encoders import ENCODERS
from shopgraph.embed.negatives import NegativesConfig
from shopgraph.embed.sampling import SamplingConfig
from shopgraph.embed.training import train_graph_embedding
from shopgraph.errors import ConfigurationError, InputError
from shopgraph.learning.adversarial import AdversarialConfig
from shopgraph.learning.loop import LoopConfig
from shopgraph.learning.optimiser import OptimiserConfig

from .conftest import killed_and_resumed

CONFIG = GraphEmbeddingConfig(
    cuts=CutsConfig(count=3, spacing_weeks=3, supervision_weeks=3),
    negatives=NegativesConfig(count=20),
    positives_per_user=2,
    users_per_batch=10,
    optimiser=OptimiserConfig(learning_rate=0.01),
    loop=LoopConfig(epochs=6),
)
FOLDS = replace(
    CONFIG,
    cuts=CutsConfig(by="folds", count=3),
    loss="sampled_softmax",
    optimiser=OptimiserConfig(learning_rate=0.02),
    loop=LoopConfig(epochs=30, patience=30),
)
USERS, PRODUCTS = 48, 24
CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")


@pytest.mark.parametrize("affinity", [0, 128])
@pytest.mark.parametrize("encoder", list(ENCODERS))
def test_the_withheld_taste_comes_first(encoder: str, affinity: int, planted, tmp_path: Path) -> None:
    snapshot, holdout = planted()
    config = replace(FOLDS if encoder == "lightgcn" else CONFIG, encoder=encoder, affinity_width=affinity)
    trained = train_graph_embedding(snapshot, config, holdout, "cpu", 7, tmp_path)
    users, products = trained.vectors["User"].matrix, trained.vectors["Product"].matrix
    nearest = np.argsort(-(users @ products.T), axis=1)
    own_kind = (nearest[:, : PRODUCTS // 2] % 2) == (np.arange(USERS) % 2)[:, None]
    assert own_kind[:, :8].all()
    assert trained.metrics["novel.recall@20"] == 1.0
    assert np.allclose(np.linalg.norm(products, axis=1), 1.0, atol=1e-5)
    assert products.shape == (PRODUCTS, config.dimension)


def test_the_card_tells_figures_by_the_length_of_history(planted, tmp_path: Path) -> None:
    snapshot, holdout = planted()
    trained = train_graph_embedding(snapshot, CONFIG, holdout, "cpu", 7, tmp_path)
    assert trained.segments == {
        "bought 1 to 8 products": {
            name.removeprefix("novel."): value
            for name, value in trained.metrics.items()
            if name not in ("loss", "novel.coverage@20")
        }
    }
    refit = train_graph_embedding(snapshot, CONFIG, None, "cpu", 7, tmp_path / "refit", epochs=1)
    assert refit.segments == {}


def test_the_order_of_edges_changes_nothing(planted, tmp_path: Path) -> None:
    snapshot, holdout = planted()
    shuffled, _ = planted(np.random.default_rng(5).permutation(USERS * 8))
    assert shuffled.id == snapshot.id
    first = train_graph_embedding(snapshot, CONFIG, holdout, "cpu", 7, tmp_path / "a")
    second = train_graph_embedding(shuffled, CONFIG, holdout, "cpu", 7, tmp_path / "b")
    assert np.allclose(first.vectors["Product"].matrix, second.vectors["Product"].matrix, atol=1e-5)


def test_a_killed_run_goes_on_with_the_same_curve(planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot, holdout = planted()
    unbroken = train_graph_embedding(snapshot, CONFIG, holdout, "cpu", 7, tmp_path / "whole")
    train = partial(train_graph_embedding, snapshot, CONFIG, holdout, "cpu", 7, tmp_path / "broken")
    resumed = killed_and_resumed(train, 3, monkeypatch)
    assert [record.loss for record in resumed.curves] == pytest.approx([record.loss for record in unbroken.curves])
    assert np.allclose(resumed.vectors["User"].matrix, unbroken.vectors["User"].matrix, atol=1e-6)


def test_a_refit_trains_for_the_epochs_it_is_told(planted, tmp_path: Path) -> None:
    snapshot, _ = planted()
    refit = train_graph_embedding(snapshot, CONFIG, None, "cpu", 7, tmp_path, epochs=2)
    assert [record.epoch for record in refit.curves] == [1, 2]
    assert refit.best_epoch == 2


def test_the_checkpoint_of_another_config_is_refused(planted, tmp_path: Path) -> None:
    snapshot, holdout = planted()
    train_graph_embedding(snapshot, CONFIG, holdout, "cpu", 7, tmp_path)
    with pytest.raises(InputError, match="another config"):
        train_graph_embedding(snapshot, replace(CONFIG, half_life_weeks=3.0), holdout, "cpu", 7, tmp_path)


def test_what_can_be_known_before_the_first_step_is_said_before_it(planted, tmp_path: Path) -> None:
    snapshot, holdout = planted()
    none = replace(snapshot, relations={**snapshot.relations, "PURCHASED": snapshot.relations["PURCHASED"].slice(0, 0)})
    one_user = pa.compute.equal(snapshot.relations["PURCHASED"]["start"], 0)
    one = replace(
        snapshot,
        relations={**snapshot.relations, "PURCHASED": snapshot.relations["PURCHASED"].filter(one_user)},
    )
    for wrong, said in ((none, "has no purchases"), (one, "single user")):
        with pytest.raises(InputError, match=said):
            train_graph_embedding(wrong, CONFIG, holdout, "cpu", 7, tmp_path)
    with pytest.raises(ConfigurationError, match="is not there"):
        train_graph_embedding(snapshot, CONFIG, holdout, "cuda:9", 7, tmp_path)
    with pytest.raises(ConfigurationError, match="epochs"):
        train_graph_embedding(snapshot, CONFIG, None, "cpu", 7, tmp_path)


@pytest.mark.parametrize("loss", ["bpr", "sampled_softmax", "approx_ndcg"])
@pytest.mark.parametrize("negatives", ["uniform", "popularity", "in_batch"])
def test_every_loss_learns_from_every_kind_of_negative(loss: str, negatives: str, planted, tmp_path: Path) -> None:
    """A LightGCN knows nothing at first: only what the loss taught it tells the tastes apart."""
    snapshot, holdout = planted()
    config = replace(FOLDS, encoder="lightgcn", loss=loss, negatives=NegativesConfig(negatives, 20))
    trained = train_graph_embedding(snapshot, config, holdout, "cpu", 7, tmp_path)
    users, products = trained.vectors["User"].matrix, trained.vectors["Product"].matrix
    nearest = np.argsort(-(users @ products.T), axis=1)
    own_kind = (nearest[:, : PRODUCTS // 2] % 2) == (np.arange(USERS) % 2)[:, None]
    assert own_kind.mean() > 0.9


@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
def test_adversarial_training_still_finds_the_taste(attack: str, planted, tmp_path: Path) -> None:
    snapshot, holdout = planted()
    config = replace(CONFIG, adversarial=AdversarialConfig(name=attack, epsilon=0.05))
    clean = train_graph_embedding(snapshot, CONFIG, holdout, "cpu", 7, tmp_path / "clean")
    shaken = train_graph_embedding(snapshot, config, holdout, "cpu", 7, tmp_path / "shaken")
    assert shaken.metrics["novel.recall@20"] == 1.0
    assert not np.allclose(shaken.vectors["Product"].matrix, clean.vectors["Product"].matrix, atol=1e-4)


@pytest.mark.parametrize("encoder", list(ENCODERS))
def test_accumulated_micro_batches_and_bf16_train(encoder: str, planted, tmp_path: Path) -> None:
    snapshot, holdout = planted()
    optimiser = replace(CONFIG.optimiser, accumulate=2, precision="bf16")
    config = replace(FOLDS if encoder == "lightgcn" else CONFIG, encoder=encoder, optimiser=optimiser)
    trained = train_graph_embedding(snapshot, config, holdout, "cpu", 7, tmp_path)
    assert trained.metrics["novel.recall@20"] == 1.0


@CUDA
@pytest.mark.parametrize("sampling", [None, SamplingConfig((4,))], ids=["whole", "sampled"])
@pytest.mark.parametrize("encoder", list(ENCODERS))
def test_a_cuda_device_learns_what_a_processor_does(
    encoder: str, sampling: SamplingConfig | None, planted, tmp_path: Path
) -> None:
    """And keeps weights that open without one. Rounding alone leads two trainings of so small a shop apart later on."""
    snapshot, holdout = planted()
    config = replace(CONFIG, encoder=encoder, sampling=None if encoder == "lightgcn" else sampling)
    here, there = (
        train_graph_embedding(snapshot, config, holdout, device, 7, tmp_path / device) for device in ("cpu", "cuda")
    )
    assert there.curves[0].loss == pytest.approx(here.curves[0].loss, abs=1e-3)
    assert there.metrics["novel.recall@20"] == pytest.approx(here.metrics["novel.recall@20"], abs=0.05)
    kept = torch.load(there.files["model.pt"], weights_only=True)
    assert {weights.device.type for weights in kept.values()} == {"cpu"}


def test_text_vectors_are_features_of_products(planted, tmp_path: Path) -> None:
    snapshot, holdout = planted()
    text = np.random.default_rng(0).normal(size=(PRODUCTS, 5)).astype(np.float32)
    without = train_graph_embedding(snapshot, CONFIG, holdout, "cpu", 7, tmp_path / "without")
    config = replace(CONFIG, text_features=True)
    joined = train_graph_embedding(snapshot, config, holdout, "cpu", 7, tmp_path / "with", text=text)
    assert not np.allclose(joined.vectors["Product"].matrix, without.vectors["Product"].matrix, atol=1e-4)


def test_affinities_leave_room_for_taste() -> None:
    with pytest.raises(ConfigurationError, match="dimension 16: at least 19 with affinity_width 16"):
        replace(CONFIG, dimension=16, affinity_width=16)
    with pytest.raises(ConfigurationError, match="affinity_width -1"):
        replace(CONFIG, affinity_width=-1)
    assert replace(CONFIG, encoder="lightgcn", dimension=16).affinities == 0


def test_text_is_given_where_the_config_has_it_and_only_there(planted, tmp_path: Path) -> None:
    snapshot, holdout = planted()
    text = np.ones((PRODUCTS, 5), np.float32)
    with pytest.raises(ConfigurationError, match="text_features is true and no text vectors were given"):
        train_graph_embedding(snapshot, replace(CONFIG, text_features=True), holdout, "cpu", 7, tmp_path)
    with pytest.raises(ConfigurationError, match="text_features is false and text vectors were given"):
        train_graph_embedding(snapshot, CONFIG, holdout, "cpu", 7, tmp_path, text=text)
    with pytest.raises(ConfigurationError, match="lightgcn reads no features"):
        replace(CONFIG, encoder="lightgcn", text_features=True)


def test_a_loss_that_is_not_known_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="loss 'hinge'"):
        replace(CONFIG, loss="hinge")


def test_a_config_from_a_card_is_the_same_config() -> None:
    assert GraphEmbeddingConfig(**asdict(CONFIG)) == CONFIG
