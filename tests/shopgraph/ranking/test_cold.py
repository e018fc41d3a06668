"""What nobody has bought yet is ranked by what the catalogue says, learned from what was new at earlier moments."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from shopgraph.collaborative.peers import fit_peer
from shopgraph.dataset.hetero import to_hetero
from shopgraph.dataset.purchases import Purchases, to_ms
from shopgraph.embed.message_graph import catalogue_matrix
from shopgraph.evaluation import Scorer
from shopgraph.ranking.candidates import CandidateConfig
from shopgraph.ranking.folds import FoldConfig
from shopgraph.ranking.lambdamart import LambdaMartConfig
from shopgraph.ranking.served import COLD, OwnLines, ServedRanker
from shopgraph.ranking.training import ColdConfig, RankerConfig, TrainedRanker, TreesConfig, train_ranker

from .conftest import BRANDS, START, USERS, WEEKS, product

TREES = LambdaMartConfig(
    rounds=20, learning_rate=0.2, num_leaves=7, min_data_in_leaf=5, l2=1.0, judged_every=5, losses=("lambdarank",)
)
CONFIG = RankerConfig(
    folds=FoldConfig(weeks_before_end=(1, 2, 3), label_weeks=1),
    candidates=CandidateConfig(1000),
    trees=TreesConfig(TREES, TREES, TREES),
    cold=ColdConfig(candidates=CandidateConfig(1000), folds=3),
)
LAST = WEEKS - 1


@pytest.fixture(scope="module")
def cut(shop):
    """A week before the planted shop ends: its last launches, one a brand, are on the shelf and unsold."""
    return shop.snapshot.until(START + timedelta(weeks=LAST))


@pytest.fixture(scope="module")
def trained(cut, fit_sources) -> TrainedRanker:
    """Of two sources that know unsold products one is right, by the brand, and one draws lots."""
    bought, catalogue = Purchases.of(cut), catalogue_matrix(to_hetero(cut))

    def fit(moment_ms: int) -> dict[str, Scorer]:
        lots = np.random.default_rng(moment_ms % 1000).random(bought.shape)
        affinity = fit_peer("attribute_affinity", bought, moment_ms, catalogue)
        return {**fit_sources(bought, moment_ms), "attribute_affinity": affinity, "text": lambda rows: lots[rows]}

    return train_ranker(cut, fit, CONFIG)


def own_lines(cut, user: int) -> OwnLines:
    bought, ids = Purchases.of(cut), cut.ids("Product")
    rows = np.flatnonzero(bought.users == user)
    known = [ids[row] for row in bought.products[rows]]
    return OwnLines(known, bought.times[rows].tolist(), [1] * len(rows), [2.0] * len(rows), [0.0] * len(rows))


def ranked(served: ServedRanker, cut, user: int) -> list[str]:
    return [item.id for item in served.ranked(COLD, f"u{user:02}", own_lines(cut, user), cut.before)]


def test_the_launch_of_the_own_brand_comes_first_though_nobody_bought_it(cut, trained) -> None:
    launched = {product(brand, LAST) for brand in range(BRANDS)}
    right = []
    for user in range(USERS):
        found = ranked(trained.served, cut, user)
        assert set(found) <= launched, "nothing that anybody bought"
        right.append(found[0] == product(user % BRANDS, LAST))
    assert np.mean(right) > 0.95


def test_its_figures_are_told_beside_the_others(trained) -> None:
    assert trained.metrics["cold.users"] > 0
    assert trained.metrics["cold.ndcg@20"] > 0.5
    assert {name.partition(".")[0] for name in trained.metrics} == {"all", "novel", "cold"}


@pytest.mark.parametrize(("of_folds", "weeks"), [(1, {1}), (2, {1, 2})])
def test_it_learns_from_what_was_first_bought_after_the_moment_and_from_nothing_known(
    cut, trained, fit_sources, monkeypatch: pytest.MonkeyPatch, of_folds: int, weeks: set[int]
) -> None:
    from shopgraph.ranking import training

    bought, seen = Purchases.of(cut), []
    real = training.make_examples

    def watched(candidates, setting, lines, facets, moment_ms, *rest):
        if setting.name == COLD:
            known = bought.before(moment_ms).buyers() > 0
            assert not known[candidates.products].any()
            truth = setting.truth.toarray()
            later = bought.since(moment_ms).binary().toarray() > 0
            assert (truth <= (later & ~known)).all()
            seen.append(moment_ms)
        return real(candidates, setting, lines, facets, moment_ms, *rest)

    monkeypatch.setattr(training, "make_examples", watched)
    lots = np.random.default_rng(0).random(bought.shape)
    train_ranker(
        cut, lambda moment: {**fit_sources(bought, moment), "text": lambda rows: lots[rows]},
        replace(CONFIG, folds=FoldConfig((1, 2), label_weeks=1), cold=replace(CONFIG.cold, folds=of_folds)),
    )  # fmt: skip
    assert {(to_ms(cut.before) - moment) // (7 * 86_400_000) for moment in seen} == weeks
