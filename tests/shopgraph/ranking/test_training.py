"""A ranker trained from a snapshot alone finds the planted answer, and learns nothing from whom it is judged by."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from shopgraph.dataset.purchases import WEEK_MS
from shopgraph.errors import ConfigurationError, InputError
from shopgraph.evaluation import Setting
from shopgraph.ranking import choosing
from shopgraph.ranking.candidates import CandidateConfig
from shopgraph.ranking.choosing import KINDS
from shopgraph.ranking.examples import Examples
from shopgraph.ranking.folds import FoldConfig, make_folds
from shopgraph.ranking.lambdamart import LambdaMartConfig
from shopgraph.ranking.neural_config import NeuralConfig
from shopgraph.ranking.own_lines import OwnLines
from shopgraph.ranking.training import RankerConfig, TreesConfig, train_ranker

TREES = LambdaMartConfig(
    rounds=40, learning_rate=0.2, num_leaves=7, min_data_in_leaf=5, l2=1.0, judged_every=5, losses=("lambdarank",)
)
CONFIG = RankerConfig(
    folds=FoldConfig(weeks_before_end=(1, 2, 3, 4), label_weeks=1),
    candidates=CandidateConfig(1000),
    trees=TreesConfig(TREES, TREES),
    kinds=KINDS,
    network=NeuralConfig(hidden=(8,), cross_rank=4, epochs=2, networks=1),
)


@pytest.fixture(scope="module")
def trained(shop, fit_sources):
    told: list[tuple[int, int]] = []
    asked: list[int] = []

    def fit(moment_ms: int):
        asked.append(moment_ms)
        return fit_sources(shop.lines.purchases, moment_ms)

    found = train_ranker(
        shop.snapshot, fit, CONFIG, progress=lambda step, done, total, *said: told.append((done, total))
    )
    return found, asked, told


def test_the_planted_product_comes_first_for_whom_it_serves(shop, trained) -> None:
    served, bought = trained[0].served, shop.lines.purchases
    ids = shop.snapshot.ids("Product")
    right = []
    for user in (user for user in range(80) if (user // 4) % 2):
        rows = np.flatnonzero(bought.users == user)
        if f"p18{user % 4}" not in {ids[product] for product in bought.products[rows]}:
            continue  # who forgot the last one may want it still
        own = OwnLines(
            [ids[product] for product in bought.products[rows]],
            bought.times[rows].tolist(),
            [1] * len(rows),
            shop.lines.unit_prices[rows].tolist(),
            [0.0] * len(rows),
        )
        moment = datetime.fromtimestamp(shop.end_ms / 1000, UTC)
        found = served.ranked("novel", f"u{user:02}", own, moment)
        right.append(found[0].id == f"p19{user % 4}")
    assert len(right) > 15
    assert np.mean(right) > 0.8


def test_a_shop_that_has_sold_everything_gets_no_ranker_of_what_nobody_bought(trained) -> None:
    assert set(trained[0].served.rankers) == set(trained[0].served.lists) == {"all", "novel"}


def test_sources_are_asked_at_every_fold_and_at_the_end(shop, trained) -> None:
    _, asked, told = trained
    assert asked == [*(fold.moment_ms for fold in make_folds(shop.end_ms, CONFIG.folds)), shop.end_ms]
    assert sorted(set(told)) == [(done, 8) for done in range(9)]
    assert told == sorted(told)


def test_a_young_shop_learns_from_the_folds_that_it_is_old_enough_for(shop, fit_sources) -> None:
    asked: list[int] = []

    def fit(moment_ms: int):
        asked.append(moment_ms)
        return fit_sources(shop.lines.purchases, moment_ms)

    age = (shop.end_ms - int(shop.lines.purchases.times.min())) / WEEK_MS
    config = replace(CONFIG, kinds=KINDS[:1], folds=FoldConfig((1, 2, age - 0.5, 3 * age), label_weeks=1))
    train_ranker(shop.snapshot, fit, config)
    assert [(shop.end_ms - moment) / WEEK_MS for moment in asked] == [2, 1, 0]
    with pytest.raises(InputError, match="no purchase lies before"):
        train_ranker(shop.snapshot, fit, replace(config, folds=FoldConfig((3 * age,), label_weeks=1)))


def test_every_setting_s_card_compares_the_kinds(trained) -> None:
    metrics = trained[0].metrics
    for setting in ("all", "novel"):
        serves = metrics[f"{setting}.serves"]
        figures = {kind: metrics[f"{setting}.{kind}.ndcg@20"] for kind in ("lambdamart", "neural", "both")}
        assert figures[serves] == max(figures.values()) == metrics[f"{setting}.ndcg@20"]
        for kind in figures.keys() - {serves}:
            assert metrics[f"{setting}.{serves}_over_{kind}.low"] <= metrics[f"{setting}.{serves}_over_{kind}.high"]


def watched(shop, fit_sources, monkeypatch: pytest.MonkeyPatch, config: RankerConfig):
    """What trees were grown from and judged by, growth by growth, and the metrics."""
    grown: list[tuple[list[Examples], tuple[Examples, Setting] | None]] = []

    def watching(folds, trees, judged, *settings):
        grown.append((list(folds), judged))
        return real(folds, trees, judged, *settings)

    real = choosing.train
    monkeypatch.setattr(choosing, "train", watching)
    few = replace(TREES, rounds=5)
    quick = replace(config, trees=TreesConfig(few, few), kinds=("lambdamart",))
    found = train_ranker(shop.snapshot, lambda moment: fit_sources(shop.lines.purchases, moment), quick)
    return grown, found.metrics


def users_of(parts: list[Examples]) -> set[int]:
    return {user for part in parts for user in part.candidates.users.tolist()}


def test_figures_are_of_weeks_that_nobody_learned_from(shop, fit_sources, monkeypatch: pytest.MonkeyPatch) -> None:
    grown, metrics = watched(shop, fit_sources, monkeypatch, CONFIG)
    last = make_folds(shop.end_ms, CONFIG.folds)[-1].settings(shop.lines.purchases)
    for setting, (first, again) in zip(("all", "novel"), (grown[:2], grown[2:]), strict=True):
        (folds, (rows, judging)), (more, nobody) = first, again
        assert len(folds) == 3
        assert nobody is None
        assert np.array_equal(judging.users, last[setting].users)
        assert metrics[f"{setting}.users"] == len(judging.users)
        assert more[:3] == folds
        assert [part.labels.sum() for part in more[3:]] == [rows.labels.sum()]


def test_users_of_the_last_weeks_beyond_the_judges_are_learned_from_in_the_end(
    shop, fit_sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown, metrics = watched(shop, fit_sources, monkeypatch, replace(CONFIG, judges=8))
    (_, (rows, judging)), (more, _) = grown[:2]
    assert metrics["all.users"] == len(judging.users) <= 8
    rest, judges = more[3:]
    assert users_of([judges]) == users_of([rows])
    assert users_of([rest])
    assert not users_of([rest]) & users_of([judges])


def test_a_fifth_of_the_users_judge_where_there_is_one_fold(shop, fit_sources, monkeypatch: pytest.MonkeyPatch) -> None:
    one = replace(CONFIG, folds=FoldConfig((1,), label_weeks=1))
    grown, metrics = watched(shop, fit_sources, monkeypatch, one)
    (folds, (rows, judging)), (more, _) = grown[2:]
    assert set(rows.candidates.judged.tolist()) == set(judging.users.tolist())
    assert users_of([rows])
    assert not users_of([rows]) & users_of(folds)
    assert users_of(more) == users_of([rows]) | users_of(folds)
    assert metrics["novel.users"] < 80 * 0.3
    assert 0 < metrics["all.ndcg@20"] <= 1


def test_of_all_purchases_the_graph_embedding_is_no_source_unless_it_is_asked_for(shop, fit_sources) -> None:
    def fit(moment_ms: int):
        sources = dict(fit_sources(shop.lines.purchases, moment_ms))
        return sources | {"graph": next(iter(sources.values()))}

    config = replace(CONFIG, kinds=("lambdamart",))
    names = {}
    for asked in (RankerConfig().graph, ("all", "novel")):
        served = train_ranker(shop.snapshot, fit, replace(config, graph=asked)).served
        names[asked] = {setting for setting, ranker in served.rankers.items() if "graph_rank" in ranker.names}
    assert names == {("novel",): {"novel"}, ("all", "novel"): {"all", "novel"}}
    with pytest.raises(ConfigurationError, match=r"graph=\['cold'\]: settings that may ask the graph embedding"):
        RankerConfig(graph=("novel", "cold"))
