"""Products that state what a user's purchases state: the plainest filter that knows a product nobody bought yet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from shopgraph.collaborative.history import past_of, scaled, weighed
from shopgraph.collaborative.neighbours import spread
from shopgraph.dataset.purchases import Purchases
from shopgraph.evaluation import Scorer


@dataclass(frozen=True)
class AttributeAffinityConfig:
    """How purchases make a profile."""

    half_life_weeks: float = 12.0
    """Age at which a purchase counts half."""
    power: float = 0.5
    """Power the decayed counts are taken to; 0 reads only who ever bought what."""
    rarity: float = 2.0
    """Power of a catalogue node's inverse document frequency in its weight; 0 weighs all alike."""


def fit_attribute_affinity(
    purchases: Purchases,
    moment_ms: int,
    catalogue: sp.csr_array,
    config: AttributeAffinityConfig = AttributeAffinityConfig(),
) -> Scorer:
    """Score products by the cosine of what they state with the sum of what the user's purchases state.

    A user's own length is left out: it orders nothing.

    Shapes:
        catalogue: (products, catalogue nodes), what is stated of each product

    Source: Pazzani and Billsus, Content-based recommendation systems (2007).
    """
    bought = weighed(past_of(purchases, moment_ms), moment_ms, config.half_life_weeks, config.power)
    stated = _unit_rows(catalogue, config.rarity)
    profiles = sp.csr_array(bought @ stated)

    def score(rows: np.ndarray) -> np.ndarray:
        return spread(profiles[rows], stated)

    return score


def _unit_rows(catalogue: sp.csr_array, rarity: float) -> sp.csr_array:
    described = np.bincount(catalogue.indices, minlength=catalogue.shape[1])
    rare = np.log1p(catalogue.shape[0] / np.maximum(described, 1)) ** rarity
    weighted = sp.csr_array(catalogue @ sp.diags_array(rare))
    lengths = np.sqrt(weighted.multiply(weighted).sum(axis=1))
    return scaled(weighted, lengths, np.ones(catalogue.shape[1]))
