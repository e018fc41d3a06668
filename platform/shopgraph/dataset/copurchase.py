"""Pairs of texts bought together more often than their popularity explains: what contrastive training reads."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from shopgraph.dataset.corpus import Corpus
from shopgraph.dataset.snapshot import Snapshot


@dataclass(frozen=True)
class CopurchaseConfig:
    """Which products count as bought together."""

    gap_hours: float = 12.0
    """Baskets of one household at most this far apart are read as one: shops with one line an order have no other."""
    minimum_support: int = 3
    """Baskets that must hold both texts; 1 reads chance as taste."""
    minimum_lift: float = 1.5
    """Times more often than chance: what everybody buys goes with everything and says nothing."""
    partners: int = 5
    """Partners of the highest cosine that a text may name."""
    pairs_per_text: int = 20
    """Pairs a text may be in, its own and those that name it, so that no bestseller dominates."""
    holdout_share: float = 0.1
    """Share of the baskets, the latest ones, whose new pairs judge the model and are never trained on."""
    largest_basket: int = 200
    """Distinct texts of a basket that are read: what a reseller buys says little about taste."""


@dataclass(frozen=True)
class Copurchases:
    """Pairs of text rows.

    Shapes:
        train: (pairs, 2), int64, each pair once with its lower row first, sorted
        holdout: (pairs, 2), int64, pairs of later baskets that earlier ones do not link
        links: (texts, texts), bool, symmetric: all that the earlier baskets associate, so never negatives of each other
    """

    train: np.ndarray
    holdout: np.ndarray
    links: sp.csr_array
    until: float
    """Start of the last basket that is learned from, in milliseconds since 1970; infinite where none judges."""


def read_copurchases(snapshot: Snapshot, corpus: Corpus, config: CopurchaseConfig) -> Copurchases:
    """Find the pairs of a snapshot's purchases; empty where nothing is bought together often enough."""
    basket, text, start = _baskets(snapshot, corpus, config)
    shape = (len(start), len(corpus.texts))
    cut = np.quantile(start, 1 - config.holdout_share) if config.holdout_share and len(start) else np.inf
    is_late = start[basket] > cut
    early = _associated(basket[~is_late], text[~is_late], shape, config)
    late = _associated(basket[is_late], text[is_late], shape, config)
    links = (early != 0).tocsr()
    holdout = _strongest(late, config)
    known = np.isin(holdout @ [shape[1], 1], np.stack(links.nonzero(), axis=1) @ [shape[1], 1])
    return Copurchases(_strongest(early, config), holdout[~known], links, float(cut))


def _baskets(snapshot: Snapshot, corpus: Corpus, config: CopurchaseConfig) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct (basket, text) pairs, and the time each basket starts.

    Shapes:
        basket, text: (entries,), int64
        start: (baskets,), int64, milliseconds since 1970
    """
    table = snapshot.relations["PURCHASED"]
    user, product, order = (table[name].to_numpy() for name in ("start", "end", "order"))
    at = table["at"].to_numpy().astype("datetime64[ms]").astype(np.int64)
    rank = np.lexsort((order, at, user))
    user, product, order, at = user[rank], product[rank], order[rank], at[rank]
    same = (np.diff(user) == 0) & ((np.diff(order) == 0) | (np.diff(at) <= config.gap_hours * 3_600_000))
    is_first = np.concatenate([[True], ~same])[: len(user)]
    basket = np.cumsum(is_first) - 1
    entries = np.unique(np.stack([basket, corpus.text_of[product]], axis=1), axis=0).astype(np.int64)
    position = np.arange(len(entries)) - np.searchsorted(entries[:, 0], entries[:, 0])
    entries = entries[position < config.largest_basket]
    return entries[:, 0], entries[:, 1], at[is_first]


def _associated(basket: np.ndarray, text: np.ndarray, shape: tuple[int, int], config: CopurchaseConfig) -> sp.csr_array:
    """The cosine n_ab / sqrt(n_a n_b) of texts that share enough baskets, and more than the n_a n_b / N of chance.

    Shapes:
        basket, text: (entries,), the entries that are counted
        returns: (texts, texts), float64, symmetric, without a diagonal
    """
    held = sp.csr_array((np.ones(len(basket), np.float32), (basket, text)), shape=shape)
    together = (held.T @ held).tocoo()
    alone = np.bincount(text, minlength=shape[1])
    baskets = len(np.unique(basket))
    enough = (together.data >= config.minimum_support) & (together.row != together.col)
    row, column, count = together.row[enough], together.col[enough], together.data[enough].astype(np.float64)
    lifted = count * baskets >= config.minimum_lift * alone[row] * alone[column]
    row, column, count = row[lifted], column[lifted], count[lifted]
    return sp.csr_array((count / np.sqrt(alone[row] * alone[column]), (row, column)), shape=together.shape)


def _strongest(cosine: sp.csr_array, config: CopurchaseConfig) -> np.ndarray:
    """Each text's partners of the highest cosine, those that leave no text in too many pairs."""
    pairs = cosine.tocoo()
    rank = np.lexsort((pairs.col, -pairs.data, pairs.row))
    position = np.arange(len(rank)) - np.searchsorted(pairs.row[rank], pairs.row[rank])
    best = rank[position < config.partners]
    best = best[np.lexsort((pairs.col[best], pairs.row[best], -pairs.data[best]))]
    return _capped(np.stack([pairs.row[best], pairs.col[best]], axis=1).astype(np.int64), config.pairs_per_text)


def _capped(pairs: np.ndarray, limit: int) -> np.ndarray:
    """The first pairs that leave no text in more than `limit`, each once, sorted."""
    times: Counter[int] = Counter()
    kept: set[tuple[int, int]] = set()
    for a, b in np.sort(pairs, axis=1).tolist():
        if (a, b) not in kept and times[a] < limit and times[b] < limit:
            kept.add((a, b))
            times.update((a, b))
    return np.array(sorted(kept), dtype=np.int64).reshape(-1, 2)
