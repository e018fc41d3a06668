"""No feature sees its own future: what is made at a moment is the same whatever came after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from shopgraph.collaborative.peers import fit_peer
from shopgraph.dataset.hetero import to_hetero
from shopgraph.dataset.purchases import WEEK_MS
from shopgraph.embed.message_graph import catalogue_matrix
from shopgraph.ranking.candidates import CandidateConfig, find_candidates
from shopgraph.ranking.examples import make_examples, pair_features
from shopgraph.ranking.folds import Fold, make_folds
from shopgraph.ranking.market import Market
from shopgraph.ranking.past import Lines, Past
from shopgraph.ranking.training import SETTINGS

Build = Callable[[Lines], np.ndarray]


def without_future(lines: Lines, moment_ms: int) -> Lines:
    return lines.chosen(lines.purchases.times < moment_ms)


def with_garbage(lines: Lines, moment_ms: int) -> Lines:
    """Every line from the moment on by another user, of another product, at another time and price."""
    random, bought = np.random.default_rng(9), lines.purchases
    later = np.flatnonzero(bought.times >= moment_ms)
    users, products, times, prices, discounts = (
        side.copy() for side in (bought.users, bought.products, bought.times, lines.unit_prices, lines.discounts)
    )
    users[later] = random.integers(0, bought.user_count, len(later))
    products[later] = random.integers(0, bought.product_count, len(later))
    times[later] = moment_ms + random.integers(0, 4 * WEEK_MS, len(later))
    prices[later], discounts[later] = 999.0, random.random(len(later))
    return Lines(replace(bought, users=users, products=products, times=times), prices, discounts)


def assert_blind(build: Build, lines: Lines, moment_ms: int) -> None:
    """What is built of all lines equals what is built of those before the moment, and of any other future."""
    whole = build(lines)
    assert whole.size
    for other in (without_future(lines, moment_ms), with_garbage(lines, moment_ms)):
        assert np.array_equal(whole, build(other), equal_nan=True)


@pytest.fixture(scope="module")
def fold(shop) -> Fold:
    return make_folds(shop.end_ms)[1]


def features(lines: Lines, moment_ms: int, shop, pairs: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    past = Past.of(lines, moment_ms)
    return pair_features(Market.of(past, shop.facets), past, *pairs).values


def every_pair(lines: Lines) -> tuple[np.ndarray, np.ndarray]:
    return np.divmod(
        np.arange(lines.purchases.user_count * lines.purchases.product_count), lines.purchases.product_count
    )


def test_no_pair_feature_sees_its_label_window(shop, fold: Fold) -> None:
    pairs = every_pair(shop.lines)
    assert_blind(lambda lines: features(lines, fold.moment_ms, shop, pairs), shop.lines, fold.moment_ms)


@pytest.mark.parametrize("name", SETTINGS)
def test_no_candidate_and_no_score_sees_its_label_window(shop, fold: Fold, fit_sources, name: str) -> None:
    setting = fold.settings(shop.lines.purchases)[name]

    def build(lines: Lines) -> np.ndarray:
        catalogue = catalogue_matrix(to_hetero(shop.snapshot))
        stated = fit_peer("attribute_affinity", lines.purchases, fold.moment_ms, catalogue)
        sources = {**fit_sources(lines.purchases, fold.moment_ms), "attribute_affinity": stated}
        made = make_examples(
            find_candidates(setting, sources, CandidateConfig(20)), setting, lines, shop.facets, fold.moment_ms
        )
        return np.column_stack([made.candidates.users, made.candidates.products, made.features.values])

    assert_blind(build, shop.lines, fold.moment_ms)


def test_what_may_be_answered_does_not_depend_on_the_answers(shop, fold: Fold) -> None:
    settings, garbage = (
        fold.settings(lines.purchases) for lines in (shop.lines, with_garbage(shop.lines, fold.moment_ms))
    )
    for name in ("all", "novel"):  # cold ones are learned among what sold, and asked about all that never did
        assert np.array_equal(settings[name].candidates, garbage[name].candidates)
        assert (settings[name].excluded != garbage[name].excluded).nnz == 0


def test_the_check_catches_a_feature_that_looks_ahead(shop, fold: Fold) -> None:
    pairs = every_pair(shop.lines)

    def a_day_too_late(lines: Lines) -> np.ndarray:
        return features(lines, fold.moment_ms + 3_600_000 * 24, shop, pairs)

    def one_column_of_all_time(lines: Lines) -> np.ndarray:
        honest = features(lines, fold.moment_ms, shop, pairs)
        return np.column_stack([honest, lines.purchases.buyers()[pairs[1]]])

    for leaking in (a_day_too_late, one_column_of_all_time):
        with pytest.raises(AssertionError):
            assert_blind(leaking, shop.lines, fold.moment_ms)


def test_the_check_catches_a_source_fitted_on_everything(shop, fold: Fold, fit_sources) -> None:
    setting = fold.settings(shop.lines.purchases)["novel"]

    def build(lines: Lines) -> np.ndarray:
        sources = fit_sources(lines.purchases, shop.end_ms)
        made = make_examples(
            find_candidates(setting, sources, CandidateConfig(1000)), setting, lines, shop.facets, fold.moment_ms
        )
        return np.column_stack([made.candidates.products, made.features.values])

    with pytest.raises(AssertionError):
        assert_blind(build, shop.lines, fold.moment_ms)
