"""Exact nearest rows by inner product, blockwise on the CPU: arithmetic on arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import scipy.sparse as sp

BLOCK_ROWS = 256
GROUP = 64
"""Columns summarised by one maximum: a row's best k lie within its best k groups."""


def nearest(
    queries: np.ndarray,
    targets: np.ndarray,
    count: int,
    excluded: sp.csr_matrix | None = None,
    beat: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """The `count` rows of `targets` with the greatest inner product with each query, ties by row number.

    Args:
        excluded: a non-zero at (query, target) keeps the target out of that query's answer.
        beat: called after each block with rows done and their total.

    Shapes:
        queries: (q, d); targets: (t, d); excluded: (q, t)
        returns: (q, min(count, t)), int64; -1 where fewer targets than that are left
    """
    found = np.empty((len(queries), min(count, len(targets))), dtype=np.int64)
    padded = np.ascontiguousarray(np.pad(targets, ((0, -len(targets) % GROUP), (0, 0))).T, dtype=np.float32)
    for first in range(0, len(queries), BLOCK_ROWS):
        scores = np.ascontiguousarray(queries[first : first + BLOCK_ROWS], dtype=np.float32) @ padded
        scores[:, len(targets) :] = -np.inf
        if excluded is not None:
            block = excluded[first : first + BLOCK_ROWS].tocoo()
            scores[block.row, block.col] = -np.inf
        found[first : first + BLOCK_ROWS] = _best(scores, found.shape[1])
        beat(min(first + BLOCK_ROWS, len(queries)), len(queries))
    return found


def _best(scores: np.ndarray, count: int) -> np.ndarray:
    """The columns of each row's greatest scores; -1 where fewer are finite.

    The count-th greatest of the group maxima bounds the count-th greatest score from below, so that only the few
    scores at or above it have to be sorted.

    Shapes: scores (rows, GROUP * groups), group g being the columns g, g + groups, ...; returns (rows, count)
    """
    rows, width = scores.shape
    group_count = width // GROUP
    bound = np.full((rows, 1), np.finfo(np.float32).min, dtype=np.float32)
    if group_count > count:
        # (rows, GROUP, groups): the maximum runs along contiguous memory
        summaries = scores.reshape(rows, GROUP, group_count).max(axis=1)
        bound = np.maximum(bound, -np.partition(-summaries, count - 1, axis=1)[:, count - 1 : count])
    row, column = np.divmod(np.flatnonzero(scores >= bound), width)
    order = np.lexsort((column, -scores[row, column], row))
    row, column = row[order], column[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    best = np.full((rows, count), -1, dtype=np.int64)
    kept = place < count
    best[row[kept], place[kept]] = column[kept]
    return best


def nearest_others(
    matrix: np.ndarray, count: int, beat: Callable[[int, int], None] = lambda done, total: None
) -> Iterator[np.ndarray]:
    """For each row the `count` nearest other rows; rows with identical vectors share one computation.

    Shapes:
        matrix: (n, d)
        yields: n arrays of at most `count` row numbers, int64
    """
    distinct, group_of = distinct_rows(matrix)
    members = sp.csr_matrix(
        (np.ones(len(group_of), np.int8), (group_of, np.arange(len(group_of)))), shape=(len(distinct), len(group_of))
    )
    groups = nearest(matrix[distinct], matrix[distinct], count + 1, beat=beat)
    extended: list[np.ndarray | None] = [None] * len(distinct)
    for row, group in enumerate(group_of.tolist()):
        if extended[group] is None:
            extended[group] = _members(members, groups[group], count + 1)
        others = extended[group]
        yield others[others != row][:count]


def _members(members: sp.csr_matrix, groups: np.ndarray, count: int) -> np.ndarray:
    rows: list[np.ndarray] = []
    length = 0
    for group in groups.tolist():
        rows.append(members.indices[members.indptr[group] : members.indptr[group + 1]])
        length += len(rows[-1])
        if length >= count:
            break
    return np.concatenate(rows)[: max(count, len(rows[0]))].astype(np.int64)


def distinct_rows(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first row of each distinct vector, and for every row which of those it equals.

    Shapes:
        matrix: (n, d); returns: (u,) row numbers and (n,) positions in them, both int64
    """
    rows = np.ascontiguousarray(matrix, dtype=np.float32)
    as_bytes = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, inverse = np.unique(as_bytes, return_index=True, return_inverse=True)
    order = np.argsort(first)
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    return first[order].astype(np.int64), position[inverse.ravel()].astype(np.int64)
