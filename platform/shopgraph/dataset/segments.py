"""Groups of users that a model's figures are told apart by, since a mean hides whom it serves badly."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from shopgraph.dataset.judging import seen_pairs
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.schema import SEGMENTS

HISTORY_GROUPS = 3


def user_segments(learned: Snapshot) -> dict[str, np.ndarray]:
    """Users by the length of their history, in groups of about equal size, and by each stated segment value.

    Shapes:
        returns[segment]: (users,), bool; those who bought nothing are in no group of histories
    """
    return _by_history(np.diff(seen_pairs(learned).indptr)) | _as_stated(learned)


def _by_history(bought: np.ndarray) -> dict[str, np.ndarray]:
    active = bought[bought > 0]
    if not len(active):
        return {}
    shares = np.linspace(0, 1, HISTORY_GROUPS + 1)[1:]
    found, low = {}, 1
    for high in np.unique(np.quantile(active, shares, method="inverted_cdf").astype(np.int64)).tolist():
        found[f"bought {low} to {high} products"] = (bought >= low) & (bought <= high)
        low = high + 1
    return found


def _as_stated(learned: Snapshot) -> dict[str, np.ndarray]:
    users = learned.nodes["User"]
    return {
        f"{name.replace('_', ' ')} {value}": pc.fill_null(pc.equal(users[name], value), False).to_numpy()
        for name in SEGMENTS
        for value in sorted(value for value in pc.unique(users[name]).to_pylist() if value)
    }
