"""Products whose buyers are the buyers of what a user bought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.sparse as sp

from shopgraph.collaborative.history import past_of, weighed
from shopgraph.dataset.purchases import Purchases
from shopgraph.errors import ConfigurationError
from shopgraph.evaluation import Scorer


@dataclass(frozen=True)
class ItemKnnConfig:
    """How alike two products are, and how many neighbours each keeps."""

    likeness: Literal["cosine", "bm25"] = "bm25"
    """cosine of the products' buyers, or their inner product after BM25 weights."""
    neighbours: int = 400
    """Products kept for each product, itself among them."""
    saturation: float = 10.0
    """BM25's k1: how soon further purchases by one user stop counting."""
    length_share: float = 0.05
    """BM25's b: how far a product with many purchases is discounted, 0 to 1."""
    half_life_weeks: float = 12.0
    """Age at which a purchase counts half."""
    power: float = 0.5
    """Power the decayed counts are taken to; 0 reads only who ever bought what."""


def fit_item_knn(purchases: Purchases, moment_ms: int, config: ItemKnnConfig = ItemKnnConfig()) -> Scorer:
    """Score products by their likeness to what the user bought, weighed by how much the user bought it.

    Raises:
        ConfigurationError: the likeness is neither cosine nor bm25.

    Source: Sarwar et al., Item-based collaborative filtering recommendation algorithms (2001); the weights of
    Robertson and Zaragoza, The probabilistic relevance framework: BM25 and beyond (2009).
    """
    from implicit.nearest_neighbours import ItemItemRecommender, bm25_weight, normalize

    bought = weighed(past_of(purchases, moment_ms), moment_ms, config.half_life_weeks, config.power)
    if config.likeness == "cosine":
        by_product = normalize(bought.T)
    elif config.likeness == "bm25":
        by_product = bm25_weight(bought.T, config.saturation, config.length_share)
    else:
        raise ConfigurationError(f"likeness {config.likeness!r} of item_knn is not known; use cosine or bm25")
    model = ItemItemRecommender(K=config.neighbours)
    model.fit(sp.csr_matrix(by_product.T), show_progress=False)
    likeness = sp.csr_array(model.similarity).astype(np.float32)

    def score(rows: np.ndarray) -> np.ndarray:
        return (bought[rows] @ likeness).toarray()

    return score
