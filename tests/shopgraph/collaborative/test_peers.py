"""One battery for every collaborative filter, on two planted tastes: readers buy books, runners buy shoes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from shopgraph.collaborative.bpr import BprConfig
from shopgraph.collaborative.ials import IalsConfig
from shopgraph.collaborative.peers import PEERS, fit_peer
from shopgraph.collaborative.tifu_knn import TifuKnnConfig
from shopgraph.dataset.purchases import WEEK_MS, Purchases
from shopgraph.errors import ConfigurationError, InputError
from shopgraph.evaluation import Scorer

MOMENT = 3_000 * WEEK_MS
DAY = WEEK_MS // 7
USERS, SOLD = 24, 24
PRODUCTS = SOLD + 2
"""The last two, a book and a shoe, are never sold."""
SMALL: dict[str, Any] = {
    "ials": IalsConfig(dimension=4),
    "bpr": BprConfig(dimension=4, learning_rate=0.05, epochs=150),
    "tifu_knn": TifuKnnConfig(neighbours=8),
}
"""More dimensions than tastes would learn each user's gaps by heart, and the mean of all users has no taste."""
UNTASTING = ("popularity", "personal_frequency")
"""To these, all that a user never bought differs by other people's purchases alone."""
NAMES = list(PEERS)
TASTING = [name for name in NAMES if name not in UNTASTING]
CATALOGUE_READERS = [name for name, peer in PEERS.items() if peer.takes_catalogue]


def planted() -> tuple[Purchases, np.ndarray]:
    """Even users buy all even products but one, odd users the odd ones, some twice.

    Returns:
        The lines, and the withheld product of each user.
    """
    random = np.random.default_rng(3)
    lines, withheld = [], np.arange(USERS)
    for user in range(USERS):
        for product in range(user % 2, SOLD, 2):
            if product != withheld[user]:
                days = random.integers(1, 200, size=random.integers(1, 3))
                lines += [(user, product, MOMENT - DAY * int(day)) for day in days]
    return purchases(lines), withheld


def purchases(lines: list[tuple[int, int, int]], users: int = USERS, products: int = PRODUCTS) -> Purchases:
    columns = np.array(lines, dtype=np.int64).reshape(-1, 3).T
    return Purchases(*columns, users, products)


def catalogue() -> sp.csr_array:
    """(products, 2 kinds + 2 departments + 4 colours): kind and department go with the taste, colours with neither."""
    product = np.arange(PRODUCTS)
    nodes = np.concatenate([product % 2, 2 + product % 2, 4 + product // 2 % 4])
    shape = (PRODUCTS, 8)
    return sp.csr_array((np.full(len(nodes), 1 / 3, np.float32), (np.tile(product, 3), nodes)), shape=shape)


def fit(name: str, lines: Purchases, seed: int = 7) -> Scorer:
    stated = catalogue()[: lines.product_count]
    return fit_peer(name, lines, MOMENT, catalogue=stated, config=SMALL.get(name), seed=seed)


EVERYONE = np.arange(USERS)


@pytest.mark.parametrize("name", TASTING)
def test_the_withheld_product_of_the_own_taste_comes_first(name: str) -> None:
    lines, withheld = planted()
    scores = fit(name, lines)(EVERYONE)
    scores[lines.users, lines.products] = -np.inf
    if name in CATALOGUE_READERS:
        scores[:, SOLD:] = -np.inf
    assert scores.argmax(axis=1).tolist() == withheld.tolist()


@pytest.mark.parametrize("name", UNTASTING)
def test_without_a_taste_what_is_new_to_a_user_comes_by_popularity(name: str) -> None:
    lines, _ = planted()
    popular = 5
    lately = [(user, popular, MOMENT - DAY) for user in range(1, USERS, 2)]
    extended = purchases([*zip(lines.users, lines.products, lines.times, strict=True), *lately])
    scores = fit(name, extended)(EVERYONE)
    scores[extended.users, extended.products] = -np.inf
    assert (scores.argmax(axis=1)[::2] == popular).all()


@pytest.mark.parametrize("name", CATALOGUE_READERS)
def test_a_product_never_sold_is_known_by_what_is_stated_of_it(name: str) -> None:
    scores = fit(name, planted()[0])(EVERYONE)[:, SOLD:]
    assert scores.argmax(axis=1).tolist() == (EVERYONE % 2).tolist()
    assert (scores.max(axis=1) > 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_purchases_at_or_after_the_moment_change_nothing(name: str) -> None:
    lines, _ = planted()
    known = list(zip(lines.users, lines.products, lines.times, strict=True))
    later = [(user, (user + 1) % SOLD, MOMENT + user % 3 * DAY) for user in range(USERS) for _ in range(3)]
    assert (fit(name, purchases(known + later))(EVERYONE) == fit(name, lines)(EVERYONE)).all()
    earlier = [(user, product, time - 4 * DAY) for user, product, time in later]
    assert not (fit(name, purchases(known + earlier))(EVERYONE) == fit(name, lines)(EVERYONE)).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_lines_changes_nothing(name: str) -> None:
    lines, _ = planted()
    shuffled = lines.chosen(np.random.default_rng(5).permutation(len(lines)))
    assert (shuffled.users != lines.users).any()
    assert (fit(name, shuffled)(EVERYONE) == fit(name, lines)(EVERYONE)).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_scores_like_its_users_alone(name: str) -> None:
    score = fit(name, planted()[0])
    rows = np.array([5, 2, 19])
    together = score(rows)
    assert together.dtype == np.float32
    assert together.shape == (3, PRODUCTS)
    assert np.allclose(together, np.concatenate([score(rows[[place]]) for place in range(3)]), rtol=1e-5, atol=1e-7)
    together[:] = 0
    assert score(rows).any(), "what a caller does to an answer must not reach the next one"


@pytest.mark.parametrize("name", NAMES)
def test_what_has_no_purchases_gets_a_number(name: str) -> None:
    """A product nobody bought, a user who bought nothing, and a line without a time."""
    lines, _ = planted()
    timeless = (0, 0, np.iinfo(np.int64).min)
    known = [line for line in zip(lines.users, lines.products, lines.times, strict=True) if line[0] != 1]
    scores = fit(name, purchases([*known, timeless]))(EVERYONE)
    assert np.isfinite(scores).all()
    if name not in CATALOGUE_READERS:
        assert np.allclose(scores[:, SOLD:], 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_a_shop_with_one_user_has_scores(name: str) -> None:
    lines = purchases([(0, 0, MOMENT - DAY), (0, 2, MOMENT - 2 * DAY), (0, 2, MOMENT - 9 * DAY)], 1, 4)
    scores = fit(name, lines)(np.array([0]))
    assert scores.shape == (1, 4)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_before_the_moment_is_said_in_one_line(name: str) -> None:
    with pytest.raises(InputError, match="no purchase lies before"):
        fit(name, purchases([(0, 0, MOMENT)]))


@pytest.mark.parametrize("name", [name for name, peer in PEERS.items() if peer.takes_seed])
def test_a_seed_repeats_a_run(name: str) -> None:
    lines, _ = planted()
    assert (fit(name, lines, seed=1)(EVERYONE) == fit(name, lines, seed=1)(EVERYONE)).all()


@pytest.mark.parametrize("name", ["ials", "bpr"])
def test_another_seed_is_another_run(name: str) -> None:
    lines, _ = planted()
    assert not np.array_equal(fit(name, lines, seed=1)(EVERYONE), fit(name, lines, seed=2)(EVERYONE))


def test_what_cannot_be_fitted_is_named() -> None:
    lines, _ = planted()
    with pytest.raises(ConfigurationError, match="no collaborative filter is called 'slope_one'; there are popularity"):
        fit_peer("slope_one", lines, MOMENT)
    with pytest.raises(ConfigurationError, match="page_rank reads what the catalogue states"):
        fit_peer("page_rank", lines, MOMENT)
    with pytest.raises(ConfigurationError, match="ease takes a EaseConfig, not a IalsConfig"):
        fit_peer("ease", lines, MOMENT, config=IalsConfig())
    with pytest.raises(ConfigurationError, match="likeness 'jaccard' of item_knn"):
        fit_peer("item_knn", lines, MOMENT, config=replace(PEERS["item_knn"].config(), likeness="jaccard"))
