"""A ranker from its files ranks as the one that was trained, for a user whose purchases come from elsewhere."""

from __future__ import annotations

import gc
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from shopgraph.dataset.purchases import WEEK_MS
from shopgraph.errors import InputError
from shopgraph.evaluation import Setting
from shopgraph.ranking.candidates import CandidateConfig, find_candidates
from shopgraph.ranking.examples import make_examples
from shopgraph.ranking.features import Features
from shopgraph.ranking.folds import FoldConfig, make_folds
from shopgraph.ranking.lambdamart import LambdaMartConfig, Ranker, train
from shopgraph.ranking.lists import Ids, Lists
from shopgraph.ranking.mapped import Rows
from shopgraph.ranking.market import Market
from shopgraph.ranking.network import NetworkRanker
from shopgraph.ranking.neural import exported
from shopgraph.ranking.neural_network import DeepCrossNetwork, QuantileBins
from shopgraph.ranking.own_lines import OwnLines
from shopgraph.ranking.past import Past
from shopgraph.ranking.served import BESIDE, ServedRanker

CANDIDATES = CandidateConfig(40)


def asked(shop, moment_ms: int) -> Setting:
    """Every user who bought something, for what each has not bought."""
    seen = shop.lines.purchases.before(moment_ms).binary().astype(bool)
    return Setting("novel", seen, seen, np.diff(seen.tocsc().indptr) > 0)


@pytest.fixture(scope="module")
def ranker(shop, fit_sources) -> Ranker:
    folds = []
    for fold in make_folds(shop.end_ms, FoldConfig((2.0, 4.0), label_weeks=2.0)):
        setting = fold.settings(shop.lines.purchases)["novel"]
        candidates = find_candidates(setting, fit_sources(shop.lines.purchases, fold.moment_ms), CANDIDATES)
        folds.append(make_examples(candidates, setting, shop.lines, shop.facets, fold.moment_ms))
    return train(folds, LambdaMartConfig(rounds=30, min_data_in_leaf=20, losses=("lambdarank",)))


@pytest.fixture(scope="module")
def served(shop, fit_sources, ranker: Ranker, tmp_path_factory: pytest.TempPathFactory) -> ServedRanker:
    """Kept, and read again."""
    folder = tmp_path_factory.mktemp("ranker")
    candidates = find_candidates(asked(shop, shop.end_ms), fit_sources(shop.lines.purchases, shop.end_ms), CANDIDATES)
    past, users = Past.of(shop.lines, shop.end_ms), shop.snapshot.ids("User")
    ServedRanker(
        Ids.of(shop.snapshot.ids("Product")),
        Ids.of(users),
        Market.of(past, shop.facets),
        {"novel": ranker},
        {"novel": Lists.of(candidates, len(users))},
    ).save(folder)
    return ServedRanker.load(folder)


def moment(shop) -> datetime:
    return datetime.fromtimestamp(shop.end_ms / 1000, UTC)


def own_lines(shop, user: int) -> OwnLines:
    bought = shop.lines.purchases
    rows, ids = np.flatnonzero(bought.users == user), shop.snapshot.ids("Product")
    return OwnLines(
        [ids[product] for product in bought.products[rows]],
        bought.times[rows].tolist(),
        [1] * len(rows),
        shop.lines.unit_prices[rows].tolist(),
        [0.0] * len(rows),
    )


def test_it_ranks_as_the_offline_ranker_does(shop, fit_sources, ranker: Ranker, served: ServedRanker) -> None:
    setting = asked(shop, shop.end_ms)
    candidates = find_candidates(setting, fit_sources(shop.lines.purchases, shop.end_ms), CANDIDATES)
    offline = ranker.rank(make_examples(candidates, setting, shop.lines, shop.facets, shop.end_ms), 10)
    ids, users = shop.snapshot.ids("Product"), shop.snapshot.ids("User")
    same = []
    for place, user in enumerate(setting.users):
        found = served.ranked("novel", users[user], own_lines(shop, user), moment(shop))
        same.append([item.id for item in found[:10]] == [ids[product] for product in offline[place]])
    assert np.mean(same) > 0.9, "scores are kept with eleven bits: a tie may fall the other way"


def test_the_planted_answer_is_first(shop, served: ServedRanker) -> None:
    """Those who buy late have not bought what their brand launched last."""
    first = {user: served.ranked("novel", f"u{user:02}", own_lines(shop, user), moment(shop)) for user in range(80)}
    late = [user for user in first if (user // 4) % 2]
    right = [first[user][0].id == f"p19{user % 4}" for user in late]
    assert np.mean(right) > 0.6
    scores = [item.score for item in first[4]]
    assert scores == sorted(scores, reverse=True)


def test_what_was_bought_since_counts_and_what_is_barred_is_left_out(shop, served: ServedRanker) -> None:
    user, late = "u04", moment(shop) + timedelta(days=2)
    own = own_lines(shop, 4)
    before = [item.id for item in served.ranked("novel", user, own, late)]
    barred = before[0]
    assert barred not in [item.id for item in served.ranked("novel", user, own, late, without=[barred, "unheard of"])]
    other = next(name for name in before if name[-1] != barred[-1])
    more = OwnLines(
        [*own.products, other],
        [*own.times_ms, shop.end_ms + 1],
        [*own.quantities, 1],
        [*own.amounts, np.nan],
        [*own.discounts, 0.0],
    )
    after = {item.id: item.score for item in served.ranked("novel", user, more, late)}
    assert after != {item.id: item.score for item in served.ranked("novel", user, own, late)}


def test_what_was_bought_since_the_lists_were_made_is_told_besides(shop, served: ServedRanker) -> None:
    """With a week before, for events that came late; each product once."""
    ages_ms = [-1, 0, 1, WEEK_MS, WEEK_MS + 1, 1]
    times, products = [shop.end_ms - age for age in ages_ms], ["p190", "p191", "p192", "p193", "p180", "p192"]
    own = OwnLines(products, times, [1] * 6, [np.nan] * 6, [0.0] * 6)
    assert own.since(shop.end_ms) == ["p190", "p191"]
    assert served.unlisted(own) == ["p190", "p191", "p192", "p193"]
    assert served.unlisted(own_lines(shop, 4)) != []
    assert served.unlisted(OwnLines()) == []


def test_products_that_no_list_names_are_ranked_too_and_strangers_get_nothing(shop, served: ServedRanker) -> None:
    own = own_lines(shop, 4)
    listed = {item.id for item in served.ranked("novel", "u04", own, moment(shop))}
    other = next(name for name in shop.snapshot.ids("Product") if name not in listed)
    found = served.ranked("novel", "u04", own, moment(shop), others=[other, "unheard of"])
    assert {item.id for item in found} == listed | {other}
    assert next(item for item in found if item.id == other).sources == ()
    assert not served.ranked("novel", "stranger", own, moment(shop))
    assert not served.ranked("all", "u04", own, moment(shop))
    assert served.ranked("novel", "u04", OwnLines([], [], [], [], []), moment(shop))


def test_a_network_serves_where_the_folder_holds_one(shop, served: ServedRanker, tmp_path: Path) -> None:
    trees = served.rankers["novel"]
    values = np.random.default_rng(1).normal(size=(50, len(trees.names))).astype(np.float32)
    network = exported(DeepCrossNetwork(QuantileBins(values, 3, 0.0), 1, 2, (4,), 0.0), len(trees.names))
    replace(served, rankers={"novel": NetworkRanker(network, trees.names, trees.groups, values[0])}).save(tmp_path)
    loaded = ServedRanker.load(tmp_path)
    asked = "novel", "u04", own_lines(shop, 4), moment(shop)
    found = {item.id: item.score for item in loaded.ranked(*asked)}
    assert found.keys() == {item.id for item in served.ranked(*asked)}
    first, *_, last = found
    shares = loaded.contributions(*asked, [first, last])
    told = sum(shares[first].values()) - sum(shares[last].values())
    assert told == pytest.approx(found[first] - found[last], abs=1e-4)
    assert found[first] > found[last]


def test_the_sources_that_rank_a_product_high_speak_for_it(shop, served: ServedRanker) -> None:
    found = served.ranked("novel", "u04", own_lines(shop, 4), moment(shop))
    assert {source for item in found for source in item.sources} == {"popularity", "ever"}


def test_a_product_leans_on_a_purchase_as_far_as_it_falls_without_it(shop, served: ServedRanker) -> None:
    own, at = own_lines(shop, 4), moment(shop)
    ranking = [item.id for item in served.ranked("novel", "u04", own, at)]
    shown, bought = ranking[:6], sorted(set(own.products))
    found = served.leanings("novel", "u04", own, at, [*shown, "unheard of"], [*bought, "unheard of"])
    others = sorted(set(ranking) - {*shown, *bought})
    others = [others[place] for place in np.linspace(0, len(others) - 1, min(BESIDE, len(others)), dtype=int)]

    def standings(lines: OwnLines) -> dict[str, float]:
        scores = {item.id: item.score for item in served.ranked("novel", "u04", lines, at)}
        return {name: scores[name] - np.mean([scores[one] for one in others]) for name in shown}

    whole = standings(own)
    for gone in bought:
        kept = [place for place, product in enumerate(own.products) if product != gone]
        sides = own.products, own.times_ms, own.quantities, own.amounts, own.discounts
        less = standings(OwnLines(*([side[place] for place in kept] for side in sides)))
        assert {name: lost[gone] for name, lost in found.items()} == pytest.approx(
            {name: whole[name] - less[name] for name in shown}, abs=1e-5
        )
    assert found.keys() == set(shown)
    assert all(list(lost.values()) == sorted(lost.values(), reverse=True) for lost in found.values())
    assert any(abs(cost) > 0.01 for lost in found.values() for cost in lost.values())
    alone = served.leanings("novel", "u04", own, at, shown[:1], bought)
    assert alone.keys() == {shown[0]}
    assert alone[shown[0]].keys() == set(bought)
    assert not served.leanings("novel", "stranger", own, at, shown, bought)
    assert not served.leanings("novel", "u04", own, at, shown, [])


def test_what_no_source_said_is_the_least_that_it_says() -> None:
    names = ("a_score", "a_rank")
    lists = Lists(
        names,
        ("collaborative",) * 2,
        np.array([0, 2]),
        np.array([3, 5], np.int32),
        np.array([[1, 0], [-1, 0.69]], np.float16),
    )
    found = lists.user(0, np.array([4, 5]))
    assert found.products.tolist() == [3, 4, 5]
    assert np.allclose(found.scores.values[1], [-1, np.log1p(2)], atol=1e-3)
    assert isinstance(found.scores, Features)


def test_rows_are_read_in_runs_from_files_that_hold_them_whole(tmp_path: Path) -> None:
    table, path = np.arange(12, dtype=np.float16).reshape(4, 3), tmp_path / "rows.npy"
    np.save(path, table)
    rows = Rows(path)
    assert len(rows) == 4
    for start, end in ((0, 4), (1, 3), (3, 9), (2, 2), (3, 1)):
        assert np.array_equal(rows[start:end], table[start:end])
    with pytest.raises(ValueError, match="every 2"):
        rows[::2]
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(ValueError, match="buffer size"):
        rows[2:4]
    with pytest.raises(ValueError, match="mmap length"):
        Rows(path)
    np.save(path, np.asfortranarray(table))
    with pytest.raises(ValueError, match="columns one after the other"):
        Rows(path)


def test_a_file_of_rows_is_closed_with_who_reads_it(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.arange(3))
    rows = Rows(tmp_path / "rows.npy")
    file = rows._file
    assert os.fstat(file)
    del rows
    gc.collect()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)


def test_ids_are_found_by_name_and_a_longer_one_is_not_taken_for_another() -> None:
    ids = Ids.of(["a", "ab", "é"])
    assert ids.rows(["ab", "é", "x", "abc", "", "a"]).tolist() == [1, 2, -1, -1, -1, 0]
    assert ids.of_rows(np.array([2, 0])) == ["é", "a"]
    assert ids.rows([]).tolist() == []
    assert Ids.of([]).rows(["a"]).tolist() == [-1]
    with pytest.raises(InputError, match="ascend"):
        Ids.of(["b", "a"])


@pytest.mark.parametrize("gone", ["users.npy", "market/market.npy", "novel/bounds.npy", "novel/ranker.json"])
def test_a_folder_without_a_whole_ranker_is_named(served: ServedRanker, tmp_path: Path, gone: str) -> None:
    served.save(tmp_path)
    (tmp_path / gone).unlink()
    with pytest.raises(InputError, match="train"):
        ServedRanker.load(tmp_path)
