"""What users are drawn to among what the catalogue states: a second place of theirs, beside that among purchases.

Purchases alone place nobody near a product that few have bought. A user's purchases also lean towards some categories,
brands and authors more than everybody's do, and that reaches every product that states them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
import torch
from torch.nn.functional import normalize

from shopgraph.embed.structure import singular_vectors, turned_to

KIND_WEIGHTS = {"category": 1.0, "brand": 0.5, "author": 0.5}
"""What a statement of each kind counts for; attributes say little of taste. Chosen on weeks 45 to 48 of the Complete
Journey, as are the two below."""
PRIOR = 10.0
"""Purchases of average taste added to each user's."""
SHARE_POWER = 0.5
"""Power of a value's share of all purchases by which errors are weighed: what is bought much is to be told best."""
LONGEST_QUANTILE = 0.99
"""Of the lengths of products, the one that becomes 1; longer ones are cut to it."""


@dataclass(frozen=True)
class Affinity:
    """Users and what the catalogue states in one space, in which inner products are leanings.

    Shapes:
        user: (users, width), unit rows, 0 for a user without purchases
        nodes[kind]: (nodes, width); a product lies at the mean of those of each kind that it states, added up
        fold_in[kind]: (nodes, width), what a user's `leanings` are multiplied by to find their place
        shares[kind]: (nodes,), each node's share of everybody's purchases
    """

    user: torch.Tensor
    nodes: dict[str, torch.Tensor]
    fold_in: dict[str, torch.Tensor]
    shares: dict[str, torch.Tensor]

    @property
    def width(self) -> int:
        return self.user.shape[1]

    def folded(self, weights: sp.csr_array, described: Mapping[str, sp.csr_array]) -> torch.Tensor:
        """The places of users by the weights of what they bought: for a user of the graph, their own.

        Shapes:
            weights: (users, products); described[kind]: (products, nodes), as `affinity` takes them
            returns: (users, width)

        Source: folding-in, Deerwester et al., Indexing by latent semantic analysis (1990).
        """
        shares = np.concatenate([self.shares[kind].numpy() for kind in self.nodes])
        fold_in = torch.cat([self.fold_in[kind] for kind in self.nodes]).numpy()
        found = leanings(weights, _side_by_side({kind: described[kind] for kind in self.nodes}), shares) @ fold_in
        return normalize(torch.from_numpy(found.astype(np.float32)), dim=1, eps=1e-9)

    def to(self, device: str) -> Affinity:
        moved = {
            name: {kind: rows.to(device) for kind, rows in getattr(self, name).items()}
            for name in ("nodes", "fold_in", "shares")
        }
        return Affinity(self.user.to(device), **moved)

    def joined_by(self, users: torch.Tensor) -> Affinity:
        """The same space with more users after those there are."""
        return replace(self, user=torch.cat([self.user, users]))


def affinity(
    weights: sp.csr_array,
    described: Mapping[str, sp.csr_array],
    width: int,
    seed: int,
    aligned_to: Affinity | None = None,
) -> Affinity:
    """Truncated singular vectors of what each user's purchases lean towards, rows of unit length.

    Args:
        aligned_to: of an earlier moment, whose axes these are turned to.

    Shapes:
        weights: (users, products), what each purchased pair counts for
        described[kind]: (products, nodes), rows averaged, for some of `KIND_WEIGHTS`

    Source: the smoothed logarithm of lift, Church and Hanks, Word association norms, mutual information, and
    lexicography (1990), factorised as in Levy and Goldberg, Neural word embedding as implicit matrix factorization
    (2014).
    """
    every = _side_by_side(described)
    bought = (weights @ every).sum(axis=0)
    shares = bought / max(float(bought.sum()), 1e-9)
    trust = shares**SHARE_POWER
    lean = sp.csr_array(leanings(weights, every, shares) @ sp.diags_array(trust))
    lengths = np.sqrt(lean.multiply(lean).sum(axis=1))
    unit = sp.csr_array(sp.diags_array(1.0 / np.maximum(lengths, 1e-9)) @ lean).astype(np.float32)
    user, node = singular_vectors(unit, width, seed)
    known = torch.from_numpy(np.where(shares > 0, 1.0 / np.maximum(trust, 1e-9), 0.0)).float()[:, None]
    fold_in = node / node.square().sum(dim=0).clamp(min=1e-9) * torch.from_numpy(trust).float()[:, None]
    user, node = normalize(user, dim=1, eps=1e-9), node * known
    if aligned_to is not None:
        turn = turned_to(user, aligned_to.user)
        user, node, fold_in = user @ turn, node @ turn, fold_in @ turn
    node = node / _length(every, node)
    sizes = [matrix.shape[1] for matrix in described.values()]
    weight = {kind: KIND_WEIGHTS[kind] for kind in described}

    def by_kind(rows: torch.Tensor) -> dict[str, torch.Tensor]:
        return dict(zip(described, rows.split(sizes), strict=True))

    nodes = {kind: weight[kind] * rows for kind, rows in by_kind(node).items()}
    return Affinity(user, nodes, by_kind(fold_in), by_kind(torch.from_numpy(shares)))


def leanings(weights: sp.csr_array, every: sp.csr_array, shares: np.ndarray) -> sp.csr_array:
    """How much more each user bought of what the catalogue states than everybody did.

    With s a node's share of all purchases and o what the user bought of it, this is log(1 + o / (PRIOR s)): the
    smoothed logarithm of the lift, less what it is for a node the user never bought.

    Shapes:
        weights: (users, products); every: (products, nodes); shares: (nodes,)
        returns: (users, nodes)
    """
    own = sp.coo_array(weights @ every)
    _, node = own.coords
    lean = np.log1p(own.data / np.maximum(PRIOR * shares[node], 1e-12)) * (shares[node] > 0)
    return sp.csr_array((lean, own.coords), shape=own.shape)


def _side_by_side(described: Mapping[str, sp.csr_array]) -> sp.csr_array:
    return sp.csr_array(sp.hstack([KIND_WEIGHTS[kind] * matrix for kind, matrix in described.items()]))


def _length(every: sp.csr_array, node: torch.Tensor) -> float:
    """What is nearly the greatest length of a product; 1 where all are 0."""
    lengths = np.linalg.norm(every @ node.numpy(), axis=1)
    lengths = lengths[lengths > 0]
    return float(np.quantile(lengths, LONGEST_QUANTILE)) if len(lengths) else 1.0
