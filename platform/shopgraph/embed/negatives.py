"""Which products a user's later purchases are told apart from, and how likely each was to be drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Batch:
    """Positives of some users and the pool they are judged against.

    Shapes:
        users: (b,), row numbers
        pool: (m,), distinct product numbers: the batch's positives and uniform draws
        positives: (b, p), columns of the pool
        log_inclusion: (m,), log probability that the pool holds the product
        excluded: (2, e), pairs (row of the batch, column of the pool) that are no negatives: bought before or later
    """

    users: torch.Tensor
    pool: torch.Tensor
    positives: torch.Tensor
    log_inclusion: torch.Tensor
    excluded: torch.Tensor

    def to(self, device: str) -> Batch:
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


class LaterPurchases:
    """Supervision of one cut: pairs first bought after it, never part of its message graph.

    Args:
        known: ascending keys of the pairs bought before the cut.
        later: ascending keys bought in the weeks after it, those of `known` taken out.
    """

    def __init__(self, known: np.ndarray, later: np.ndarray, product_count: int) -> None:
        self.keys = later
        self._product_count = product_count
        self._excluded = np.union1d(known, later)
        self.users, self._counts = np.unique(later // product_count, return_counts=True)
        self._starts = np.concatenate([[0], np.cumsum(self._counts)[:-1]])
        self._share = np.bincount(later % product_count, minlength=product_count) / max(1, len(later))

    def draw(self, positives_per_user: int, negatives: int, random: np.random.Generator) -> Batch:
        """Positives for every user, each user counting the same whatever they bought."""
        offsets = (random.random((len(self.users), positives_per_user)) * self._counts[:, None]).astype(np.int64)
        chosen = self.keys[self._starts[:, None] + offsets] % self._product_count
        drawn = random.integers(0, self._product_count, negatives)
        pool = np.unique(np.concatenate([chosen.ravel(), drawn]))
        expected = self._share[pool] * chosen.size + negatives / self._product_count
        return Batch(
            users=torch.from_numpy(self.users),
            pool=torch.from_numpy(pool),
            positives=torch.from_numpy(np.searchsorted(pool, chosen)),
            log_inclusion=torch.from_numpy(np.log(-np.expm1(-expected)).astype(np.float32)),
            excluded=torch.from_numpy(self._excluded_in(pool)),
        )

    def _excluded_in(self, pool: np.ndarray) -> np.ndarray:
        users, products = self._excluded // self._product_count, self._excluded % self._product_count
        row, column = np.searchsorted(self.users, users), np.searchsorted(pool, products)
        row, column = np.minimum(row, len(self.users) - 1), np.minimum(column, len(pool) - 1)
        found = (self.users[row] == users) & (pool[column] == products)
        return np.stack([row[found], column[found]])
