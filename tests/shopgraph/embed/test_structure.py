"""Counts by hand, and positions that know nothing of rotation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shopgraph.dataset.purchases import WEEK_MS, Purchases
from shopgraph.embed.structure import EVER, activity, popularity, positions

NOW = 100 * WEEK_MS


def purchases(*lines: tuple[int, int, float]) -> Purchases:
    users, products, weeks_ago = (np.array(column) for column in zip(*lines, strict=True))
    return Purchases(users, products, (NOW - weeks_ago * WEEK_MS).astype(np.int64), 3, 4)


def test_popularity_counts_buyers_by_window_not_lines() -> None:
    past = purchases((0, 0, 0.5), (0, 0, 0.6), (1, 0, 3.0), (1, 1, 30.0), (2, 1, 1.5), (2, 2, 20.0))
    found = popularity(past, NOW)
    buyers_of_a_week = np.log1p([1, 0, 0])
    buyers_ever, new_within_2 = np.log1p([2, 2, 1]), np.log1p([1, 1, 0])
    for column, expected in ((0, buyers_of_a_week), (EVER, buyers_ever), (EVER + 1, new_within_2)):
        standardised = (expected - expected.mean()) / expected.std()
        assert np.allclose(found[:3, column], standardised, atol=1e-5)
    assert found[3].tolist() == [0.0] * (found.shape[1] - 1) + [-1.0]


def test_activity_counts_products_by_window() -> None:
    past = purchases((0, 0, 0.5), (0, 1, 10.0), (1, 0, 3.0), (1, 0, 30.0))
    found = activity(past, NOW)
    within_4, ever, new_within_4 = np.log1p([1, 1]), np.log1p([2, 1]), np.log1p([1, 0])
    assert found[:2, 0].tolist() == [0.0, 0.0]
    assert np.ptp(within_4) == 0
    for column, expected in ((2, ever), (3, new_within_4)):
        assert np.allclose(found[:2, column], (expected - expected.mean()) / expected.std(), atol=1e-5)
    assert found[2].abs().max() == 0


def test_positions_tell_two_tastes_apart() -> None:
    keys = np.array([user * 6 + product for user in range(8) for product in range(6) if product % 2 == user % 2])
    found = positions(keys, np.ones(len(keys)), (8, 6), 4, 0, None)
    likeness = found.user @ found.product.T
    same = (np.arange(8)[:, None] % 2) == (np.arange(6) % 2)
    assert likeness[torch.from_numpy(same)].min() > likeness[torch.from_numpy(~same)].max()
    assert found.user.shape == (8, 4)
    assert found.product.norm(dim=1).max() == pytest.approx(4 / 5)


def test_positions_are_turned_to_earlier_axes() -> None:
    random = np.random.default_rng(0)
    keys = np.sort(random.choice(20 * 30, 200, replace=False))
    first = positions(keys, np.ones(200), (20, 30), 5, 0, None)
    turn = torch.from_numpy(np.linalg.qr(random.normal(size=(5, 5)))[0].astype(np.float32))
    second = positions(keys, np.ones(200), (20, 30), 5, 1, first.user @ turn)
    assert torch.allclose(second.user, first.user @ turn, atol=2e-2)
    assert torch.allclose(second.user @ second.product.T, first.user @ first.product.T, atol=2e-2)
