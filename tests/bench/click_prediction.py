"""Click prediction on labelled pairs: scores put beside a user's other scores, AUC, F1, and a combination of models.

The papers pool the pairs of all users in one AUC, while a recommender's scores are only comparable within a user: those
of long histories are larger. So every score is standardised over all products of its user, which changes no ranking.

Each user has as many negatives as positives, so that many positives in train foretell negatives in test (AUC about .63
by the train labels' mean alone), and on Last.FM each product has a positive somewhere. A model could read either off
the labels; none here is given a user's or a product's number of labels, negatives in train are not read at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from kg_data import LabelledPairs, Split
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, precision_recall_curve, roc_auc_score

from shopgraph.evaluation import DEPTH, NO_ITEM, Figures, Scorer, Setting, figures, top

USERS_AT_ONCE = 256
STEEPNESS = 10.0
"""Of arcsinh in the combination: a standardised score is linear well below 1 / STEEPNESS and logarithmic above."""


@dataclass(frozen=True)
class Observed:
    """What one model says, taken in one pass over its scores.

    Shapes:
        pairs: (labelled pairs,), float64, standardised scores, 0 in train, whose pairs are not asked for
        ranked: (users, DEPTH), the best products not bought in train; only of users who bought any
    """

    pairs: np.ndarray
    ranked: np.ndarray

    def ranking(self, setting: Setting) -> Figures:
        return figures(self.ranked[setting.users], setting)


@dataclass(frozen=True)
class Combination:
    """A logistic regression over the models' standardised scores.

    Shapes:
        weights: (models,), float64, in the order of `names`
    """

    names: tuple[str, ...]
    weights: np.ndarray

    def pairs(self, observed: Mapping[str, Observed]) -> np.ndarray:
        """(labelled pairs,): the logit less its intercept, which orders nothing."""
        return evidence([observed[name].pairs for name in self.names]) @ self.weights

    def scorer(self, scorers: Mapping[str, Scorer]) -> Scorer:
        def score(rows: np.ndarray) -> np.ndarray:
            parts = [standardised(scorers[name](rows)) for name in self.names]
            return sum(weight * np.arcsinh(STEEPNESS * part) for weight, part in zip(self.weights, parts, strict=True))

        return score


def standardised(scores: np.ndarray) -> np.ndarray:
    """Each row less its mean, by its deviation; a row of equal scores becomes 0. (users, products), float32."""
    scores = np.asarray(scores, dtype=np.float32)
    centred = scores - scores.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    deviation = scores.std(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    # equal scores differ from their own mean by rounding alone
    flat = scores.max(axis=1, keepdims=True) == scores.min(axis=1, keepdims=True)
    return np.divide(centred, deviation, out=np.zeros_like(centred), where=~flat & (deviation > 0))


def observe(score: Scorer, data: LabelledPairs, split: Split) -> Observed:
    """Score every user's validation and test pairs, and rank all products for the users with a positive in train."""
    asked = np.concatenate([split.validation, split.test])
    asked = asked[np.argsort(data.users[asked], kind="stable")]
    bought = data.setting(split.train, split.train).excluded
    ranked = np.full((data.shape[0], DEPTH), NO_ITEM)
    found = np.zeros(len(data.users))
    for first in range(0, data.shape[0], USERS_AT_ONCE):
        users = np.arange(first, min(first + USERS_AT_ONCE, data.shape[0]))
        scores = standardised(score(users))
        rows = asked[slice(*np.searchsorted(data.users[asked], [first, first + USERS_AT_ONCE]))]
        found[rows] = scores[data.users[rows] - first, data.products[rows]]
        scores[bought[users].nonzero()] = -np.inf
        warm = np.diff(bought[users].indptr) > 0
        ranked[users[warm]] = top(scores[warm])
    return Observed(found, ranked)


def combine(observed: Mapping[str, Observed], positive: np.ndarray, rows: np.ndarray) -> Combination:
    """Fit the weights to the labels of some rows.

    Shapes:
        positive: (labelled pairs,), bool; rows: (rows,), int64
    """
    evident = evidence([one.pairs[rows] for one in observed.values()])
    fitted = LogisticRegression(max_iter=1_000).fit(evident, positive[rows])
    return Combination(tuple(observed), fitted.coef_[0])


def evidence(pairs: Sequence[np.ndarray]) -> np.ndarray:
    """Standardised scores with their long tails drawn in: so many (rows,) -> (rows, models)."""
    return np.arcsinh(STEEPNESS * np.stack(pairs, axis=1))


def auc(positive: np.ndarray, scores: np.ndarray) -> float:
    """The share of (positive, negative) pairs of rows in the right order, ties half: (rows,) bool, (rows,) float."""
    return float(roc_auc_score(positive, scores))


def best_threshold(positive: np.ndarray, scores: np.ndarray) -> float:
    """The score from which calling a row positive gives the best F1: (rows,) bool, (rows,) float."""
    precision, recall, thresholds = precision_recall_curve(positive, scores)
    hits = precision[:-1] * recall[:-1]
    both = precision[:-1] + recall[:-1]
    return float(thresholds[np.argmax(np.divide(hits, both, out=np.zeros_like(hits), where=both > 0))])


def f1(positive: np.ndarray, scores: np.ndarray, threshold: float) -> float:
    """F1 of calling rows from a threshold on positive: (rows,) bool, (rows,) float."""
    return float(f1_score(positive, scores >= threshold))
