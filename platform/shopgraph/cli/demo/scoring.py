"""Scores `recommend()` itself on purchases it has not seen, beside popularity, in the settings of `evaluation.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shopgraph.cli.demo.journal import Figures
from shopgraph.evaluation import (
    DEPTH,
    NO_ITEM,
    Setting,
    evaluate,
    figures,
    paired_bootstrap,
    pairs,
    protocol,
    recent_buyers,
)
from shopgraph.gate import inner_products
from shopgraph.registry import Vectors
from shopgraph.tracking import Progress
from shopgraph.wiring_serving import Serving

POPULARITY_WEEKS = 4
CLIENTS = 2
POPULARITY, EMBEDDING, RECOMMENDER = "popularity, last 4 weeks", "graph embedding alone", "recommend()"
"""The models of the table."""
SEED = 7


class Judged:
    """Users and products by number, what was bought before the cut, and what counts as right after it.

    Args:
        seen, later: purchases before the cut and in the weeks judged; columns start (user), end (product), at.
    """

    def __init__(self, seen: pa.Table, later: pa.Table) -> None:
        self.users = pc.unique(pa.chunked_array([*seen["start"].chunks, *later["start"].chunks]))
        self.products = pc.unique(pa.chunked_array([*seen["end"].chunks, *later["end"].chunks]))
        self.seen = self._numbers(seen)
        self.times = seen["at"].to_numpy()
        shape = (len(self.users), len(self.products))
        self.settings = protocol(pairs(*self.seen, shape), pairs(*self._numbers(later), shape))
        self._row = {product: row for row, product in enumerate(self.products.to_pylist())}

    def _numbers(self, purchases: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        return (
            pc.index_in(purchases["start"], self.users).to_numpy(),
            pc.index_in(purchases["end"], self.products).to_numpy(),
        )

    def popularity(self) -> np.ndarray:
        """Buyers in the four weeks before the last day seen; whole days, UTC."""
        since = self.times.max().astype("datetime64[D]") - np.timedelta64(7 * POPULARITY_WEEKS, "D")
        return recent_buyers(*self.seen, self.times, since, len(self.products))

    def row(self, product: str) -> int:
        """The product's number; one that was never bought can't be right, and is no candidate."""
        return self._row.get(product, NO_ITEM)


def score_release(
    serving: Serving,
    vectors: Mapping[str, Vectors],
    seen: pa.Table,
    later: pa.Table,
    cut: datetime,
    progress: Progress,
) -> Figures:
    """Rank 20 products for every household that bought in the judged weeks: by popularity, by the graph embedding alone
    and by `recommend()`.

    Args:
        vectors: the graph embedding that serves, of User and Product.
    """
    judged = Judged(seen, later)
    buyers = judged.popularity()
    embedding = inner_products(judged.users.to_pylist(), judged.products.to_pylist(), vectors)
    table = []
    for name in ("all", "novel"):
        setting = judged.settings[name]
        popular = evaluate(lambda rows: np.broadcast_to(buyers, (len(rows), len(buyers))), setting)
        found = {
            EMBEDDING: evaluate(embedding, setting),
            RECOMMENDER: figures(_recommended(serving, judged, setting, cut, progress), setting),
        }
        table.append({"setting": name, "model": POPULARITY, **popular.means()})
        for model, ours in found.items():
            gain = paired_bootstrap(ours.ndcg, popular.ndcg, SEED)
            table.append(
                {"setting": name, "model": model, **ours.means(), "gain_low": gain.low, "gain_high": gain.high}
            )
    return {"table": table}


def _recommended(serving: Serving, judged: Judged, setting: Setting, cut: datetime, progress: Progress) -> np.ndarray:
    """(users, DEPTH) product numbers, from live answers as of the cut."""
    step = f"score {setting.name}"
    users: Sequence[str] = judged.users.take(pa.array(setting.users)).to_pylist()

    def recommend(user: str) -> list[int]:
        answer = serving.recommender.recommend(user, DEPTH, exclude_owned=setting.name == "novel", as_of=cut)
        rows = [judged.row(item.id) for item in answer.items]
        return rows + [NO_ITEM] * (DEPTH - len(rows))

    ranked = []
    progress(step, 0, len(users))
    with ThreadPoolExecutor(CLIENTS) as clients:
        for rows in clients.map(recommend, users):
            ranked.append(rows)
            progress(step, len(ranked), len(users))
    return np.array(ranked)
