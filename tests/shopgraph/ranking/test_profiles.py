"""Profiles by hand arithmetic, and the same however many users are held at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import scipy.sparse as sp

from shopgraph.dataset.purchases import Purchases, to_ms
from shopgraph.ranking import profiles as module
from shopgraph.ranking.profiles import lately, profiles

START = datetime(2024, 1, 1, tzinfo=UTC)


def test_profiles_weigh_by_the_root_of_buyers_and_by_nearness() -> None:
    """User 0 bought a product that four have, along x, and one that nobody else has, along y."""
    vectors = np.array([[1, 0], [0, 1], [1, 0], [0, 1], [0.8, 0.6]], np.float32)
    bought = sp.csr_array(np.array([[1, 1, 0, 0, 0], *[[1, 0, 0, 0, 0]] * 3], np.float32))
    candidates = np.array([False, False, True, True, True])
    found = profiles(vectors, bought, candidates, 2.0)(np.array([0, 3]))
    assert np.isneginf(found[:, :2]).all()
    x, y = 0.5, 1.0
    by_hand = [x * np.exp(2) + y, x + y * np.exp(2), x * np.exp(1.6) + y * np.exp(1.2)]
    assert found[0, 2:].tolist() == pytest.approx(by_hand)
    assert found[1, 2:].tolist() == pytest.approx([x * np.exp(2), x, x * np.exp(1.6)])


def test_what_was_bought_lately_counts_more() -> None:
    """A user bought product 0 now and two hours ago, 1 an hour ago and 2 now; what counts halves every hour."""
    at = [4, 2, 3, 4]
    purchases = Purchases(
        np.zeros(4, np.int64), np.array([0, 0, 1, 2]), np.array([to_ms(START + timedelta(hours=h)) for h in at]), 1, 3
    )
    moment, hour_in_weeks = to_ms(START + timedelta(hours=4)), 1 / (7 * 24)
    found = lately(purchases, moment, hour_in_weeks).toarray()
    assert found[0].tolist() == pytest.approx([np.sqrt(1 + 1 / 4), np.sqrt(1 / 2), 1.0])
    assert lately(purchases, moment, np.inf).toarray()[0].tolist() == pytest.approx([np.sqrt(2), 1.0, 1.0])


def test_users_in_parts_score_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    vectors = random.standard_normal((12, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    bought = sp.random_array((9, 12), density=0.5, rng=random, format="csr", dtype=np.float32)
    bought.data[:] = 1.0
    candidates, users = np.arange(12) >= 8, np.array([0, 1, 4, 5, 8])
    whole = profiles(vectors, bought, candidates, 2.0)(users)
    monkeypatch.setattr(module, "VALUES_AT_ONCE", 8)  # two users of four candidates
    assert np.array_equal(profiles(vectors, bought, candidates, 2.0)(users), whole)
