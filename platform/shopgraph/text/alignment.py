"""Where the projection of text and graph starts: along what the purchases of one user have in common, and what a query,
or a name of the catalogue, has in common with its products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    """What searches led to, or what names are those of, to be aligned beside the purchases.

    Shapes:
        queries: (queries, text width), float32: the leading columns of the products' vectors; what a query has none of
            counts as the products' mean
        led_to: (queries, products): 1 where a query led to a product
    """

    queries: np.ndarray
    led_to: sp.csr_array
    share: float = 0.5
    """Of the agreement and of the covariance; what all leave over is the purchases'."""


def fit_alignment(
    vectors: np.ndarray, bought: sp.csr_array, dimension: int, searched: Sequence[Searched] = ()
) -> Alignment:
    """Find the directions along which what belongs together agrees most, for how much it differs along them.

    With S the covariance over both ends of all pairs, and C the sum of y_a y_b' over pairs a, b, the basis is the
    leading eigenvectors of C relative to S: S^-1/2 times those of S^-1/2 C S^-1/2. What most products share (a large
    direction of S) counts little, as the inverse document frequency does for words. Pairs are each two products of a
    user, where a product with n buyers counts n^-1/2, so that what everybody buys is no taste; and each query with each
    product it led to, both ways round. Each kind of pair is scaled to its share, C by its eigenvalues' sum.

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
    kinds, of_purchases = _kinds(bought, searched)
    if not len(vectors) or dimension > vectors.shape[1] or not (kinds or of_purchases):
        plain = fit_projection(vectors, dimension)
        return Alignment(np.zeros(vectors.shape[1], np.float32), plain.basis, plain.kept_energy)
    weights = of_purchases * _shares(bought, 0)
    for kind in kinds:
        weights = weights + kind.share / 2 * _shares(kind.led_to, 0)
    usual = weights @ vectors / weights.sum()
    rows, total, ends = [vectors], [weights], [len(vectors)]
    for kind in kinds:
        lacking = np.tile(usual[kind.queries.shape[1] :], (len(kind.queries), 1))
        rows.append(np.hstack([kind.queries, lacking]))
        total.append(kind.share / 2 * _shares(kind.led_to, 1))
        ends.append(ends[-1] + len(kind.queries))
    shares = np.concatenate(total)
    mean = shares @ np.vstack(rows)
    centred = (np.vstack(rows) - mean).astype(np.float32)
    spread = ((centred * shares[:, None]).T @ centred).astype(np.float64)
    energy, directions = np.linalg.eigh(spread)
    whitening = directions / np.sqrt(np.maximum(energy, 0) + max(RIDGE * energy.mean(), 1e-12))
    products, *queries = np.split(centred, ends[:-1])
    agreement = np.zeros_like(spread)
    if of_purchases:
        agreement += of_purchases * _scaled(_within_users(products, bought, whitening))
    for asked, kind in zip(queries, kinds, strict=True):
        agreement += kind.share * _scaled(_across(asked, kind.led_to, products, whitening))
    strength, found = np.linalg.eigh(agreement)
    basis = whitening @ found[:, ::-1][:, :dimension]
    sign = np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(dimension)])
    positive = np.maximum(strength, 0)
    kept = float(positive[-dimension:].sum() / positive.sum()) if positive.any() else 0.0
    return Alignment(mean.astype(np.float32), (basis * sign).astype(np.float32), kept)


def _kinds(bought: sp.csr_array, searched: Sequence[Searched]) -> tuple[list[Searched], float]:
    """What has pairs, with its share of one, and the share of the purchases."""
    kinds = [kind for kind in searched if kind.share and kind.led_to.sum() > 0]
    left = max(0.0, 1 - sum(kind.share for kind in kinds)) if (np.diff(bought.indptr) > 1).any() else 0.0
    whole = left + sum(kind.share for kind in kinds)
    return [replace(kind, share=kind.share / whole) for kind in kinds], left / whole if whole else 0.0


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
