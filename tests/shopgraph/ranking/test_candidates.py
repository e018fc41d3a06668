from __future__ import annotations

import numpy as np
import pytest

from shopgraph.errors import ConfigurationError, InputError
from shopgraph.evaluation import Setting, pairs, protocol
from shopgraph.ranking.candidates import CandidateConfig, find_candidates, find_candidates_of
from shopgraph.ranking.features import Features
from shopgraph.ranking.folds import make_folds

SHAPE = (3, 6)


def bought(*entries: tuple[int, int]):
    return pairs(*(np.array(side) for side in zip(*entries, strict=True)), SHAPE)


def fixed(scores: list[float]):
    return lambda rows: np.tile(np.array(scores), (len(rows), 1))


def test_the_union_of_each_sources_best_with_standing_by_hand() -> None:
    setting = protocol(bought((0, 0), (1, 1), (2, 2), (2, 3)), bought((0, 1), (0, 0)))["all"]
    sources = {"a": fixed([4, 3, 2, 1, 9, 9]), "b": fixed([0, 0, 0, 5, 9, 9])}
    found = find_candidates(setting, sources, CandidateConfig(depth=2))
    # products 4 and 5 were never sold; b scores all but 3 lowest, which is to say nothing of them
    assert found.judged.tolist() == [0]
    assert found.products.tolist() == [0, 1, 3]
    assert found.scores.names == ("a_score", "a_rank", "b_score", "b_rank")
    deviation = np.std([4, 3, 1])
    assert found.scores["a_score"].tolist() == pytest.approx([(s - 8 / 3) / deviation for s in (4, 3, 1)])
    assert found.scores["a_rank"].tolist() == pytest.approx(np.log([1, 2, 3]).tolist())
    assert found.scores["b_rank"].tolist() == pytest.approx(np.log([2, 2, 1]).tolist()), "equal scores share a rank"


def test_depths_of_single_sources_and_their_groups() -> None:
    setting = protocol(bought((0, 0), (0, 1), (0, 2), (0, 3)), bought((0, 1)))["all"]
    config = CandidateConfig(depth=1, depths={"b": 3}, groups={"b": "graph"})
    found = find_candidates(setting, {"a": fixed([4, 3, 2, 1, 0, 0]), "b": fixed([1, 2, 3, 4, 0, 0])}, config)
    assert found.products.tolist() == [0, 1, 2, 3]
    assert found.scores.groups == ("collaborative", "collaborative", "graph", "graph")


def test_known_products_use_up_none_of_a_sources_depth() -> None:
    setting = protocol(bought((0, 0), (0, 1), (1, 2), (1, 3), (1, 4)), bought((0, 4)))["novel"]
    found = find_candidates(setting, {"a": fixed([9, 8, 3, 2, 1, 0])}, CandidateConfig(depth=2))
    assert found.products.tolist() == [2, 3]


def test_batches_do_not_change_what_is_found(shop, fit_sources) -> None:
    fold = make_folds(shop.end_ms)[0]
    setting = fold.settings(shop.lines.purchases)["novel"]
    sources = fit_sources(shop.lines.purchases, fold.moment_ms)
    one, many = (find_candidates(setting, sources, CandidateConfig(10, users_at_once=size)) for size in (7, 1000))
    assert one.users.tolist() == many.users.tolist()
    assert one.products.tolist() == many.products.tolist()
    assert np.array_equal(one.scores.values, many.scores.values)


def test_settings_asked_together_get_what_each_gets_alone(shop, fit_sources) -> None:
    fold = make_folds(shop.end_ms)[0]
    settings = fold.settings(shop.lines.purchases)
    del settings["cold"]
    sources = fit_sources(shop.lines.purchases, fold.moment_ms)
    together = find_candidates_of(settings, sources, CandidateConfig(10, users_at_once=16))
    assert len(together["all"]) != len(together["novel"])
    for name, setting in settings.items():
        alone = find_candidates(setting, sources, CandidateConfig(10))
        assert alone.judged.tolist() == together[name].judged.tolist()
        assert (alone.users * 1000 + alone.products).tolist() == (
            together[name].users * 1000 + together[name].products
        ).tolist()
        assert np.array_equal(alone.scores.values, together[name].scores.values)


def test_a_source_says_nothing_in_a_setting_that_does_without_it() -> None:
    settings = protocol(bought((0, 0), (0, 1), (1, 2), (1, 3)), bought((0, 0), (0, 3), (1, 1)))
    sources = {"a": fixed([4, 3, 2, 1, 0, 0]), "b": fixed([1, 2, 3, 4, 0, 0])}
    asked = {name: settings[name] for name in ("all", "novel")}
    found = find_candidates_of(asked, sources, CandidateConfig(1), {"all": ["b"]})
    assert found["all"].scores.names == ("a_score", "a_rank")
    assert found["all"].products.tolist() == [0, 0], "the first of a alone, for both users"
    assert found["novel"].scores.names == ("a_score", "a_rank", "b_score", "b_rank")
    assert found["novel"].products.tolist() == [2, 3, 0, 1]
    with pytest.raises(InputError, match="nothing to rank in the setting all: no source"):
        find_candidates_of(asked, sources, CandidateConfig(1), {"all": ["a", "b"]})


@pytest.mark.parametrize("depth", [5, 1000])
def test_known_products_are_never_novel_and_sold_ones_never_cold(shop, fit_sources, depth: int) -> None:
    purchases = shop.lines.purchases
    fold = make_folds(shop.end_ms)[0]
    past = purchases.before(fold.moment_ms)
    known, sold = past.keys(), np.unique(past.products)
    settings, popular = fold.settings(purchases), fit_sources(purchases, fold.moment_ms)
    random = {"any": lambda rows: np.random.default_rng(1).random((len(rows), purchases.product_count))}
    for name, sources in (("novel", popular), ("cold", random)):
        found = find_candidates(settings[name], sources, CandidateConfig(depth))
        assert len(found)
        barred = {"novel": known, "cold": sold}[name]
        asked = found.users * purchases.product_count + found.products if name == "novel" else found.products
        assert not np.isin(asked, barred).any()
    repeats = find_candidates(settings["all"], popular, CandidateConfig(depth))
    assert np.isin(repeats.users * purchases.product_count + repeats.products, known).any()


def test_nothing_to_rank_is_refused() -> None:
    nobody = protocol(bought((0, 0)), bought((0, 1)))["all"]
    with pytest.raises(InputError, match="nothing to rank in the setting all"):
        find_candidates(nobody, {"a": fixed([1] * 6)})
    somebody: Setting = protocol(bought((0, 0)), bought((0, 0)))["all"]
    with pytest.raises(InputError, match="no source"):
        find_candidates(somebody, {})


def test_groups_are_left_out_by_name() -> None:
    table = Features.joined(
        [
            Features.of("graph", {"g": np.array([1.0])}),
            Features.of("price", {"p": np.array([2.0]), "q": np.array([3.0])}),
        ]
    )
    left = table.without_groups("graph", "repeat")
    assert (left.names, left.groups, left.values.tolist()) == (("p", "q"), ("price", "price"), [[2.0, 3.0]])
    with pytest.raises(ConfigurationError, match="no group of features is called 'prices'"):
        table.without_groups("prices")
