"""Click prediction's figures against hand arithmetic, and its combination on planted evidence."""

from __future__ import annotations

import click_prediction
import numpy as np
import pytest
from click_prediction import Observed
from kg_data import LabelledPairs, Split
from source_tables import node_table

from shopgraph.evaluation import NO_ITEM

POSITIVE = np.array([True, False, True, False, False])
SCORES = np.array([0.9, 0.8, 0.7, 0.7, 0.1])


def test_auc_counts_pairs_in_order_and_ties_half() -> None:
    # .9 is over all three negatives; .7 is under .8, level with .7, over .1
    assert click_prediction.auc(POSITIVE, SCORES) == pytest.approx((3 + 0 + 0.5 + 1) / 6)


def test_f1_at_the_best_threshold() -> None:
    # from .9 on: precision 1, recall 1/2, F1 2/3; from .8: 1/2, 1/2; from .7: 2/4, 2/2, F1 2/3; from .1: 2/5, 1, F1 4/7
    assert click_prediction.best_threshold(POSITIVE, SCORES) in (0.9, 0.7)
    assert click_prediction.f1(POSITIVE, SCORES, 0.8) == pytest.approx(0.5)
    assert click_prediction.f1(POSITIVE, SCORES, 0.7) == pytest.approx(2 / 3)
    assert click_prediction.f1(POSITIVE, SCORES, 0.1) == pytest.approx(4 / 7)


def test_the_threshold_parts_what_can_be_parted() -> None:
    positive = np.array([False, False, True, True])
    assert click_prediction.best_threshold(positive, np.array([0.1, 0.2, 0.3, 0.4])) == 0.3


def test_scores_are_standardised_within_their_user() -> None:
    found = click_prediction.standardised(np.array([[1.0, 3.0], [10.0, 30.0], [0.1, 0.1]]))
    np.testing.assert_allclose(found, [[-1, 1], [-1, 1], [0, 0]])


def test_a_pass_scores_the_asked_pairs_and_ranks_what_was_not_bought() -> None:
    """Two users, three products; the second bought nothing in train and is not ranked for."""
    nodes = {"User": node_table("User", id=["a", "b"]), "Product": node_table("Product", id=["p", "q", "r"])}
    data = LabelledPairs(np.array([0, 0, 1, 0]), np.array([0, 1, 2, 2]), np.array([True, True, True, False]), nodes, {})
    split = Split(train=np.array([0]), validation=np.array([2, 1]), test=np.array([3]))
    scores = np.array([[5.0, 1.0, 3.0], [0.0, 0.0, 6.0]])
    seen = click_prediction.observe(lambda rows: scores[rows], data, split)
    deviation = np.sqrt(8 / 3)
    np.testing.assert_allclose(seen.pairs, [0.0, -2 / deviation, 4 / np.sqrt(8), 0.0], rtol=1e-6)
    assert seen.ranked[:, :3].tolist() == [[2, 1, NO_ITEM], [NO_ITEM] * 3]
    found = seen.ranking(data.setting(split.train, split.validation))
    assert found.recall.tolist() == [1.0]
    np.testing.assert_allclose(found.ndcg, [1 / np.log2(3)])


def test_the_combination_weighs_what_tells_and_scores_as_it_was_fitted() -> None:
    random = np.random.default_rng(0)
    scores = {name: random.normal(size=(40, 30)) for name in ("telling", "silent")}
    users, products = (grid.ravel() for grid in np.indices((40, 30)))
    positive = random.random(1200) < 1 / (
        1 + np.exp(-2 * np.arcsinh(click_prediction.STEEPNESS * scores["telling"]).ravel())
    )
    rows = {name: click_prediction.standardised(one) for name, one in scores.items()}
    seen = {name: Observed(one[users, products], np.empty((0, 0))) for name, one in rows.items()}
    learned = click_prediction.combine(seen, positive, np.arange(0, 1200, 2))
    assert learned.weights[0] > 1.0
    assert abs(learned.weights[1]) < 0.2
    of_users = learned.scorer({name: lambda rows, one=one: one[rows] for name, one in scores.items()})
    np.testing.assert_allclose(of_users(np.arange(40))[users, products], learned.pairs(seen), rtol=1e-4, atol=1e-5)
