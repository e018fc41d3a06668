"""Where the projection of text and graph starts: along what the purchases of one user have in common, and what a query
has in common with the products it led to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from shopgraph.text.projection import fit_projection

RIDGE = 0.01
"""Added to every variance, as a share of their mean: directions that hardly vary are not blown up."""


@dataclass(frozen=True)
class Alignment:
    """An affine map: (vectors - mean) @ basis.

    Shapes:
        mean: (width,), float32
        basis: (width, dimension), float32
    """

    mean: np.ndarray
    basis: np.ndarray
    kept: float
    """Share of the agreement (see `fit_alignment`) that lies within the basis, 0 to 1."""

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """(vectors, dimension), float32, unit length."""
        mapped = (vectors - self.mean) @ self.basis
        return (mapped / np.maximum(np.linalg.norm(mapped, axis=1, keepdims=True), 1e-12)).astype(np.float32)


@dataclass(frozen=True)
class Searched:
    """What searches led to, to be aligned beside the purchases.

    Shapes:
        queries: (queries, text width), float32: the leading columns of the products' vectors; what a query has none of
            counts as the products' mean
        led_to: (queries, products): 1 where a query led to a product
    """

    queries: np.ndarray
    led_to: sp.csr_array
    share: float = 0.5
    """Of the agreement and of the covariance; the rest is the purchases'."""


def fit_alignment(
    vectors: np.ndarray, bought: sp.csr_array, dimension: int, searched: Searched | None = None
) -> Alignment:
    """Find the directions along which what belongs together agrees most, for how much it differs along them.

    With S the covariance over both ends of all pairs, and C the sum of y_a y_b' over pairs a, b, the basis is the
    leading eigenvectors of C relative to S: S^-1/2 times those of S^-1/2 C S^-1/2. What most products share (a large
    direction of S) counts little, as the inverse document frequency does for words. Pairs are each two products of a
    user, where a product with n buyers counts n^-1/2, so that what everybody buys is no taste; and each query with each
    product it led to, both ways round. Purchases and searches are scaled to their shares, C by its eigenvalues' sum.

    Source: canonical correlation (Hotelling 1936) of a pair's two ends; the whitening is that of within-class
    covariance normalisation (Hatch, Kajarekar and Stolcke 2006).

    Args:
        vectors: of products, any width; parts of different kinds beside each other need no common scale.
        bought: 1 where a user bought a product.

    Shapes:
        vectors: (products, width), float32
        bought: (users, products)

    Returns:
        Without a pair: the leading directions of the products themselves, not centred.

    Raises:
        InputError: there is no product, or the dimension is more than the width.
    """
    shared = (np.diff(bought.indptr) > 1).any()
    searches = searched if searched is not None and searched.led_to.sum() > 0 else None
    share = 0.0 if searches is None else searches.share if shared else 1.0
    if not len(vectors) or dimension > vectors.shape[1] or not (shared or share):
        plain = fit_projection(vectors, dimension)
        return Alignment(np.zeros(vectors.shape[1], np.float32), plain.basis, plain.kept_energy)
    weights = (1 - share) * _shares(bought, 0)
    rows, total = vectors, weights
    if searches is not None:
        weights = weights + share / 2 * _shares(searches.led_to, 0)
        usual = weights @ vectors / weights.sum()
        width = searches.queries.shape[1]
        lacking = np.tile(usual[width:], (len(searches.queries), 1))
        rows = np.vstack([vectors, np.hstack([searches.queries, lacking])])
        total = np.concatenate([weights, share / 2 * _shares(searches.led_to, 1)])
    mean = total @ rows
    centred = (rows - mean).astype(np.float32)
    spread = ((centred * total[:, None]).T @ centred).astype(np.float64)
    energy, directions = np.linalg.eigh(spread)
    whitening = directions / np.sqrt(np.maximum(energy, 0) + max(RIDGE * energy.mean(), 1e-12))
    products, queries = centred[: len(vectors)], centred[len(vectors) :]
    agreement = np.zeros_like(spread)
    if share < 1:
        agreement += (1 - share) * _scaled(_within_users(products, bought, whitening))
    if searches is not None:
        agreement += share * _scaled(_across(queries, searches.led_to, products, whitening))
    strength, found = np.linalg.eigh(agreement)
    basis = whitening @ found[:, ::-1][:, :dimension]
    sign = np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(dimension)])
    positive = np.maximum(strength, 0)
    kept = float(positive[-dimension:].sum() / positive.sum()) if positive.any() else 0.0
    return Alignment(mean.astype(np.float32), (basis * sign).astype(np.float32), kept)


def _shares(pairs: sp.csr_array, axis: int) -> np.ndarray:
    """Of all pairs, the share that each column (axis 0) or row (axis 1) is an end of."""
    counts = np.asarray(pairs.sum(axis=axis), np.float64).ravel()
    return counts / max(counts.sum(), 1)


def _within_users(products: np.ndarray, bought: sp.csr_array, whitening: np.ndarray) -> np.ndarray:
    """(width, width): agreement of each two different products of a user."""
    buyers = np.asarray(bought.sum(axis=0)).ravel()
    weighed = sp.csr_array(bought @ sp.diags_array(1 / np.sqrt(np.maximum(buyers, 1))))
    profiles = (weighed @ products).astype(np.float64) @ whitening
    itself = np.asarray(weighed.multiply(weighed).sum(axis=0)).ravel()
    alone = whitening.T @ ((products * itself[:, None]).T @ products).astype(np.float64) @ whitening
    return profiles.T @ profiles - alone


def _across(queries: np.ndarray, led_to: sp.csr_array, products: np.ndarray, whitening: np.ndarray) -> np.ndarray:
    """(width, width): agreement of queries and what they led to, both ways round."""
    found = whitening.T @ (queries.T @ (led_to @ products)).astype(np.float64) @ whitening
    return (found + found.T) / 2


def _scaled(agreement: np.ndarray) -> np.ndarray:
    return agreement / max(float(np.abs(np.linalg.eigvalsh(agreement)).sum()), 1e-12)
