"""What one relation states, parted into what is learned and what is held out, and how completions are judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from shopgraph.dataset.purchases import times_ms
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.errors import InputError
from shopgraph.schema import BEHAVIOUR, RELATIONS

ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Triples:
    """What one relation states, each (head, tail) once, ascending, tails numbered among themselves.

    Shapes:
        head, tail: (triples,); tail_rows: (tails,), ascending rows of the tails' kind that the numbers stand for
        stated: (heads, tails), bool, every statement, those that are no triples to learn from included
    """

    relation: str
    head: np.ndarray
    tail: np.ndarray
    tail_rows: np.ndarray
    stated: sp.csr_array

    @classmethod
    def of(cls, snapshot: Snapshot, relation: str, since_ms: int | None = None) -> Triples:
        """Of a snapshot; of behaviour those that happened at or after `since_ms`, the moment that vectors are of.

        Raises:
            InputError: too few to learn from, or behaviour without a moment.
        """
        if relation in BEHAVIOUR and since_ms is None:
            raise InputError(f"{relation} happens in time: name the moment that the vectors are of")
        table = snapshot.relations[relation]
        head, end = table["start"].to_numpy(), table["end"].to_numpy()
        tail_rows, tail = np.unique(end, return_inverse=True)
        shape = (snapshot.nodes[RELATIONS[relation].source].num_rows, len(tail_rows))
        keys = head * shape[1] + tail
        keys = np.unique(keys if since_ms is None else keys[times_ms(table) >= since_ms])
        if len(keys) < 2 or shape[1] < 2:
            raise InputError(
                f"{relation} has {len(keys)} statements to learn from and {shape[1]} tails in snapshot {snapshot.id}: "
                "a vector needs two of each"
            )
        stated = sp.csr_array((np.ones(len(head), dtype=bool), (head, tail)), shape=shape)
        return cls(relation, keys // shape[1], keys % shape[1], tail_rows, stated)

    def __len__(self) -> int:
        return len(self.head)

    def parted(self, share: float, most: int, seed: int) -> tuple[Triples, Triples]:
        """Those to learn from and those held out, at least one of each; the former's `stated` lacks the latter."""
        order = np.random.default_rng(seed).permutation(len(self))
        size = min(max(1, round(share * len(self))), most, len(self) - 1)
        held, kept = np.sort(order[:size]), np.sort(order[size:])
        hidden = sp.csr_array(
            (np.ones(size, dtype=np.int8), (self.head[held], self.tail[held])), shape=self.stated.shape
        )
        left = sp.csr_array(self.stated.astype(np.int8) - hidden)
        left.eliminate_zeros()
        return (
            replace(self, head=self.head[kept], tail=self.tail[kept], stated=left.astype(bool)),
            replace(self, head=self.head[held], tail=self.tail[held]),
        )


def completion_figures(score: Callable[[np.ndarray], np.ndarray], held: Triples) -> dict[str, float]:
    """mrr, hits@1 and hits@10 of held-out triples by filtered ranks: the head's other tails are taken out.

    A tail that shares its score with others has the mean of the ranks they share.

    Source: Bordes et al. (2013), filtered ranks; Sun et al., A re-evaluation of knowledge graph completion methods
    (2020), ties.
    """
    ranks = np.empty(len(held))
    for first in range(0, len(held), ROWS_AT_ONCE):
        rows, tails = held.head[first : first + ROWS_AT_ONCE], held.tail[first : first + ROWS_AT_ONCE]
        scores = score(rows)
        chosen = scores[np.arange(len(rows)), tails][:, None].copy()
        scores[held.stated[rows].nonzero()] = -np.inf
        ranks[first : first + len(rows)] = 1 + (scores > chosen).sum(axis=1) + (scores == chosen).sum(axis=1) / 2
    return {"mrr": float((1 / ranks).mean())} | {f"hits@{k}": float((ranks <= k).mean()) for k in (1, 10)}
