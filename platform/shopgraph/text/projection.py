"""From the width of a language model to the width of an index: a linear map fitted on the catalogue's own texts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shopgraph.errors import InputError


@dataclass(frozen=True)
class Projection:
    """The leading right singular vectors of the encoded texts (truncated SVD, Eckart and Young 1936).

    Not centred: inner products, and so cosines of unit vectors, are what is kept best.

    Shapes:
        basis: (width, dimension), float32, orthonormal columns
    """

    basis: np.ndarray
    kept_energy: float
    """Share of the squared length of the fitted texts that lies within the basis, 0 to 1."""

    def __call__(self, encoded: np.ndarray) -> np.ndarray:
        """Project and scale to unit length.

        Shapes:
            encoded: (texts, width)
            returns: (texts, dimension), float32
        """
        return unit(encoded @ self.basis)

    def write(self, path: Path) -> None:
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with draft.open("wb") as handle:
            np.savez(handle, basis=self.basis, kept_energy=self.kept_energy)
        draft.rename(path)

    @classmethod
    def read(cls, path: Path) -> Projection:
        """Raises InputError where the file is missing or is no projection."""
        try:
            with np.load(path) as kept:
                return cls(kept["basis"], float(kept["kept_energy"]))
        except (OSError, KeyError, ValueError) as error:
            raise InputError(f"{path} can't be read as a projection: {error}") from None


def fit_projection(encoded: np.ndarray, dimension: int) -> Projection:
    """Fit on encoded texts; works for any number of them, down to one.

    Shapes:
        encoded: (texts, width)

    Raises:
        InputError: there is no text, or the dimension is more than the model's width.
    """
    texts, width = encoded.shape
    if not texts or dimension > width:
        raise InputError(
            f"a projection from {width} to {dimension} of {texts} texts: needs a text, and fewer dimensions"
        )
    energy, vectors = np.linalg.eigh(encoded.T.astype(np.float64) @ encoded)
    leading = vectors[:, ::-1][:, :dimension]
    # An eigenvector's sign is arbitrary; fixing it gives the same vectors on every machine's LAPACK.
    sign = np.sign(leading[np.abs(leading).argmax(axis=0), np.arange(dimension)])
    return Projection((leading * sign).astype(np.float32), float(energy[-dimension:].sum() / energy.sum()))


def unit(matrix: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1."""
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)
