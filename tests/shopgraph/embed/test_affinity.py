"""What users are drawn to among what the catalogue states: by hand, in full width, and where nobody bought yet."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from shopgraph.embed.affinity import KIND_WEIGHTS, PRIOR, affinity, leanings

TEA, COFFEE, SHOES = range(3)
STATED = sp.csr_array(np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32))
"""Products 0 and 1 are tea, 2 is coffee, 3 are shoes."""
BOUGHT = sp.csr_array(np.array([[2, 0, 1, 0], [0, 0, 1, 3], [1, 0, 0, 0], [0, 0, 0, 0]], dtype=np.float32))


def test_leanings_by_hand() -> None:
    shares = np.array([3, 2, 3]) / 8
    found = leanings(BOUGHT, STATED, shares).toarray()
    assert found[0, TEA] == pytest.approx(math.log(1 + 2 / (PRIOR * 3 / 8)))
    assert found[1, COFFEE] == pytest.approx(math.log(1 + 1 / (PRIOR * 2 / 8)))
    assert found[0, SHOES] == 0
    assert not found[3].any()


def test_in_full_width_inner_products_are_the_leanings_of_each_user() -> None:
    found = affinity(BOUGHT, {"category": STATED}, width=8, seed=0)
    products = STATED @ found.nodes["category"].numpy()
    scores = found.user.numpy() @ products.T
    expected = leanings(BOUGHT, STATED, np.array([3, 2, 3]) / 8).toarray() @ STATED.T
    for user in range(3):
        ours, by_hand = (each[user] / np.linalg.norm(each[user]) for each in (scores, expected))
        assert np.allclose(ours, by_hand, atol=1e-4)
    assert np.abs(np.linalg.norm(products, axis=1)).max() == pytest.approx(1.0, abs=0.02)


def test_a_product_that_nobody_bought_is_near_those_who_buy_its_like() -> None:
    found = affinity(BOUGHT, {"category": STATED}, width=8, seed=0)
    scores = found.user @ (torch.from_numpy(STATED.toarray()) @ found.nodes["category"]).T
    assert scores[2].argmax() in (0, 1)
    assert scores[2, 1] == pytest.approx(float(scores[2, 0]))
    assert scores[:, 1].argmax() == 2, "who buys nothing but tea leans to it most"


def test_kinds_count_by_their_weights() -> None:
    """Stated twice, as a category and as a brand: the same leanings, and places apart by the weight alone."""
    found = affinity(BOUGHT, {"category": STATED, "brand": STATED}, width=8, seed=0)
    assert KIND_WEIGHTS["brand"] != KIND_WEIGHTS["category"]
    expected = KIND_WEIGHTS["brand"] / KIND_WEIGHTS["category"] * found.nodes["category"]
    assert torch.allclose(found.nodes["brand"], expected, atol=1e-4)
    assert torch.allclose(found.folded(BOUGHT, {"category": STATED, "brand": STATED}), found.user, atol=1e-3)


def test_later_axes_are_turned_to_earlier_ones() -> None:
    early = affinity(BOUGHT, {"category": STATED}, width=3, seed=0)
    later = affinity(BOUGHT, {"category": STATED}, width=3, seed=9, aligned_to=early)
    assert torch.allclose(later.user, early.user, atol=1e-3)
    assert torch.allclose(later.nodes["category"], early.nodes["category"], atol=1e-3)


def test_a_user_without_purchases_has_no_place() -> None:
    found = affinity(BOUGHT, {"category": STATED}, width=3, seed=0)
    assert not found.user[3].any()
    empty = affinity(sp.csr_array((2, 4), dtype=np.float32), {"category": STATED}, width=3, seed=0)
    assert torch.isfinite(empty.nodes["category"]).all()
    assert not empty.user.any()
