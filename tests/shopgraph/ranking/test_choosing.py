"""The kind that ranks best for users it has not learned from is the one that serves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shopgraph.errors import ConfigurationError, InputError
from shopgraph.evaluation import figures
from shopgraph.ranking.blend import BlendedRanker
from shopgraph.ranking.choosing import KINDS, Learners, choose_ranker
from shopgraph.ranking.examples import SampleConfig
from shopgraph.ranking.lambdamart import LambdaMartConfig, Ranker, train
from shopgraph.ranking.network import NetworkRanker
from shopgraph.ranking.neural_config import NeuralConfig
from shopgraph.ranking.ranker import load_ranker

TREES = LambdaMartConfig(
    rounds=60, learning_rate=0.2, num_leaves=7, min_data_in_leaf=5, feature_fraction=1.0, l2=1.0, losses=("lambdarank",)
)
STUMP = replace(TREES, rounds=10, num_leaves=2)
"""One feature at a time says nothing here."""
NETWORK = NeuralConfig(
    cross_layers=1, cross_rank=4, hidden=(8,), dropout=0.0, noise=0.0, learning_rate=0.02, epochs=20, networks=1
)
UNTRAINED = replace(NETWORK, epochs=1, learning_rate=1e-9)


@pytest.mark.parametrize(("trees", "network", "best"), [(STUMP, NETWORK, "neural"), (TREES, UNTRAINED, "lambdamart")])
def test_the_better_one_serves(alike, trees: LambdaMartConfig, network: NeuralConfig, best: str) -> None:
    told: list[str] = []
    learners = Learners(("lambdamart", "neural"), trees, network, seed=3)
    chosen = choose_ranker([alike(150, 1)[0]], alike(60, 2), learners, told.append)
    worse = "neural" if best == "lambdamart" else "lambdamart"
    assert isinstance(chosen.ranker, NetworkRanker if best == "neural" else Ranker)
    metrics = chosen.metrics
    assert metrics["serves"] == best
    assert metrics[f"{best}.ndcg@20"] == metrics["ndcg@20"] > 0.9
    gain = metrics[f"{best}.ndcg@20"] - metrics[f"{worse}.ndcg@20"]
    assert gain > 0.2
    assert metrics[f"{best}_over_{worse}.ndcg@20"] == pytest.approx(gain)
    assert 0 < metrics[f"{best}_over_{worse}.low"] < gain < metrics[f"{best}_over_{worse}.high"]
    assert metrics["users"] == 60
    assert len(metrics["epochs"]) == 1
    assert metrics["rounds"] <= trees.rounds
    assert metrics["importance"]
    assert [said for said in told if said in KINDS] == ["lambdamart", "neural"]


def test_a_kind_that_is_turned_off_is_not_trained(alike) -> None:
    chosen = choose_ranker([alike(100, 1)[0]], alike(60, 2), Learners(("lambdamart",), TREES, NETWORK))
    assert isinstance(chosen.ranker, Ranker)
    assert chosen.metrics["serves"] == "lambdamart"
    assert not [name for name in chosen.metrics if "neural" in name or name == "epochs"]
    for kinds in ((), ("lambdamart", "oracle")):
        with pytest.raises(ConfigurationError, match="name one or more of lambdamart, neural, both"):
            Learners(kinds, TREES, NETWORK)


def test_what_serves_learned_from_the_judging_rows_too_but_is_not_judged_by_them(alike) -> None:
    few, (judges, setting), (others, asked) = alike(12, 1)[0], alike(150, 2), alike(60, 4)
    learners = Learners(("lambdamart",), TREES, NETWORK, sample=SampleConfig(negatives=3))
    chosen = choose_ranker([few], (judges, setting), learners)
    of_few = train([few], TREES, (judges, setting))
    assert chosen.metrics["ndcg@20"] == figures(of_few.rank(judges), setting).ndcg.mean()
    assert (chosen.ranker.rounds, chosen.ranker.curve) == (of_few.rounds, of_few.curve)
    sampled = judges.sampled(learners.sample)
    assert (len(sampled), sampled.labels.sum()) == (150 * 4, 150)
    before, after = (figures(ranker.rank(others), asked).ndcg.mean() for ranker in (of_few, chosen.ranker))
    assert after > before + 0.05

    whole = choose_ranker([few], (judges, setting), learners, later=alike(150, 5)[0]).ranker
    assert whole.rounds == of_few.rounds
    assert figures(whole.rank(others), asked).ndcg.mean() >= after
    assert not np.array_equal(whole.scores(others.features), chosen.ranker.scores(others.features))

    unsold = replace(judges, labels=np.zeros(len(judges), bool))
    alone = choose_ranker([few], (unsold, setting), learners)
    assert np.array_equal(alone.ranker.scores(others.features), of_few.scores(others.features))


def test_networks_are_trained_again_for_as_long_as_was_best(alike) -> None:
    few, judged, told = alike(12, 1)[0], alike(150, 2), list[str]()
    learners = Learners(("neural",), TREES, replace(NETWORK, networks=2, epochs=6), seed=3)
    chosen = choose_ranker([few], judged, learners, told.append)
    epochs = chosen.metrics["epochs"]
    assert chosen.ranker.epochs == tuple(epochs)
    assert len(chosen.ranker.curve) >= epochs[0]
    again = told[told.index("neural, from all weeks and users") + 1 :]
    assert [sum(said.startswith(f"network {number}") for said in again) for number in (1, 2)] == epochs


def test_both_are_the_mean_of_scores_in_units_of_their_spread(alike, tmp_path: Path) -> None:
    folds, judged = [alike(100, 1)[0]], alike(60, 2)
    chosen = choose_ranker(folds, judged, Learners(("both",), TREES, NETWORK, seed=3))
    assert chosen.metrics["serves"] == "both"
    assert chosen.metrics["ndcg@20"] > 0.9
    ranker, features = chosen.ranker, judged[0].features
    assert isinstance(ranker, BlendedRanker)
    sides = []
    for part in ranker.parts.values():
        scores = part.scores(features)
        centred = scores.reshape(60, 8) - scores.reshape(60, 8).mean(axis=1, keepdims=True)
        sides.append(scores / centred.std())
    assert np.allclose(BlendedRanker.of(ranker.parts, judged[0]).scores(features), np.mean(sides, axis=0))
    shares = ranker.contributions(features)
    assert np.allclose(shares.sum(axis=1), ranker.scores(features), atol=1e-4)
    ranker.save(tmp_path)
    loaded = load_ranker(tmp_path)
    assert np.allclose(loaded.scores(features), ranker.scores(features))
    assert (loaded.names, loaded.groups) == (features.names, features.groups)
    (tmp_path / "neural" / "network.onnx").unlink()
    with pytest.raises(InputError, match="neural holds no ranker that can be read"):
        load_ranker(tmp_path)
    (tmp_path / "ranker.json").write_text('{"kind": "both"}')
    with pytest.raises(InputError, match="holds no ranker that can be read"):
        load_ranker(tmp_path)


def test_trees_kept_before_there_were_other_kinds_are_read(alike, tmp_path: Path) -> None:
    rows, _ = alike(60, 1)
    trees = train([rows], replace(TREES, rounds=5))
    trees.save(tmp_path)
    card = tmp_path / "ranker.json"
    card.write_text(card.read_text().replace('"kind": "lambdamart",', ""))
    for exported in tmp_path.glob("*.onnx"):  # nor were trees exported then
        exported.unlink()
    assert np.array_equal(load_ranker(tmp_path).scores(rows.features), trees.scores(rows.features))
