"""Where the projection of text and graph starts: along what the purchases of one user have in common."""

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
    """Share of what the purchases of one user have in common that lies within the basis, 0 to 1."""

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """(vectors, dimension), float32, unit length."""
        mapped = (vectors - self.mean) @ self.basis
        return (mapped / np.maximum(np.linalg.norm(mapped, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def fit_alignment(vectors: np.ndarray, bought: sp.csr_array, dimension: int) -> Alignment:
    """Find the directions along which products of one user agree most, for how much products differ along them.

    With S the covariance of products over purchases, and C the sum over users of y_p y_q' for each two different
    products p, q of a user, the basis is the leading eigenvectors of C relative to S: S^-1/2 times those of
    S^-1/2 C S^-1/2. A product with n buyers counts n^-1/2 in each pair, so that what everybody buys is no taste. What
    most products share (a large direction of S) counts little, as the inverse document frequency does for words.

    Source: canonical correlation (Hotelling 1936) of a user's two draws from one basket; the whitening is that of
    within-class covariance normalisation (Hatch, Kajarekar and Stolcke 2006) with users as classes.

    Args:
        vectors: of products, any width; parts of different kinds beside each other need no common scale.
        bought: 1 where a user bought a product.

    Shapes:
        vectors: (products, width), float32
        bought: (users, products)

    Returns:
        Without two products of one user: the leading directions of the products themselves, not centred.

    Raises:
        InputError: there is no product, or the dimension is more than the width.
    """
    buyers = np.asarray(bought.sum(axis=0)).ravel()
    if not len(vectors) or dimension > vectors.shape[1] or not (np.diff(bought.indptr) > 1).any():
        plain = fit_projection(vectors, dimension)
        return Alignment(np.zeros(vectors.shape[1], np.float32), plain.basis, plain.kept_energy)
    mean = (buyers @ vectors) / buyers.sum()
    centred = (vectors - mean).astype(np.float32)
    spread = ((centred * buyers[:, None]).T @ centred).astype(np.float64) / buyers.sum()
    energy, directions = np.linalg.eigh(spread)
    whitening = directions / np.sqrt(np.maximum(energy, 0) + max(RIDGE * energy.mean(), 1e-12))
    weighed = sp.csr_array(bought @ sp.diags_array(1 / np.sqrt(np.maximum(buyers, 1))))
    profiles = (weighed @ centred).astype(np.float64) @ whitening
    itself = np.asarray(weighed.multiply(weighed).sum(axis=0)).ravel()
    alone = whitening.T @ ((centred * itself[:, None]).T @ centred).astype(np.float64) @ whitening
    agreement, found = np.linalg.eigh(profiles.T @ profiles - alone)
    basis = whitening @ found[:, ::-1][:, :dimension]
    sign = np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(dimension)])
    positive = np.maximum(agreement, 0)
    kept = float(positive[-dimension:].sum() / positive.sum()) if positive.any() else 0.0
    return Alignment(mean.astype(np.float32), (basis * sign).astype(np.float32), kept)
