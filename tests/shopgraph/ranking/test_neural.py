"""What is bought shows in two features together and in neither alone: a network finds it, with torch and without."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from shopgraph.errors import InputError
from shopgraph.evaluation import figures
from shopgraph.ranking.features import Features
from shopgraph.ranking.network import NetworkRanker
from shopgraph.ranking.neural import exported, lambda_loss, train
from shopgraph.ranking.neural_config import NeuralConfig
from shopgraph.ranking.neural_network import DeepCrossNetwork, MeanScore, QuantileBins
from shopgraph.ranking.ranker import load_ranker

CONFIG = NeuralConfig(
    cross_layers=1, cross_rank=4, hidden=(8,), dropout=0.0, noise=0.0, learning_rate=0.02, epochs=20, networks=2
)
SERVED = """
import sys
from pathlib import Path
import numpy as np
from shopgraph.ranking import served
from shopgraph.ranking.features import Features
from shopgraph.ranking.ranker import load_ranker
print([name for name in ("onnxruntime", "lightgbm", "torch") if name in sys.modules])
ranker = load_ranker(Path(sys.argv[1]))
rows = Features(ranker.names, ranker.groups, np.zeros((3, len(ranker.names)), np.float32))
ranker.scores(rows), ranker.contributions(rows)
print([name for name in ("onnxruntime", "torch") if name in sys.modules])
"""


@pytest.fixture(scope="module")
def ranker(alike) -> NetworkRanker:
    return train([alike(150, 1)[0], alike(100, 2)[0]], CONFIG, alike(60, 3), seed=5)


def test_the_product_that_two_features_agree_on_comes_first(alike, ranker: NetworkRanker) -> None:
    rows, setting = alike(100, 4)
    assert figures(ranker.rank(rows)[:, :1], setting).recall.mean() > 0.95
    assert len(ranker.epochs) == 2
    assert ranker.curve[ranker.epochs[0] - 1] == max(ranker.curve)


def test_what_is_missing_can_be_what_decides(alike) -> None:
    def planted(seed: int):
        rows, setting = alike(100, seed)
        values = rows.features.values.copy()
        values[:, :2], values[:, 2] = 0.0, np.where(rows.labels, np.nan, values[:, 0])
        return replace(rows, features=replace(rows.features, values=values)), setting

    found = train([planted(1)[0]], replace(CONFIG, networks=1, epochs=10), seed=5)
    rows, setting = planted(2)
    assert figures(found.rank(rows)[:, :1], setting).recall.mean() > 0.95
    assert found.epochs == (10,)


def test_the_same_seed_gives_the_same_network_and_another_does_not(alike) -> None:
    folds, few = [alike(40, 1)[0]], replace(CONFIG, epochs=2, dropout=0.2, noise=0.1)
    first, again, other = (train(folds, few, seed=seed).scores(folds[0].features) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)


def test_the_exported_network_scores_as_the_trained_one() -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(500, 6)).astype(np.float32) * np.array([1, 100, 0.01, 1, 1, 1e6], np.float32)
    values[random.random(values.shape) < 0.2] = np.nan
    values[:, 3], values[:5, 4], values[5:9, 4] = np.nan, np.inf, -np.inf
    network = MeanScore([DeepCrossNetwork(QuantileBins(values, 5, 0.1), 2, 3, (8, 4), 0.5) for _ in range(2)]).eval()
    names = tuple("abcdef")
    ranker = NetworkRanker(exported(network, 6), names, ("price",) * 6, values[0])
    with torch.no_grad():
        expected = network(torch.from_numpy(values)).numpy()
    assert np.isfinite(expected).all()
    assert np.std(expected) > 0.01
    for rows in (500, 1, 0):
        found = ranker.scores(Features(names, ("price",) * 6, values[:rows]))
        assert np.allclose(found, expected[:rows], atol=1e-4)


def test_contributions_sum_to_the_score_and_name_what_decides(alike, ranker: NetworkRanker) -> None:
    features = alike(10, 6)[0].features
    shares = ranker.contributions(features)
    assert shares.shape == (80, 6)
    assert np.allclose(shares.sum(axis=1), ranker.scores(features), atol=1e-4)
    assert np.allclose(shares[:7], ranker.contributions(features.chosen(np.arange(7))), atol=1e-5)
    size = np.abs(shares[:, :-1]).mean(axis=0)
    assert size[:2].min() > 3 * size[2:].max()
    assert size[3] < 1e-6, "always missing, as it is in the reference"
    assert len(np.unique(shares[:, -1])) == 1


def test_a_bin_s_share_says_where_in_it_a_value_lies() -> None:
    bins = QuantileBins(np.array([[0.0], [1.0], [2.0], [4.0], [np.nan]], np.float32), 3, 0.0)
    ranks, below = bins(torch.tensor([[0.0], [1.5], [3.0], [9.0], [torch.nan]]))
    # quantiles 0, 1, 2, 4, in whose bins lie shares of each value, and whether it is missing
    shares = [[0, 0, 0, 0], [1, 0.5, 0, 0], [1, 1, 0.5, 0], [1, 1, 1, 0], [0.5, 0.5, 0.5, 1]]
    assert torch.allclose(below, torch.tensor(shares) - torch.tensor([0.5, 0.5, 0.5, 0.0]))
    middle = [(sum(row[:3]) / 3 - 0.5) * 12**0.5 for row in shares]
    assert torch.allclose(ranks[:, 0], torch.tensor(middle), atol=1e-6)


def test_a_pair_costs_what_its_swap_does_to_ndcg() -> None:
    scores = torch.tensor([[2.0, 1.0, 0.0, 7.0]], requires_grad=True)
    labels, there = torch.tensor([[0.0, 1.0, 0.0, 0.0]]), torch.tensor([[True, True, True, False]])
    second, third = 1 / np.log2(3), 1 / np.log2(4)
    expected = (1 - second) * np.log1p(np.exp(1.0)) + (second - third) * np.log1p(np.exp(-1.0))
    loss = lambda_loss(scores, labels, there, 50)
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    loss.backward()
    pull = (1 - second) / (1 + np.exp(-1.0))
    assert scores.grad is not None
    assert scores.grad[0, 0].item() == pytest.approx(pull, abs=1e-6)
    assert scores.grad[0, 3].item() == 0.0
    assert lambda_loss(scores, labels, there, 1).item() == pytest.approx(np.log1p(np.exp(1.0)), abs=1e-6)


def test_a_saved_network_ranks_the_same_without_torch(alike, ranker: NetworkRanker, tmp_path: Path) -> None:
    rows = alike(20, 7)[0]
    ranker.save(tmp_path)
    loaded = load_ranker(tmp_path)
    assert isinstance(loaded, NetworkRanker)
    assert np.array_equal(loaded.scores(rows.features), ranker.scores(rows.features))
    assert np.array_equal(loaded.contributions(rows.features), ranker.contributions(rows.features))
    assert (loaded.names, loaded.groups, loaded.epochs, loaded.curve) == (
        ranker.names,
        ranker.groups,
        ranker.epochs,
        ranker.curve,
    )
    asked = [sys.executable, "-c", SERVED, str(tmp_path)]
    told = subprocess.run(asked, capture_output=True, text=True, timeout=300, check=True)
    assert told.stdout.splitlines() == ["[]", "['onnxruntime']"]


def test_a_damaged_folder_is_named(ranker: NetworkRanker, tmp_path: Path) -> None:
    def damaged(name: str, content: bytes | None) -> Path:
        folder = tmp_path / f"{name}-{len(content or b'')}"
        ranker.save(folder)
        (folder / name).write_bytes(content) if content is not None else (folder / name).unlink()
        return folder

    card = json.loads(json.dumps({"kind": "neural", "features": {}, "reference": [], "epochs": [], "curve": []}))
    for name, content in (
        ("network.onnx", ranker.network[: len(ranker.network) // 2]),
        ("network.onnx", None),
        ("ranker.json", b"{"),
        ("ranker.json", b"[1]"),
        ("ranker.json", json.dumps({"kind": "neural"}).encode()),
        ("ranker.json", json.dumps(card).encode()),
    ):
        with pytest.raises(InputError, match="holds no ranker that can be read"):
            load_ranker(damaged(name, content))
    with pytest.raises(InputError, match="of the kind 'oracle', which is not known here"):
        load_ranker(damaged("ranker.json", b'{"kind": "oracle"}'))


def test_other_features_and_folds_that_teach_nothing_are_refused(alike, ranker: NetworkRanker) -> None:
    rows, setting = alike(10, 8)
    features = rows.features
    turned = replace(features, names=features.names[::-1], values=features.values[:, ::-1])
    for asked in (ranker.scores, ranker.contributions):
        with pytest.raises(InputError, match="the order differs"):
            asked(turned)
    with pytest.raises(InputError, match="the order differs"):
        train([rows], CONFIG, (replace(rows, features=turned), setting))
    with pytest.raises(InputError, match="at least one fold"):
        train([], CONFIG)
    with pytest.raises(InputError, match="has nothing to learn from"):
        train([replace(rows, labels=np.zeros(len(rows), bool))], CONFIG)
