"""How well encoded texts find what is bought with them: arithmetic on arrays."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

BLOCK_PAIRS = 256


def pair_recall(encoded: np.ndarray, pairs: np.ndarray, k: int = 20) -> float:
    """Share of pairs, taken both ways, whose second text is among the k nearest of the first; ties count against it.

    Shapes:
        encoded: (texts, width), unit length; all of them are candidates but the first text itself
        pairs: (pairs, 2), int64 rows of `encoded`
    """
    both = np.concatenate([pairs, pairs[:, ::-1]])
    hits = 0
    for first in range(0, len(both), BLOCK_PAIRS):
        query, wanted = both[first : first + BLOCK_PAIRS].T
        scores = encoded[query] @ encoded.T
        rows = np.arange(len(query))
        target = scores[rows, wanted].copy()
        scores[rows, query] = scores[rows, wanted] = -np.inf
        hits += int(((scores >= target[:, None]).sum(axis=1) < k).sum())
    return hits / len(both)


def pair_loss(anchors: np.ndarray, positives: np.ndarray, scale: float) -> float:
    """The symmetric contrastive loss of one batch, as fine-tuning minimises it but without dropout.

    With s = scale * anchors @ positives.T it is the mean of logsumexp(s, rows)/2 + logsumexp(s, columns)/2 - diagonal.

    Shapes:
        anchors, positives: (batch, width), unit length
    """
    scores = scale * anchors @ positives.T
    both = (logsumexp(scores, axis=0) + logsumexp(scores, axis=1)) / 2
    return float((both - scores.diagonal()).mean())


def cosine_error(before: np.ndarray, after: np.ndarray, seed: int, pairs: int = 10_000) -> float:
    """Mean absolute change of the cosine of random pairs.

    Shapes:
        before: (texts, width), unit length
        after: (texts, dimension), unit length
    """
    first, second = np.random.default_rng(seed).integers(0, len(before), (2, pairs))
    was, now = ((matrix[first] * matrix[second]).sum(axis=1) for matrix in (before, after))
    return float(np.abs(was - now).mean())
