"""Figures of encoded texts by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from shopgraph.text.retrieval import graded_ndcg, pair_recall


def test_graded_ndcg_is_the_discounted_gain_by_the_best_possible():
    scores = np.array([[0.9, 0.8, 0.1, 0.2], [0.1, 0.2, 0.3, 0.4]])
    gains = np.array([[0.0, 2.0, 5.0, 1.0], [0.0, 0.0, 0.0, 3.0]])
    found = graded_ndcg(scores, gains, k=3)
    dcg = 0 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    ideal = 5 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    assert found == pytest.approx([dcg / ideal, 1.0])


def test_a_cut_beyond_the_products_is_all_of_them_and_ties_rank_by_number():
    assert graded_ndcg(np.zeros((1, 2)), np.array([[0.0, 1.0]]), k=10) == pytest.approx([1 / math.log2(3)])


def test_pair_recall_counts_both_ways_and_ties_against():
    encoded = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    assert pair_recall(encoded, np.array([[0, 1]]), k=1) == pytest.approx(1.0)
    assert pair_recall(encoded, np.array([[1, 2]]), k=1) == pytest.approx(0.5)  # 1 stands nearer to 0 than to 2
    tied = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert pair_recall(tied, np.array([[0, 1]]), k=1) == pytest.approx(0.0)
