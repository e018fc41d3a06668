"""Each collaborative filter against arithmetic on three users and four products, the last of which nobody bought.

User 0 bought products 0 and 1, user 1 products 1 and 2, user 2 product 0.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse as sp

from shopgraph.collaborative.attribute_affinity import AttributeAffinityConfig, fit_attribute_affinity
from shopgraph.collaborative.bpr import BprConfig, fit_bpr
from shopgraph.collaborative.ease import EaseConfig, fit_ease
from shopgraph.collaborative.gf_cf import GfCfConfig, fit_gf_cf
from shopgraph.collaborative.history import basket_ages, past_of
from shopgraph.collaborative.ials import IalsConfig, fit_ials
from shopgraph.collaborative.item_knn import ItemKnnConfig, fit_item_knn
from shopgraph.collaborative.neighbours import strongest
from shopgraph.collaborative.page_rank import PageRankConfig, fit_page_rank
from shopgraph.collaborative.personal_frequency import PersonalFrequencyConfig, fit_personal_frequency
from shopgraph.collaborative.popularity import PopularityConfig, fit_popularity
from shopgraph.collaborative.rp3beta import Rp3BetaConfig, fit_rp3beta
from shopgraph.collaborative.tifu_knn import TifuKnnConfig, fit_tifu_knn
from shopgraph.collaborative.up_cf import UpCfConfig, fit_up_cf
from shopgraph.collaborative.user_knn import UserKnnConfig, fit_user_knn
from shopgraph.dataset.purchases import WEEK_MS, Purchases
from shopgraph.errors import ResourceError

MOMENT = 3_000 * WEEK_MS
BOUGHT = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 0]], dtype=float)
EVERYONE = np.arange(3)


def lines(*events: tuple[int, int, float], shape: tuple[int, int] = (3, 4)) -> Purchases:
    """Events as (user, product, weeks before the moment)."""
    users, products, weeks = zip(*events, strict=True)
    times = np.array([MOMENT - round(age * WEEK_MS) for age in weeks])
    return Purchases(np.array(users), np.array(products), times, *shape)


def once(bought: np.ndarray = BOUGHT) -> Purchases:
    """Every pair once, a week before the moment."""
    pairs = zip(*bought.nonzero(), strict=True)
    return lines(*((int(user), int(product), 1.0) for user, product in pairs), shape=bought.shape)


def test_popularity_counts_each_buyer_of_the_last_weeks_once() -> None:
    score = fit_popularity(lines((0, 0, 1), (0, 0, 2), (1, 0, 4), (1, 1, 4.1), (2, 2, 3)), MOMENT, PopularityConfig(4))
    assert score(np.array([2])).tolist() == [[2, 0, 1, 0]]


def test_personal_counts_halve_and_popularity_breaks_their_ties() -> None:
    bought = lines((0, 0, 12), (0, 0, 24), (0, 1, 12), (0, 2, 12), (1, 2, 1), (2, 2, 1), (2, 1, 1))
    scores = fit_personal_frequency(bought, MOMENT, PersonalFrequencyConfig(half_life_weeks=12))(np.array([0]))[0]
    assert scores == pytest.approx([0.75, 0.5, 0.5, 0.0], abs=2e-6)
    assert scores[2] > scores[1]


def test_item_knn_by_cosine() -> None:
    score = fit_item_knn(once(), MOMENT, ItemKnnConfig("cosine", power=0))
    assert score(np.array([2]))[0] == pytest.approx([1, 1 / 2, 0, 0])
    assert score(np.array([1]))[0] == pytest.approx([1 / 2, 1 + 1 / math.sqrt(2), 1 / math.sqrt(2) + 1, 0])


def test_item_knn_by_bm25() -> None:
    score = fit_item_knn(once(), MOMENT, ItemKnnConfig("bm25", saturation=1, length_share=0, power=0))
    of_two, of_one = math.log(4 / 3), math.log(4 / 2)  # rarity of users with two products, and with one, among four
    assert score(np.array([2]))[0] == pytest.approx([of_two**2 + of_one**2, of_two**2, 0, 0], rel=1e-5)


def test_user_knn_sums_the_cosines_of_the_nearest_others() -> None:
    both = fit_user_knn(once(), MOMENT, UserKnnConfig(neighbours=2, power=0))
    assert both(EVERYONE)[0] == pytest.approx([1 / math.sqrt(2), 1 / 2, 1 / 2, 0])
    one = fit_user_knn(once(), MOMENT, UserKnnConfig(neighbours=1, power=0))
    assert one(EVERYONE)[0] == pytest.approx([1 / math.sqrt(2), 0, 0, 0])


def test_rp3beta_walks_three_steps() -> None:
    walk = fit_rp3beta(once(), MOMENT, Rp3BetaConfig(alpha=1, beta=0, power=0))(EVERYONE)
    assert walk[0] == pytest.approx([1 / 2, 3 / 8, 1 / 8, 0])
    assert walk[2] == pytest.approx([3 / 4, 1 / 4, 0, 0])
    damped = fit_rp3beta(once(), MOMENT, Rp3BetaConfig(alpha=1, beta=1, power=0))(EVERYONE)
    assert damped[0] == pytest.approx([1 / 4, 3 / 16, 1 / 8, 0])
    squared = fit_rp3beta(once(), MOMENT, Rp3BetaConfig(alpha=2, beta=0, power=0))(EVERYONE)
    assert squared[2] == pytest.approx([1 / 4 * 1 / 4 + 1 / 4, 1 / 4 * 1 / 4, 0, 0])


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (6, 6)], ids=["fewer users", "fewer products", "as many"])
def test_ease_is_the_inverse_of_the_products_gram_matrix(shape: tuple[int, int]) -> None:
    x = (np.random.default_rng(1).random(shape) < 0.5).astype(float)
    x[:, -1] = 0
    inverse = np.linalg.inv(x.T @ x + 3 * np.eye(shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    score = fit_ease(once(x), MOMENT, EaseConfig(regularisation=3, power=0))
    assert np.allclose(score(np.arange(shape[0])), x @ weights, atol=1e-5)


def test_ease_says_when_its_matrix_is_too_large() -> None:
    with pytest.raises(ResourceError, match="3 rows, more than largest_side = 2"):
        fit_ease(once(), MOMENT, EaseConfig(largest_side=2))


def test_ials_with_all_the_dimensions_it_needs_rebuilds_what_was_bought() -> None:
    config = IalsConfig(dimension=3, regularisation=1e-4, confidence=5, iterations=200, power=0)
    assert np.allclose(fit_ials(once(), MOMENT, config, seed=1)(EVERYONE), BOUGHT, atol=0.02)


def test_bpr_ranks_what_was_bought_above_what_was_not() -> None:
    config = BprConfig(dimension=3, learning_rate=0.1, regularisation=0.001, epochs=500)
    scores = fit_bpr(once(), MOMENT, config, seed=1)(EVERYONE)
    for user in range(3):
        assert scores[user, :3][BOUGHT[user, :3] == 1].min() > scores[user, :3][BOUGHT[user, :3] == 0].max()


def test_gf_cf_adds_the_ideal_filter_to_the_linear_one() -> None:
    linear = fit_gf_cf(once(), MOMENT, GfCfConfig(dimension=1, ideal_weight=0, power=0))(EVERYONE)
    assert linear[2] == pytest.approx([3 / 4, 1 / 4, 0, 0])
    both = fit_gf_cf(once(), MOMENT, GfCfConfig(dimension=1, ideal_weight=0.5, power=0))(EVERYONE)
    x = BOUGHT[:, :3]
    product_root = np.sqrt(x.sum(axis=0))
    first = np.linalg.svd(x / np.sqrt(x.sum(axis=1))[:, None] / product_root)[2][0]
    ideal = 0.5 * x @ np.outer(first / product_root, first * product_root)
    assert np.allclose(both[:, :3], linear[:, :3] + ideal, atol=1e-5)
    assert (np.abs(ideal) > 0.05).all()


def test_the_past_comes_in_one_order() -> None:
    bought = lines((1, 0, 1), (0, 2, 1), (0, 1, 2), (0, 1, 3), (2, 0, 0))
    past = past_of(bought, MOMENT)
    assert list(zip(past.users, past.products, (MOMENT - past.times) // WEEK_MS, strict=True)) == [
        (0, 1, 3),
        (0, 1, 2),
        (0, 2, 1),
        (1, 0, 1),
    ]


def test_baskets_are_windows_counted_back_from_the_users_last() -> None:
    bought = lines((0, 0, 1), (0, 1, 1 - 1 / 168), (0, 2, 3), (1, 0, 8))
    age, baskets = basket_ages(bought, basket_hours=24)
    assert age.tolist() == [0, 0, 1, 0]
    assert baskets.tolist() == [2, 1, 0]
    assert basket_ages(bought, basket_hours=1)[0].tolist() == [1, 0, 2, 0]


def test_up_cf_sums_recent_shares_by_asymmetric_likeness() -> None:
    # user 0 has baskets {1}, {0}, {0, 0}; user 1 has {1, 2}; user 2 has {0}
    bought = lines((0, 1, 1), (0, 0, 2), (0, 0, 3), (0, 0, 3), (1, 1, 1), (1, 2, 1), (2, 0, 1))
    config = UpCfConfig(recent_baskets=2, asymmetry=0.25, locality=2, neighbours=3)
    to_first = (1 / (1**0.25 * 2**0.75)) ** 2
    assert fit_up_cf(bought, MOMENT, config)(EVERYONE)[2] == pytest.approx([1 + to_first / 2, to_first / 2, 0, 0])
    every = UpCfConfig(recent_baskets=9, asymmetry=0.25, locality=2, neighbours=3)
    assert fit_up_cf(bought, MOMENT, every)(EVERYONE)[2] == pytest.approx(
        [1 + to_first * 2 / 3, to_first * 1 / 3, 0, 0]
    )


def test_tifu_knn_fades_baskets_then_groups_and_asks_the_nearest() -> None:
    # user 0 has baskets {0}, {0, 1}, {1} from the latest back; two groups: the latest two, and the oldest alone
    bought = lines((0, 0, 1), (0, 0, 2), (0, 1, 2), (0, 1, 3), (1, 2, 1), (2, 1, 1), (2, 2, 1))
    config = TifuKnnConfig(groups=2, basket_decay=0.8, group_decay=0.5, neighbours=1, own_share=0.75)
    own = np.array([(1 + 0.8) / 2 / 2, (0.8 / 2 + 0.5) / 2, 0, 0])
    others = {1: np.array([0, 0, 1, 0]), 2: np.array([0, 1, 1, 0])}  # one basket, one group
    distances = {user: ((own - vector) ** 2).sum() for user, vector in others.items()}
    nearest = others[min(distances, key=distances.__getitem__)]
    scores = fit_tifu_knn(bought, MOMENT, config)(EVERYONE)
    assert scores[0] == pytest.approx(0.75 * own + 0.25 * nearest)
    assert scores[1] == pytest.approx(0.75 * others[1] + 0.25 * others[2])


def test_page_rank_is_the_solution_of_its_linear_system() -> None:
    stated = np.array([[1, 0], [1, 1], [0, 0], [0, 1]], dtype=float)
    walk = np.zeros((9, 9))  # rows go to columns: three users, four products, two nodes of the catalogue
    walk[:3, 3:7] = BOUGHT / BOUGHT.sum(axis=1, keepdims=True)
    to_catalogue = np.array([0.4, 0.4, 0.0, 1.0])  # product 2 states nothing, product 3 has no buyers
    buyers = BOUGHT.T / np.maximum(BOUGHT.T.sum(axis=1, keepdims=True), 1)
    walk[3:7, :3] = (1 - to_catalogue)[:, None] * buyers
    walk[3:7, 7:] = to_catalogue[:, None] * stated / np.maximum(stated.sum(axis=1, keepdims=True), 1)
    walk[7:, 3:7] = stated.T / stated.T.sum(axis=1, keepdims=True)
    expected = 0.3 * np.linalg.inv(np.eye(9) - 0.7 * walk)[:3, 3:7]
    config = PageRankConfig(restart=0.3, catalogue_share=0.4, rounds=40, power=0)
    assert np.allclose(fit_page_rank(once(), MOMENT, sp.csr_array(stated), config)(EVERYONE), expected, atol=1e-5)
    assert (expected[:, 3] > 0).all()


def test_attribute_affinity_is_a_cosine_of_what_is_stated() -> None:
    stated = sp.csr_array(np.array([[1, 0], [1, 1], [0, 0], [0, 1]], dtype=float))
    plain = fit_attribute_affinity(once(), MOMENT, stated, AttributeAffinityConfig(power=0, rarity=0))(EVERYONE)
    half = 1 / math.sqrt(2)
    assert plain[2] == pytest.approx([1, half, 0, 0])
    assert plain[0] == pytest.approx([1 + half, half + 1, 0, half])


def test_only_the_strongest_positive_numbers_are_kept() -> None:
    kept = strongest(np.array([[3.0, 1.0, 3.0, 2.0], [-2.0, -1.0, 0.5, -3.0]]), 2)
    assert kept.toarray().tolist() == [[3, 0, 3, 0], [0, 0, 0.5, 0]]
