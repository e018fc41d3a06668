"""Figures of encoded texts by hand."""

from __future__ import annotations

import numpy as np
import pytest

from shopgraph.text.retrieval import pair_recall


def test_pair_recall_counts_both_ways_and_ties_against():
    encoded = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    assert pair_recall(encoded, np.array([[0, 1]]), k=1) == pytest.approx(1.0)
    assert pair_recall(encoded, np.array([[1, 2]]), k=1) == pytest.approx(0.5)  # 1 stands nearer to 0 than to 2
    tied = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert pair_recall(tied, np.array([[0, 1]]), k=1) == pytest.approx(0.0)
