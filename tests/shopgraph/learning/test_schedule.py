from __future__ import annotations

import pytest

from shopgraph.learning.schedule import rate_share


def test_a_cosine_with_warm_up_agrees_with_hand_arithmetic() -> None:
    """Two of ten steps warm up; the other eight fall from 1: cos(pi/4) at the third of them, half-way at the fifth."""
    shares = [rate_share("cosine", step, 10, 0.2) for step in range(10)]
    assert shares[:3] == pytest.approx([0.5, 1.0, 1.0])
    assert shares[4] == pytest.approx(0.5 + 0.5 * 2**-0.5)
    assert shares[6] == pytest.approx(0.5)
    assert all(share > 0 for share in shares)
    assert rate_share("cosine", 12, 10, 0.2) == 0.0


def test_a_constant_rate_stays_where_its_warm_up_ends() -> None:
    assert [rate_share("constant", step, 8, 0.5) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert rate_share("constant", 0, 8, 0.0) == 1.0
