"""Which products a user's purchases are told apart from, and how likely each was to be drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch

from shopgraph.errors import ConfigurationError

SOURCES = ("uniform", "popularity", "in_batch")
POPULARITY_POWER = 0.75
"""Of a product's share of the positives (Mikolov et al., Distributed representations of words and phrases, 2013)."""


@dataclass(frozen=True)
class NegativesConfig:
    """Where negatives come from. The batch's own positives are always among them."""

    source: str = "uniform"
    """uniform, popularity (by the share of positives to the power .75) or in_batch (nothing is drawn)."""
    count: int = 2_000
    """Products drawn into the pool of a batch."""
    most: int = 8_192
    """Products of a pool that positives are told apart from: of a larger one every second, third and so on."""

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise ConfigurationError(f"negatives {self.source!r}: choose from {', '.join(SOURCES)}")
        if self.most < 1:
            raise ConfigurationError(f"negatives.most={self.most}: at least 1")


@dataclass(frozen=True)
class Batch:
    """Positives of some users and the products they are told apart from.

    Shapes:
        users: (b,), row numbers
        pool: (p,), distinct product numbers: the batch's positives and the draws
        row, column: (n,), positives as rows of `users` and columns of `pool`
        weight: (n,), sums to 1, the same for each user whatever they bought
        rivals: (m,), columns of `pool` that positives are told apart from
        log_inclusion: (m,), log probability that the product was to be a rival
        excluded: (2, e), pairs (row, place in `rivals`) that are no negatives: bought before or positive
    """

    users: torch.Tensor
    pool: torch.Tensor
    row: torch.Tensor
    column: torch.Tensor
    weight: torch.Tensor
    rivals: torch.Tensor
    log_inclusion: torch.Tensor
    excluded: torch.Tensor

    def share(self, first: int, last: int) -> Batch:
        """The users of some rows with their positives, against the whole pool; weights sum to 1 again."""
        mine = (self.row >= first) & (self.row < last)
        barred = (self.excluded[0] >= first) & (self.excluded[0] < last)
        return Batch(
            users=self.users[first:last],
            pool=self.pool,
            row=self.row[mine] - first,
            column=self.column[mine],
            weight=self.weight[mine] * len(self.users) / (last - first),
            rivals=self.rivals,
            log_inclusion=self.log_inclusion,
            excluded=self.excluded[:, barred] - torch.tensor([[first], [0]]),
        )

    def to(self, device: str | torch.device) -> Batch:
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


class Supervision:
    """The positives of one message graph, none of which it holds.

    Args:
        known: ascending keys of the pairs that the message graph holds.
        positives: ascending keys of the pairs to be predicted, none of them in `known`.
        candidates: ascending rows of the products that negatives are drawn from.
    """

    def __init__(
        self, known: np.ndarray, positives: np.ndarray, shape: tuple[int, int], candidates: np.ndarray
    ) -> None:
        self.keys, self._candidates = positives, candidates
        self._width = shape[1]
        excluded = np.union1d(known, positives)
        self._excluded = sp.csr_array(
            (np.ones(len(excluded), np.int8), (excluded // shape[1], excluded % shape[1])), shape=shape
        )
        self.users, self._counts = np.unique(positives // shape[1], return_counts=True)
        self._starts = np.concatenate([[0], np.cumsum(self._counts)[:-1]])
        self._share = np.bincount(positives % shape[1], minlength=shape[1]) / max(1, len(positives))

    def batches(
        self, users: int, positives_per_user: int | None, negatives: NegativesConfig, random: np.random.Generator
    ) -> Iterator[Batch]:
        """Every user with positives once, in random order.

        Args:
            users: of a batch.
            positives_per_user: drawn with replacement; None takes each pair once.
        """
        order = random.permutation(len(self.users))
        for first in range(0, len(order), users):
            yield self._batch(np.sort(order[first : first + users]), positives_per_user, negatives, random)

    def _batch(
        self,
        chosen: np.ndarray,
        positives_per_user: int | None,
        negatives: NegativesConfig,
        random: np.random.Generator,
    ) -> Batch:
        row, position = self._positions(chosen, positives_per_user, random)
        product = self.keys[position] % self._width
        pool, log_inclusion = self._pool(product, negatives, random)
        sizes = np.bincount(row, minlength=len(chosen))
        rivals, log_inclusion = _thinned(log_inclusion, negatives.most, random)
        barred = self._excluded[self.users[chosen]][:, pool[rivals]].tocoo()
        return Batch(
            users=torch.from_numpy(self.users[chosen]),
            pool=torch.from_numpy(pool),
            row=torch.from_numpy(row),
            column=torch.from_numpy(np.searchsorted(pool, product)),
            weight=torch.from_numpy((1.0 / (sizes[row] * len(chosen))).astype(np.float32)),
            rivals=torch.from_numpy(rivals),
            log_inclusion=torch.from_numpy(log_inclusion),
            excluded=torch.from_numpy(np.stack(barred.coords).astype(np.int64)),
        )

    def _positions(
        self, chosen: np.ndarray, positives_per_user: int | None, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the batch and positions in `keys` of its positives."""
        counts, starts = self._counts[chosen], self._starts[chosen]
        if positives_per_user is None:
            row = np.repeat(np.arange(len(chosen)), counts)
            within = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
            return row, starts[row] + within
        row = np.repeat(np.arange(len(chosen)), positives_per_user)
        return row, starts[row] + (random.random(len(row)) * counts[row]).astype(np.int64)

    def _pool(
        self, product: np.ndarray, negatives: NegativesConfig, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Distinct products, and the log of 1 - exp(-expected draws): the chance to be in the pool at all."""
        expected = self._share * len(product)
        if negatives.source == "uniform":
            drawn = self._candidates[random.integers(0, len(self._candidates), negatives.count)]
            expected[self._candidates] += negatives.count / len(self._candidates)
        elif negatives.source == "popularity":
            share = self._share[self._candidates] ** POPULARITY_POWER
            share /= share.sum()
            drawn = random.choice(self._candidates, negatives.count, p=share)
            expected[self._candidates] += negatives.count * share
        else:
            drawn = self._candidates[:0]
        pool = np.unique(np.concatenate([product, drawn]))
        return pool, np.log(-np.expm1(-expected[pool])).astype(np.float32)


def _thinned(log_inclusion: np.ndarray, most: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Columns of a pool evenly apart, at most so many, and the log of each one's chance to be among them."""
    step = -(-len(log_inclusion) // most)
    kept = np.arange(random.integers(step) if step > 1 else 0, len(log_inclusion), step)
    return kept, log_inclusion[kept] - np.float32(np.log(step))
