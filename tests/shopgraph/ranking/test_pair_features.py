"""Three users, four products, five lines: every number can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shopgraph.dataset.purchases import WEEK_MS, Purchases
from shopgraph.errors import InputError
from shopgraph.ranking.examples import pair_features
from shopgraph.ranking.facets import NONE, Facet
from shopgraph.ranking.market import Market
from shopgraph.ranking.past import Lines, Past

NOW_MS = 1_000 * WEEK_MS
LINES = [
    # user, product, weeks ago, price, discount
    (0, 0, 13.0, 3.0, 0.0),
    (0, 0, 1.0, 3.0, 0.5),
    (0, 1, 7.0, 1.0, 0.0),
    (1, 0, 3.0, 3.0, 0.0),
    (2, 2, 20.0, 7.0, 0.0),
]
FACETS = (Facet("brand", np.array([0, 0, 1, NONE])),)


def lines_of(rows: list[tuple[int, int, float, float, float]]) -> Lines:
    users, products, ages, prices, discounts = (np.array(side) for side in zip(*rows, strict=True))
    times = NOW_MS - np.round(ages * WEEK_MS).astype(np.int64)
    return Lines(Purchases(users, products, times, 3, 4), prices, discounts)


def table(rows=LINES):
    """All users by all products, (3 * 4, features)."""
    users, products = np.divmod(np.arange(12), 4)
    past = Past.of(lines_of(rows), NOW_MS)
    return pair_features(Market.of(past, FACETS), past, users, products)


def row(name: str, user: int, product: int) -> float:
    return float(table()[name][user * 4 + product])


def test_popularity() -> None:
    assert row("trend", 0, 0) == pytest.approx((1 + 1) / (2 + 5))
    assert row("trend", 0, 2) == pytest.approx((0 + 1) / (1 + 5))
    assert row("quarter_trend", 0, 0) == pytest.approx((2 + 1) / (2 + 5))
    # buyers ever of the three products sold: 2, 1, 1
    logs = np.log1p([2, 1, 1])
    assert row("buyers_ever", 1, 0) == pytest.approx((logs[0] - logs.mean()) / logs.std())
    assert row("new_buyer_share", 1, 0) == pytest.approx(1 / 2), "user 1 is new, user 0 came back"
    assert row("weeks_since_first_sale", 2, 0) == pytest.approx(13)
    assert row("weeks_since_last_sale", 2, 0) == pytest.approx(1)
    assert row("repeat_share", 2, 0) == pytest.approx(1 / 2)
    assert row("purchases_a_buyer", 2, 0) == pytest.approx(3 / 2)
    assert np.isnan(row("weeks_since_first_sale", 0, 3))


def test_repeats() -> None:
    assert row("times_bought", 0, 0) == 2
    assert row("weeks_since_last", 0, 0) == pytest.approx(1)
    assert row("gap_weeks", 0, 0) == pytest.approx(12)
    assert row("gap_due", 0, 0) == pytest.approx(1 / 12)
    assert row("decayed_12_weeks", 0, 0) == pytest.approx(0.5 ** (13 / 12) + 0.5 ** (1 / 12))
    assert row("times_bought", 0, 2) == 0
    assert np.isnan(row("weeks_since_last", 0, 2))
    assert np.isnan(row("gap_weeks", 0, 1)), "one purchase has no gap"
    # user 0 shopped 13, 7 and 1 weeks ago, each time on a day of its own
    assert row("visits_since_last", 0, 1) == 1
    assert row("visits_since_last", 0, 0) == 0
    assert row("visit_share", 0, 0) == pytest.approx(2 / 3)
    assert row("visit_share", 0, 1) == pytest.approx(1 / 2)
    assert row("visit_share", 0, 2) == 0
    assert row("rebought", 1, 0) == pytest.approx((1 + 1) / (1 + 5)), "user 0 came back; user 1 is too new to tell"
    assert row("rebought", 1, 2) == pytest.approx((0 + 1) / (1 + 5))
    assert row("user_products_a_week", 0, 3) == pytest.approx(2 / 20)
    assert row("user_lines_4_weeks", 0, 3) == pytest.approx(1 / 4)
    assert row("user_new_12_weeks", 0, 3) == pytest.approx(1 / 12)


def test_prices() -> None:
    usual = np.log1p([3.0, 3.0, 1.0]).mean()
    assert row("price_against_user", 0, 2) == pytest.approx(np.log1p(7.0) - usual)
    assert row("discount_now", 1, 0) == pytest.approx(0.5)
    assert row("discount_usual", 1, 0) == pytest.approx(0.5 / 3)
    assert row("price_change", 1, 0) == pytest.approx(0.0)
    assert np.isnan(row("price", 0, 3))


def test_attributes() -> None:
    first, second, other = (0.5 ** (age / 12) for age in (13, 1, 7))
    own, everybody = first + second + other, first + second + other + 0.5 ** (3 / 12) + 0.5 ** (20 / 12)
    expected = (everybody - 0.5 ** (20 / 12)) / everybody
    assert row("brand_share", 0, 1) == pytest.approx(1.0)
    assert row("brand_share", 2, 1) == pytest.approx(0.0)
    assert row("brand_lift", 0, 1) == pytest.approx(np.log((own + 10 * expected) / ((own + 10) * expected)), abs=1e-5)
    assert row("brand_products", 0, 0) == pytest.approx(np.log1p(2))
    assert row("brand_weeks_since", 0, 1) == pytest.approx(1)
    assert np.isnan(row("brand_weeks_since", 2, 1))
    assert row("brand_buyers", 2, 1) == pytest.approx(np.log1p(2)), "users 0 and 1 in the last four weeks"
    assert row("brand_place", 2, 0) == pytest.approx((2 + 0.5) / (3 + 5))
    assert np.isnan(row("brand_share", 0, 3)), "product 3 states no brand"


def test_launches() -> None:
    # products 0 and 1 were first sold 13 and 7 weeks ago; 2, sold since the beginning, may be older than it seems
    assert row("brand_launches", 2, 0) == pytest.approx(np.log1p(2))
    assert row("brand_launches", 2, 2) == pytest.approx(0.0)
    early = np.log1p([1, 1])  # user 1 came ten weeks after product 0 was first sold
    assert row("brand_launch_success", 2, 0) == pytest.approx((early.sum() + 3 * early.mean()) / 5)


def test_a_row_does_not_depend_on_the_others_nor_on_the_order_of_lines() -> None:
    whole = table()
    past = Past.of(lines_of(LINES), NOW_MS)
    alone = pair_features(Market.of(past, FACETS), past, np.array([1]), np.array([2]))
    assert np.array_equal(alone.values[0], whole.values[6], equal_nan=True)
    assert np.allclose(table(LINES[::-1]).values, whole.values, equal_nan=True, rtol=1e-6)


def test_a_users_own_lines_and_a_kept_market_are_enough(tmp_path: Path) -> None:
    """As at serving: the tables come from a file, the lines from the graph, numbered for one user."""
    market = Market.of(Past.of(lines_of(LINES), NOW_MS), FACETS)
    market.save(tmp_path)
    for user in range(3):
        own = [(0, *line[1:]) for line in LINES if line[0] == user]
        past = Past.of(replace(lines_of(own), purchases=replace(lines_of(own).purchases, user_count=1)), NOW_MS)
        served = pair_features(Market.load(tmp_path), past, np.zeros(4, np.int64), np.arange(4))
        assert served.names == table().names
        assert np.array_equal(served.values, table().values[4 * user : 4 * user + 4], equal_nan=True)


def test_a_market_may_be_older_than_the_users_last_purchase(tmp_path: Path) -> None:
    """What user 0 bought a week after the tables were fitted counts as the user's own, and not as everybody's."""
    market = Market.of(Past.of(lines_of(LINES), NOW_MS), FACETS)
    later = Past.of(lines_of([*LINES, (0, 2, -1.0, 7.0, 0.0)]), NOW_MS + 2 * WEEK_MS)
    found = pair_features(market, later, np.array([0]), np.array([2]))
    assert found["times_bought"][0] == 1
    assert found["weeks_since_last"][0] == pytest.approx(1)
    assert found["user_products_a_week"][0] == pytest.approx(3 / 22)
    assert found["trend"][0] == pytest.approx(row("trend", 0, 2))


def test_a_catalogue_that_states_nothing_has_a_market_too(tmp_path: Path) -> None:
    market = Market.of(Past.of(lines_of(LINES), NOW_MS), ())
    market.save(tmp_path)
    past = Past.of(lines_of(LINES), NOW_MS)
    kept = pair_features(Market.load(tmp_path), past, np.zeros(4, np.int64), np.arange(4))
    made = pair_features(market, past, np.zeros(4, np.int64), np.arange(4))
    assert kept.names == made.names
    assert not any("place" in name for name in kept.names)
    assert np.array_equal(kept.values, made.values, equal_nan=True)


def test_a_folder_without_a_whole_market_is_named(tmp_path: Path) -> None:
    Market.of(Past.of(lines_of(LINES), NOW_MS), FACETS).save(tmp_path)
    (tmp_path / "facets.npy").unlink()
    with pytest.raises(InputError, match="holds no market that can be read"):
        Market.load(tmp_path)


def test_every_column_is_a_finite_number_or_nothing() -> None:
    assert not np.isinf(table().values).any()
    assert len(set(table().names)) == len(table().names)
