"""Which products people turned to after a search: pairs of a query and a product, split by time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from shopgraph.dataset.purchases import UNKNOWN_TIME, times_ms
from shopgraph.dataset.snapshot import Snapshot

HOUR_MS = 3600 * 1000


@dataclass(frozen=True)
class SearchPairsConfig:
    """When a product counts as found by a search."""

    viewed_hours: float = 1.0
    """After the search, within which a view counts, unless the user searched for something else before it."""
    purchased_hours: float = 24.0
    """The same of a purchase."""
    holdout_share: float = 0.1
    """Share of the time between the first and the last pair, its end; its new pairs judge and are never trained on."""


@dataclass(frozen=True)
class SearchPairs:
    """What was found, and how often.

    Shapes:
        train, holdout: (pairs, 2), int64: a row of `queries`, a product's row of the snapshot; each pair once, sorted
        times: (train pairs,), int64: searches that led there
    """

    snapshot_id: str
    queries: list[str]
    train: np.ndarray
    times: np.ndarray
    holdout: np.ndarray
    """Pairs of later searches that earlier ones do not have."""


def read_search_pairs(snapshot: Snapshot, config: SearchPairsConfig = SearchPairsConfig()) -> SearchPairs:
    """Follow each user from their searches; empty where nobody searched, or nothing came of it."""
    found = pd.concat(
        [
            _followed(snapshot, "VIEWED", config.viewed_hours),
            _followed(snapshot, "PURCHASED", config.purchased_hours),
        ]
    ).drop_duplicates(["user", "query", "product", "searched"])
    queries = snapshot.nodes["SearchTerm"]["text"].to_pylist()
    ids = snapshot.ids("SearchTerm")
    texts = [text or node for text, node in zip(queries, ids, strict=True)]
    at = found["searched"]
    cut = at.max() - config.holdout_share * (at.max() - at.min()) if config.holdout_share and len(found) else np.inf
    early, late = found[at <= cut], found[at > cut]
    counted = early.groupby(["query", "product"]).size()
    train = _pairs(early)
    known = set(map(tuple, train.tolist()))
    holdout = np.array([pair for pair in _pairs(late).tolist() if tuple(pair) not in known], np.int64).reshape(-1, 2)
    return SearchPairs(snapshot.id, texts, train, counted.to_numpy(np.int64), holdout)


def _followed(snapshot: Snapshot, relation: str, hours: float) -> pd.DataFrame:
    """Events of a relation with the user's last search before each, where it is no older than some hours."""
    searched, table = snapshot.relations["SEARCHED"], snapshot.relations[relation]
    searches = pd.DataFrame(
        {"user": searched["start"].to_numpy(), "query": searched["end"].to_numpy(), "at": times_ms(searched)}
    )
    events = pd.DataFrame(
        {"user": table["start"].to_numpy(), "product": table["end"].to_numpy(), "at": times_ms(table)}
    )
    searches, events = (frame[frame["at"] != UNKNOWN_TIME].sort_values("at") for frame in (searches, events))
    searches = searches.assign(searched=searches["at"])
    joined = pd.merge_asof(events, searches, on="at", by="user", tolerance=round(hours * HOUR_MS))
    return joined.dropna(subset=["query"]).astype({"query": np.int64, "searched": np.int64})


def _pairs(found: pd.DataFrame) -> np.ndarray:
    stacked = found[["query", "product"]].to_numpy(np.int64)
    return np.unique(stacked, axis=0) if len(stacked) else np.empty((0, 2), np.int64)
