"""Scores `recommend()` itself on purchases it has not seen, beside popularity, in the settings of `evaluation.py`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa

from shopgraph.cli.demo.journal import Figures
from shopgraph.evaluation import DEPTH, evaluate, figures, paired_bootstrap
from shopgraph.gate import inner_products
from shopgraph.recommend.backtest import NOVEL, POPULARITY, RECOMMENDER, Judged
from shopgraph.registry import Vectors
from shopgraph.tracking import Progress
from shopgraph.wiring_serving import Serving

CLIENTS = 2
EMBEDDING = "graph embedding alone"
"""Beside popularity and `recommend()`, a model of the table."""
SEED = 7


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
    embedding = inner_products(judged.users.to_pylist(), judged.products.to_pylist(), vectors)
    table = []
    for name in ("all", NOVEL):
        setting = judged.settings[name]
        popular = judged.judged_by_popularity(setting)

        def answer(user: str, novel: bool = name == NOVEL) -> list[str]:
            return [item.id for item in serving.recommender.recommend(user, DEPTH, novel, cut).items]

        answers = judged.ranked(answer, setting, CLIENTS, lambda of, *said: progress(f"score {of}", *said))
        found = {EMBEDDING: evaluate(embedding, setting), RECOMMENDER: figures(answers.items, setting)}
        table.append({"setting": name, "model": POPULARITY, **popular.means()})
        for model, ours in found.items():
            gain = paired_bootstrap(ours.ndcg, popular.ndcg, SEED)
            table.append(
                {"setting": name, "model": model, **ours.means(), "gain_low": gain.low, "gain_high": gain.high}
            )
    return {"table": table}
