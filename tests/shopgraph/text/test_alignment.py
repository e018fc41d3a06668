"""Where the projection starts: what users' purchases share is kept, what all products share is not."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from shopgraph.errors import InputError
from shopgraph.text.alignment import Searched, fit_alignment
from shopgraph.text.projection import fit_projection

TASTES = 3


def shop(users: int = 60, products: int = 90) -> tuple[np.ndarray, sp.csr_array]:
    """Users of three tastes buy products of their own. A product's taste is a faint part of its vector; the loudest
    part is chance, and another is the same for all."""
    random = np.random.default_rng(0)
    taste = np.arange(products) % TASTES
    vectors = np.zeros((products, 8))
    vectors[np.arange(products), taste] = 0.2
    vectors[:, 4] = random.normal(size=products) * 5
    vectors[:, 5] = 9.0
    vectors[:, 6:] = random.normal(size=(products, 2)) * 0.05
    bought = (np.arange(users)[:, None] % TASTES == taste) & (random.random((users, products)) < 0.3)
    return vectors.astype(np.float32), sp.csr_array(bought.astype(np.float32))


def share_of_own_taste(unit: np.ndarray) -> float:
    """Of each product's five nearest others, how many are of its taste."""
    cosine = unit @ unit.T - 2 * np.eye(len(unit))
    nearest = np.argsort(-cosine, axis=1)[:, :5]
    return float((nearest % TASTES == np.arange(len(unit))[:, None] % TASTES).mean())


def test_a_faint_taste_is_found_where_variance_alone_finds_chance():
    vectors, bought = shop()
    aligned = fit_alignment(vectors, bought, 2)
    assert share_of_own_taste(aligned(vectors)) > 0.95
    assert share_of_own_taste(fit_projection(vectors, 2)(vectors)) < 0.5
    assert aligned.kept > 0.8


def test_products_that_nobody_bought_are_placed_by_what_they_are():
    vectors, bought = shop()
    known = np.arange(60)
    aligned = fit_alignment(vectors[known], bought[:, known], 2)
    assert share_of_own_taste(aligned(vectors[60:])) > 0.95


def test_queries_are_placed_with_what_they_led_to():
    """Nothing was bought. Words of a query are other columns than a product's taste, and only searches tie the two."""
    vectors, bought = shop()
    taste = np.arange(len(vectors)) % TASTES
    asked = np.arange(30) % TASTES
    queries = np.zeros((30, 6), np.float32)
    queries[np.arange(30), 3 + asked % 2], queries[:, 2] = 1.0, asked
    queries += np.random.default_rng(2).normal(size=queries.shape).astype(np.float32) * 0.01
    led_to = sp.csr_array((asked[:, None] == taste).astype(np.float32))
    none = sp.csr_array(bought.shape, dtype=np.float32)
    aligned = fit_alignment(vectors, none, 2, [Searched(queries[:24], led_to[:24])])
    mean_of_rest = np.tile(vectors[:, 6:].mean(axis=0), (30, 1))
    found = aligned(np.hstack([queries, mean_of_rest]).astype(np.float32)) @ aligned(vectors).T
    nearest = np.argsort(-found[24:], axis=1)[:, :5]
    assert (nearest % TASTES == asked[24:, None]).mean() > 0.9
    assert share_of_own_taste(aligned(vectors)) > 0.9


def test_a_share_of_none_leaves_the_purchases_what_they_are():
    vectors, bought = shop()
    searched = Searched(vectors[:4, :6], sp.csr_array(np.ones((4, len(vectors)), np.float32)), share=0.0)
    ours, theirs = fit_alignment(vectors, bought, 2, [searched]), fit_alignment(vectors, bought, 2)
    assert np.allclose(ours(vectors), theirs(vectors), atol=1e-4)
    assert np.allclose(ours.mean, theirs.mean, atol=1e-6)


def test_the_scale_of_a_part_does_not_matter():
    vectors, bought = shop()
    louder = vectors.copy()
    louder[:, :4] *= 7
    ours, theirs = (fit_alignment(x, bought, 2)(x) for x in (vectors, louder))
    assert share_of_own_taste(theirs) == pytest.approx(share_of_own_taste(ours), abs=0.05)


def test_two_products_by_hand():
    """One user bought both. Their difference is all there is to see, and along it they disagree: nothing is shared."""
    vectors = np.array([[1.0, 0.0], [-1.0, 0.0]], np.float32)
    aligned = fit_alignment(vectors, sp.csr_array(np.ones((1, 2), np.float32)), 1)
    assert aligned.mean.tolist() == [0.0, 0.0]
    assert aligned.kept == 0.0


@pytest.mark.parametrize("bought", [np.zeros((0, 3)), np.zeros((4, 3)), np.eye(3)], ids=["none", "empty", "singles"])
def test_without_pairs_the_products_own_directions_are_kept(bought: np.ndarray):
    vectors = np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32)
    aligned = fit_alignment(vectors, sp.csr_array(bought.astype(np.float32)), 2)
    assert np.allclose(aligned(vectors), fit_projection(vectors, 2)(vectors), atol=1e-6)


def test_one_product_gives_a_sound_map():
    found = fit_alignment(np.ones((1, 4), np.float32), sp.csr_array(np.ones((3, 1), np.float32)), 2)
    assert np.isfinite(found(np.ones((1, 4), np.float32))).all()


def test_impossible_asks_are_refused():
    with pytest.raises(InputError, match="from 4 to 5"):
        fit_alignment(np.ones((2, 4), np.float32), sp.csr_array(np.ones((1, 2), np.float32)), 5)
    with pytest.raises(InputError, match="of 0 texts"):
        fit_alignment(np.ones((0, 4), np.float32), sp.csr_array((1, 0), dtype=np.float32), 2)


def test_names_of_the_catalogue_make_a_space_to_search_in_where_nobody_searched():
    """A name is written unlike any product, in columns of its own, and lacks what all products share."""
    vectors, bought = shop()
    taste = np.arange(len(vectors)) % TASTES
    called = np.arange(12) % TASTES
    names = np.zeros((12, 8), np.float32)
    names[np.arange(12), np.array([3, 6, 7])[called]] = 1.0
    names += np.random.default_rng(3).normal(size=names.shape).astype(np.float32) * 0.01
    of = sp.csr_array((called[:, None] == taste).astype(np.float32))
    aligned = fit_alignment(vectors, bought, 2, [Searched(names[:6], of[:6], share=0.25)])
    nearest = np.argsort(-(aligned(names[6:]) @ aligned(vectors).T), axis=1)[:, :5]
    assert (nearest % TASTES == called[6:, None]).mean() == 1.0
    assert share_of_own_taste(aligned(vectors)) > 0.9
    silent = fit_alignment(vectors, bought, 2)
    nearest = np.argsort(-(silent(names[6:]) @ silent(vectors).T), axis=1)[:, :5]
    assert (nearest % TASTES == called[6:, None]).mean() < 0.4
