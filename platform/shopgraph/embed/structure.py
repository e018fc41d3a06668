"""What a node's place in the purchase graph says before anything is learned: position, popularity, activity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch.nn.functional import normalize

from shopgraph.dataset.purchases import WEEK_MS, Purchases

OVERSAMPLING = 16
POWER_ITERATIONS = 4
POSITION_DEGREE_POWER = 0.25
"""Power of a product's degree that divides its column before the singular vectors are taken; 0.5 would be symmetric.
Chosen by the validation weeks of the Complete Journey among 0, .15, .25, .35 and .5."""
RANK_SHARE = 4
"""A graph gets at most this part of its rank as positions: more of it is the purchases themselves, and no taste."""
SMALLEST_SHARE = 1e-7
"""Squared singular values below this part of the greatest are rounding, and their vectors are none."""
SHRINKAGE_BUYERS = 5.0
WINDOWS_WEEKS = (1, 2, 4, 8, 16)
NEW_BUYER_WINDOWS_WEEKS = (2, 4, 8)
POPULARITY_FEATURES = len(WINDOWS_WEEKS) + len(NEW_BUYER_WINDOWS_WEEKS) + 2
ACTIVITY_WINDOWS_WEEKS = (4, 12)
ACTIVITY_FEATURES = 2 * len(ACTIVITY_WINDOWS_WEEKS) + 2
NEVER_SOLD = -1.0
"""Last column of `popularity` of a product that was never sold; the others are 0."""
EVER = len(WINDOWS_WEEKS)
"""Column of the buyers ever in `popularity`."""


@dataclass(frozen=True)
class Positions:
    """Singular vectors of the weighted purchases.

    Shapes:
        user: (users, width), unit rows
        product: (products, width), rows of length 1 that shrink to 0 with few buyers
        fold_in: (products, width), what the weights of a user's products are multiplied by to find the user's position
    """

    user: torch.Tensor
    product: torch.Tensor
    fold_in: torch.Tensor


@dataclass(frozen=True)
class Standard:
    """Mean and deviation of the logarithms of counts, by which later ones are standardised alike.

    Shapes:
        mean, deviation: (columns,), float64
    """

    mean: np.ndarray
    deviation: np.ndarray

    def applied(self, values: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """(rows, columns), float32; 0 outside of `kept`."""
        return np.where(kept[:, None], (values - self.mean) / self.deviation, 0.0).astype(np.float32)


def positions(
    keys: np.ndarray, weight: np.ndarray, shape: tuple[int, int], width: int, seed: int, aligned_to: torch.Tensor | None
) -> Positions:
    """Truncated singular vectors of D_u^-1/2 A D_p^-power, zero-padded where a small graph has fewer.

    Args:
        keys, weight: (pairs,), ascending pair keys and their weights.
        aligned_to: (users, width), positions of an earlier moment whose axes these are turned to: singular vectors are
            known only up to rotation.

    Source: Halko, Martinsson and Tropp, Finding structure with randomness (2011); as input of a graph network, Dwivedi
    et al., Benchmarking graph neural networks (2023).
    """
    most = max(1, min(shape) // RANK_SHARE)
    user, product = singular_vectors(_damped(keys, weight, shape), width, seed, most)
    if aligned_to is not None:
        turn = turned_to(user, aligned_to)
        user, product = user @ turn, product @ turn
    buyers = torch.from_numpy(np.bincount(keys % shape[1], minlength=shape[1]).astype(np.float32))
    certain = (buyers / SHRINKAGE_BUYERS).clamp(max=1.0)[:, None]
    return Positions(
        normalize(user, dim=1, eps=1e-9),
        normalize(product, dim=1, eps=1e-9) * certain,
        _folding(product, np.bincount(keys % shape[1], weight, shape[1])),
    )


def singular_vectors(
    matrix: sp.csr_array, width: int, seed: int, most: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Left and right singular vectors, each scaled by the root of its value; `most` of them, padded with zeros."""
    random, transposed = np.random.default_rng(seed), sp.csr_array(matrix.T)
    size = min(width + OVERSAMPLING, *matrix.shape)
    basis = random.normal(size=(matrix.shape[0], size)).astype(np.float32)
    for _ in range(POWER_ITERATIONS):
        basis = np.linalg.qr(matrix @ (transposed @ basis))[0].astype(np.float32)
    projected = transposed @ basis
    turn, values, _ = np.linalg.svd(projected.T @ projected)
    kept = min(width, len(values), most or width)
    root = values[:kept] ** 0.25  # of matrix^T matrix, so that this is the root of a singular value
    known = values[:kept] > SMALLEST_SHARE * max(float(values[0]), 1e-12)
    inverse = np.divide(1.0, root, out=np.zeros(kept), where=known)
    left, right = (basis @ turn)[:, :kept] * (root * known), (projected @ turn)[:, :kept] * inverse
    return _padded(left, width), _padded(right, width)


def turned_to(rows: torch.Tensor, axes: torch.Tensor) -> torch.Tensor:
    """The rotation that brings rows nearest to those of an earlier moment: (n, width) twice -> (width, width).

    Source: Schönemann, A generalized solution of the orthogonal Procrustes problem (1966).
    """
    left, _, right = torch.linalg.svd(rows.T @ axes)
    return left @ right


def folded(weights: sp.csr_array, fold_in: torch.Tensor) -> torch.Tensor:
    """The positions of users by the weights of what they bought: for a user of the singular vectors, their own.

    Shapes:
        weights: (users, products); fold_in: (products, width), of `Positions`
        returns: (users, width), unit rows, 0 where nothing was bought

    Source: folding-in, Deerwester et al., Indexing by latent semantic analysis (1990).
    """
    return normalize(torch.from_numpy((weights @ fold_in.numpy()).astype(np.float32)), dim=1, eps=1e-9)


def _folding(product: torch.Tensor, degree: np.ndarray) -> torch.Tensor:
    """D_p^-power P (P^T P)^-1: least squares on the products' side; a user's own degree is a length, which goes."""
    side = product.double()
    inverse = torch.linalg.pinv(side.T @ side, hermitian=True, rtol=1e-6)
    damping = torch.from_numpy(np.where(degree > 0, np.maximum(degree, 1e-12) ** -POSITION_DEGREE_POWER, 0.0))
    return (damping[:, None] * (side @ inverse)).float()


def popularity(past: Purchases, moment_ms: int) -> torch.Tensor:
    """Standardised logs of buyers by window, buyers ever, first-time buyers by window, and lines ever.

    Standardised at each moment over the products that were sold: the level grows with the history, the order does not.

    Shapes:
        returns: (products, POPULARITY_FEATURES), float32, 0 for a product never sold but for its last column, -1
    """
    first, last, keys = _pair_times(past)
    count = past.product_count
    product = keys % count
    columns = [_counts(product[last >= moment_ms - weeks * WEEK_MS], count) for weeks in WINDOWS_WEEKS]
    columns += [_counts(product, count)]
    columns += [_counts(product[first >= moment_ms - weeks * WEEK_MS], count) for weeks in NEW_BUYER_WINDOWS_WEEKS]
    columns += [_counts(past.products, count)]
    sold = columns[EVER] > 0
    logs = np.log1p(np.stack(columns, axis=1))
    logs = _standard(logs, sold).applied(logs, sold)
    logs[~sold, -1] = NEVER_SOLD
    return torch.from_numpy(logs)


def activity(past: Purchases, moment_ms: int, standard: Standard | None = None) -> torch.Tensor:
    """Standardised logs of a user's products by window, products ever, new products by window, and lines ever.

    Args:
        standard: of an earlier moment's users; by default that of the users given.

    Shapes:
        returns: (users, ACTIVITY_FEATURES), float32, 0 for a user who never bought
    """
    logs, active = _activity_logs(past, moment_ms)
    return torch.from_numpy((standard or _standard(logs, active)).applied(logs, active))


def activity_standard(past: Purchases, moment_ms: int) -> Standard:
    """What `activity` is standardised by."""
    return _standard(*_activity_logs(past, moment_ms))


def _activity_logs(past: Purchases, moment_ms: int) -> tuple[np.ndarray, np.ndarray]:
    """(users, ACTIVITY_FEATURES), float64, and (users,), bool: who ever bought."""
    first, last, keys = _pair_times(past)
    count = past.user_count
    user = keys // past.product_count
    columns = [_counts(user[last >= moment_ms - weeks * WEEK_MS], count) for weeks in ACTIVITY_WINDOWS_WEEKS]
    columns += [_counts(user, count)]
    columns += [_counts(user[first >= moment_ms - weeks * WEEK_MS], count) for weeks in ACTIVITY_WINDOWS_WEEKS]
    columns += [_counts(past.users, count)]
    return np.log1p(np.stack(columns, axis=1)), columns[len(ACTIVITY_WINDOWS_WEEKS)] > 0


def _pair_times(past: Purchases) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First and last time of each distinct pair, and its ascending key."""
    keys = past.users * past.product_count + past.products
    order = np.lexsort((past.times, keys))
    keys, times = keys[order], past.times[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    ends = np.append(starts, len(keys))[1:] - 1
    return times[starts], times[ends], keys[starts]


def _counts(rows: np.ndarray, size: int) -> np.ndarray:
    return np.bincount(rows, minlength=size).astype(np.float64)


def _standard(values: np.ndarray, kept: np.ndarray) -> Standard:
    """Of each column over `kept`; where nothing is kept, what leaves values as they are."""
    if not kept.any():
        return Standard(np.zeros(values.shape[1]), np.ones(values.shape[1]))
    return Standard(values[kept].mean(axis=0), np.maximum(values[kept].std(axis=0), 1e-6))


def _damped(keys: np.ndarray, weight: np.ndarray, shape: tuple[int, int]) -> sp.csr_array:
    users, products = keys // shape[1], keys % shape[1]
    user_degree = np.bincount(users, weight, shape[0])[users]
    product_degree = np.bincount(products, weight, shape[1])[products]
    values = weight / (user_degree**0.5 * product_degree**POSITION_DEGREE_POWER)
    return sp.csr_array((values.astype(np.float32), (users, products)), shape=shape)


def _padded(side: np.ndarray, width: int) -> torch.Tensor:
    return torch.from_numpy(np.pad(side, ((0, 0), (0, width - side.shape[1]))).astype(np.float32))
