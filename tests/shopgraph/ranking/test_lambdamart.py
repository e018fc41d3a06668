"""The newest product of the user's own brand is the answer; the sources know neither newness nor brand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shopgraph.errors import ConfigurationError, InputError
from shopgraph.evaluation import NO_ITEM, Setting, figures
from shopgraph.ranking.candidates import CandidateConfig, find_candidates
from shopgraph.ranking.examples import Examples, SampleConfig, make_examples
from shopgraph.ranking.exported_trees import ExportedTrees
from shopgraph.ranking.folds import FoldConfig, make_folds
from shopgraph.ranking.lambdamart import LOSSES, LambdaMartConfig, Ranker, train
from shopgraph.ranking.ranker import load_ranker, spread

USERS = 80
CONFIG = LambdaMartConfig(
    rounds=40, learning_rate=0.2, num_leaves=7, min_data_in_leaf=5, l2=1.0, losses=LOSSES, judged_every=5
)
FOLDS = FoldConfig(weeks_before_end=(2, 3, 4, 5, 6), label_weeks=1)


@pytest.fixture(scope="module")
def made(shop, fit_sources) -> list[tuple[Examples, Setting]]:
    """Five folds to learn from and the last week, all judged as novel."""
    found = []
    for fold in (*make_folds(shop.end_ms, FOLDS), *make_folds(shop.end_ms, FoldConfig((1,), label_weeks=1))):
        setting = fold.settings(shop.lines.purchases)["novel"]
        sources = fit_sources(shop.lines.purchases, fold.moment_ms)
        candidates = find_candidates(setting, sources, CandidateConfig(1000))
        rows = make_examples(candidates, setting, shop.lines, shop.facets, fold.moment_ms)
        found.append((rows, setting))
    return found


@pytest.fixture(scope="module")
def folds(made) -> list[Examples]:
    return [rows for rows, _ in made[:-1]]


@pytest.fixture(scope="module")
def ranker(folds: list[Examples]) -> Ranker:
    return train(folds, CONFIG, seed=3)


def first_right(ranked: np.ndarray, setting: Setting) -> float:
    return float(figures(ranked[:, :1], setting).recall.mean())


def test_the_withheld_product_comes_first(made, ranker: Ranker) -> None:
    rows, setting = made[-1]
    assert len(setting.users) > 15
    assert first_right(ranker.rank(rows), setting) >= 0.95


def test_without_attributes_the_brand_is_a_guess(made, folds: list[Examples]) -> None:
    rows, setting = made[-1]
    blind = train([fold.without_groups("attribute", "graph") for fold in folds], CONFIG, seed=3)
    assert not [group for group in blind.groups if group in ("attribute", "graph")]
    assert first_right(blind.rank(rows.without_groups("attribute", "graph")), setting) < 0.6


def test_the_same_seed_gives_the_same_trees_and_another_does_not(folds: list[Examples], ranker: Ranker) -> None:
    again, other = (train(folds, CONFIG, seed=seed).scores(folds[0].features) for seed in (3, 4))
    scores = ranker.scores(folds[0].features)
    assert np.array_equal(scores, again)
    assert not np.array_equal(scores, other)


def test_each_loss_has_a_set_and_they_weigh_alike(made, folds: list[Examples], ranker: Ranker) -> None:
    assert tuple(booster.params["objective"] for booster in ranker.boosters) == CONFIG.losses
    assert {booster.params["seed"] for booster in ranker.boosters} == {3, 4, 5}
    rows = made[-1][0]
    sides = [
        replace(ranker, boosters=(each,), spreads=(of,))
        for each, of in zip(ranker.boosters, ranker.spreads, strict=True)
    ]
    spreads = [spread(folds[-1].candidates, side.scores(folds[-1].features)) for side in sides]
    assert spreads == pytest.approx([1.0, 1.0, 1.0])
    assert np.allclose(sum(side.scores(rows.features) for side in sides), ranker.scores(rows.features))
    with pytest.raises(ConfigurationError, match="losses of trees"):
        LambdaMartConfig(losses=("hinge",))


@pytest.mark.parametrize("loss", LOSSES)
def test_by_every_loss_alone_the_withheld_product_comes_first_and_what_is_exported_scores_alike(
    made, folds: list[Examples], tmp_path: Path, loss: str
) -> None:
    rows, setting = made[-1]
    ranker = train(folds, replace(CONFIG, losses=(loss,)), seed=3)
    assert first_right(ranker.rank(rows), setting) >= 0.9
    ranker.save(tmp_path)
    exported = ExportedTrees.load(tmp_path)
    assert np.allclose(exported.scores(rows.features), ranker.scores(rows.features), rtol=1e-5, atol=1e-5)
    told = ranker.contributions(rows.features)
    assert np.allclose(told.sum(axis=1), ranker.scores(rows.features), atol=1e-6)


def test_judged_weeks_choose_the_rounds_by_their_figures(made, folds: list[Examples]) -> None:
    rows, setting = made[-1]
    chosen = train(folds, CONFIG, (rows, setting), seed=3)
    assert len(chosen.curve) == 8
    assert chosen.rounds == 5 * (1 + int(np.argmax(chosen.curve)))
    assert figures(chosen.rank(rows), setting).ndcg.mean() == pytest.approx(max(chosen.curve))


def test_a_saved_ranker_ranks_the_same(made, folds: list[Examples], tmp_path: Path) -> None:
    rows, setting = made[-1]
    ranker = train(folds, CONFIG, (rows, setting), seed=3)
    ranker.save(tmp_path / "kept")
    loaded = Ranker.load(tmp_path / "kept")
    assert np.array_equal(loaded.rank(rows), ranker.rank(rows))
    assert (loaded.names, loaded.groups, loaded.rounds, loaded.curve) == (
        ranker.names,
        ranker.groups,
        ranker.rounds,
        ranker.curve,
    )
    assert loaded.importance() == pytest.approx(ranker.importance())
    (tmp_path / "kept" / "trees-1.txt").unlink()
    with pytest.raises(InputError, match="holds no ranker that can be read"):
        Ranker.load(tmp_path / "kept")


def test_exported_trees_score_as_those_they_were_exported_from(made, ranker: Ranker, tmp_path: Path) -> None:
    rows = made[-1][0]
    ranker.save(tmp_path / "kept")
    exported = load_ranker(tmp_path / "kept")
    assert isinstance(exported, ExportedTrees)
    unsure = rows.features.values.copy()
    assert len(np.unique(ranker.scores(rows.features))) > 20
    unsure[::2, ::3] = np.nan
    for features in (rows.features, replace(rows.features, values=unsure)):
        assert np.abs(exported.scores(features) - ranker.scores(features)).max() < 1e-5
        assert np.array_equal(exported.contributions(features), ranker.contributions(features))
    exported.save(tmp_path / "again")
    assert np.array_equal(load_ranker(tmp_path / "again").scores(rows.features), exported.scores(rows.features))
    with pytest.raises(InputError, match="the ranker was trained on other features"):
        exported.scores(rows.features.without_groups("price"))
    (tmp_path / "again" / "trees-1.onnx").write_bytes(b"no trees")
    with pytest.raises(InputError, match="train it again"):
        load_ranker(tmp_path / "again")


def test_importance_shares_the_gain(ranker: Ranker) -> None:
    shares = ranker.importance()
    assert sum(shares.values()) == pytest.approx(1.0)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert any(name.startswith("brand_") for name in list(shares)[:3])


def test_other_features_are_refused(made, ranker: Ranker) -> None:
    rows = made[-1][0]
    with pytest.raises(InputError, match="without brand_share"):
        ranker.rank(rows.without_groups("attribute"))
    features = rows.features
    turned = replace(features, names=features.names[::-1], values=features.values[:, ::-1])
    with pytest.raises(InputError, match="the order differs"):
        ranker.scores(turned)
    renamed = replace(features, names=("novelty", *features.names[1:]))
    with pytest.raises(InputError, match="without popularity_score; with novelty"):
        ranker.scores(renamed)


def test_a_list_that_runs_out_is_filled_up(made, ranker: Ranker) -> None:
    rows = made[-1][0]
    user = rows.candidates.judged[0]
    few = np.flatnonzero((rows.candidates.users != user) | (np.cumsum(rows.candidates.users == user) <= 3))
    ranked = ranker.rank(Examples(rows.candidates.chosen(few), rows.features.chosen(few), rows.labels[few]))
    assert (ranked[0, :3] != NO_ITEM).all()
    assert (ranked[0, 3:] == NO_ITEM).all()


def test_folds_that_teach_nothing_are_refused(folds: list[Examples]) -> None:
    with pytest.raises(InputError, match="at least one fold"):
        train([], CONFIG)
    empty = replace(folds[1], labels=np.zeros(len(folds[1]), dtype=bool))
    with pytest.raises(InputError, match="fold 2 of 2 has nothing to learn from"):
        train([folds[0], empty], CONFIG)
    with pytest.raises(InputError, match="fold 2 has other features"):
        train([folds[0], folds[1].without_groups("price")], CONFIG)


def test_sampling_keeps_all_that_was_bought_and_some_of_the_rest(shop, made) -> None:
    fold = make_folds(shop.end_ms, FOLDS)[0]
    whole, setting = made[0]
    given = whole.candidates, setting, shop.lines, shop.facets, fold.moment_ms, SampleConfig(negatives=6)
    some, again, other = (make_examples(*given, seed=seed) for seed in (1, 1, 2))
    assert some.labels.sum() == whole.labels.sum()
    missed = np.bincount(whole.candidates.users[~whole.labels], minlength=USERS)
    kept = np.bincount(some.candidates.users[~some.labels], minlength=USERS)
    assert kept.tolist() == np.minimum(missed, 6).tolist()
    assert missed.max() > 6
    assert some.candidates.products.tolist() == again.candidates.products.tolist()
    assert some.candidates.products.tolist() != other.candidates.products.tolist()
    place = np.flatnonzero(
        (whole.candidates.users == some.candidates.users[0])
        & (whole.candidates.products == some.candidates.products[0])
    )
    assert np.array_equal(whole.features.values[place[0]], some.features.values[0], equal_nan=True)
