"""Exact nearest rows against brute force."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from shopgraph.nearest import distinct_rows, nearest, nearest_others


def unit(rows: int, dimension: int = 8, seed: int = 0) -> np.ndarray:
    matrix = np.random.default_rng(seed).standard_normal((rows, dimension)).astype(np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def brute(scores: np.ndarray, count: int) -> np.ndarray:
    return np.lexsort((np.broadcast_to(np.arange(scores.shape[1]), scores.shape), -scores), axis=1)[:, :count]


@pytest.mark.parametrize("targets", [1, 63, 64, 65, 5000, 20_000])
def test_it_finds_what_brute_force_finds(targets: int) -> None:
    queries, rows = unit(300, seed=1), unit(targets)
    found = nearest(queries, rows, 10)
    scores = queries @ rows.T
    expected = brute(scores, 10)
    assert found.shape == expected.shape
    assert np.allclose(np.take_along_axis(scores, found, 1), np.take_along_axis(scores, expected, 1), atol=1e-6)


def test_ties_go_by_row_and_excluded_ones_are_left_out() -> None:
    rows = np.repeat(np.eye(2, dtype=np.float32), [70, 70], axis=0)
    assert nearest(rows[:1], rows, 4).tolist() == [[0, 1, 2, 3]]
    excluded = sp.csr_matrix(([1, 1], ([0, 0], [0, 2])), shape=(1, 140))
    assert nearest(rows[:1], rows, 4, excluded=excluded).tolist() == [[1, 3, 4, 5]]


def test_where_too_few_are_left_the_rest_is_marked() -> None:
    rows = np.eye(3, dtype=np.float32)
    excluded = sp.csr_matrix(([1, 1], ([0, 0], [0, 1])), shape=(1, 3))
    assert nearest(rows[:1], rows, 3, excluded=excluded).tolist() == [[2, -1, -1]]


def test_others_never_name_the_row_itself_and_identical_rows_come_first() -> None:
    rows = unit(400, seed=3)
    rows[[7, 11, 300]] = rows[3]
    found = list(nearest_others(rows, 5))
    scores = rows @ rows.T
    np.fill_diagonal(scores, -np.inf)
    assert found[3][:3].tolist() == [7, 11, 300]
    assert found[11][:3].tolist() == [3, 7, 300]
    for row, others in enumerate(found):
        assert row not in others
        assert np.allclose(scores[row, others], np.sort(scores[row])[::-1][:5], atol=1e-6)


def test_a_crowd_of_identical_rows_still_gives_everyone_the_count() -> None:
    found = list(nearest_others(np.repeat(unit(1), 50, axis=0), 10))
    assert all(len(others) == 10 and row not in others for row, others in enumerate(found))


def test_distinct_rows_are_counted_once() -> None:
    rows = unit(6)
    rows[4] = rows[1]
    first, position = distinct_rows(rows)
    assert first.tolist() == [0, 1, 2, 3, 5]
    assert position.tolist() == [0, 1, 2, 3, 1, 4]
