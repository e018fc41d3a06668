"""Products nobody bought yet, by how near their vectors are to those of what a user bought lately."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from shopgraph.dataset.purchases import Purchases
from shopgraph.evaluation import Scorer

PRODUCTS_AT_ONCE = 4096
VALUES_AT_ONCE = 2**27
"""Scores held at once: of all users where they fit, else of as many as do."""


@dataclass(frozen=True)
class ProfileConfig:
    """How purchases make a profile; chosen on weeks 45 to 48 of the Complete Journey."""

    half_life_weeks: float = 8.0
    """Age at which a purchase counts half."""
    sharpness: float = 2.0
    """See `profiles`."""


def lately(purchases: Purchases, moment_ms: int, half_life_weeks: float) -> sp.csr_array:
    """(users, products): the root of purchases that each count half as much every half-life before the moment."""
    keys, decayed = purchases.decayed(moment_ms, half_life_weeks)
    return purchases.matrix(keys, np.sqrt(decayed))


def profiles(vectors: np.ndarray, interest: sp.csr_array, candidates: np.ndarray, sharpness: float) -> Scorer:
    """A candidate's score is the sum of exp(sharpness * cosine) over what the user bought, each by 1/sqrt(its buyers).

    Sharpness weighs the nearest of what a user bought against all of it; towards 0 the order is that of the summed
    cosines (a Parzen window of the von Mises-Fisher kernel).

    Shapes:
        vectors: (products, width), unit length
        interest: (users, products): how much what a user bought counts
        candidates: (products,), bool; others score minus infinity
    """
    by_product = sp.csc_array(interest)
    buyers = np.diff(by_product.indptr)
    rare = sp.diags_array((1 / np.sqrt(np.maximum(buyers, 1))).astype(np.float32))
    by_rarity = sp.csr_array(by_product @ rare)
    asked, sold = np.flatnonzero(candidates), np.flatnonzero(buyers)
    at_once = max(1, VALUES_AT_ONCE // max(1, len(asked)))
    kept: dict[int, np.ndarray] = {}

    def block(number: int) -> np.ndarray:
        """(users, candidates): of the users from number * at_once on; the kernel is dear, and shared by all of them."""
        of_users = sp.csc_array(by_rarity[number * at_once : (number + 1) * at_once])
        found = np.zeros((of_users.shape[0], len(asked)), np.float32)
        for rows in np.array_split(sold, max(1, -(-len(sold) // PRODUCTS_AT_ONCE))):
            found += of_users[:, rows] @ np.exp(sharpness * vectors[rows] @ vectors[asked].T)
        return found

    def score(users: np.ndarray) -> np.ndarray:
        scores = np.full((len(users), len(vectors)), -np.inf, np.float32)
        for number in np.unique(users // at_once):
            if number not in kept:
                kept.clear()
                kept[number] = block(number)
            inside = np.flatnonzero(users // at_once == number)
            scores[np.ix_(inside, asked)] = kept[number][users[inside] - number * at_once]
        return scores

    return score
