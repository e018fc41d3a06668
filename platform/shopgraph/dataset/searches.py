"""Which products people turned to after a search: pairs of a query and a product, split by time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

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
    relations = snapshot.relations
    found = followed(relations["SEARCHED"], relations["VIEWED"], relations["PURCHASED"], config)
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


def followed(
    searched: pa.Table, viewed: pa.Table, purchased: pa.Table, config: SearchPairsConfig = SearchPairsConfig()
) -> pd.DataFrame:
    """What users turned to after their searches, each search and product once.

    Args:
        searched, viewed, purchased: relations with `start`, `end` and `at`, ends by row or by id.

    Returns:
        columns user, query and product as the relations name them; at and searched, milliseconds since 1970
    """
    both = [_after(searched, viewed, config.viewed_hours), _after(searched, purchased, config.purchased_hours)]
    return pd.concat(both).drop_duplicates(["user", "query", "product", "searched"])


def _after(searched: pa.Table, events: pa.Table, hours: float) -> pd.DataFrame:
    """Events with the user's last search before each, where it is no older than some hours."""
    searches, came = _frame(searched, "query"), _frame(events, "product")
    searches = searches.assign(searched=searches["at"])
    joined = pd.merge_asof(came, searches, on="at", by="user", tolerance=round(hours * HOUR_MS))
    return joined.dropna(subset=["query"]).astype({"query": searches["query"].dtype, "searched": np.int64})


def _frame(relation: pa.Table, end: str) -> pd.DataFrame:
    ends = (relation[name].to_pandas() for name in ("start", "end"))
    frame = pd.DataFrame(dict(zip(("user", end), ends, strict=True)) | {"at": times_ms(relation)})
    return frame[frame["at"] != UNKNOWN_TIME].sort_values("at")


def _pairs(found: pd.DataFrame) -> np.ndarray:
    stacked = found[["query", "product"]].to_numpy(np.int64)
    return np.unique(stacked, axis=0) if len(stacked) else np.empty((0, 2), np.int64)
