"""What serving is to reach on two cores, beside what a run measured."""

from __future__ import annotations

from collections.abc import Mapping

AT_LEAST = {
    "served.all.gain_over_best_peer": 0.06,
    "served.novel.gain_over_best_peer": 0.15,
    "served.cold.over_best_peer.low": 0.0,
    "served.all.of_offline": 0.99,
    "served.novel.of_offline": 0.99,
    "served.cold.of_offline": 0.99,
    "served.novel.explored.coverage@20": 0.05,
    "serving.recommend.per_s": 30,
    "serving.recommend.precomputed_per_s": 500,
    "serving.similar.per_s": 300,
    "serving.events.per_s": 2_000,
}
AT_MOST = {
    "served.novel.explored.loss": 0.03,
    "serving.recommend.p50_ms": 40,
    "serving.recommend.p99_ms": 120,
    "serving.recommend.p99_ms_at_16": 600,
    "serving.events.lag_p99_ms": 1_000,
    "serving.recommend.long_history_ratio": 3,
    "serving.worker_rss_mb": 300,
}


def compared(figures: Mapping[str, float]) -> list[dict[str, object]]:
    """A row for each aim whose figure was measured; NaN misses its aim."""
    sides = [(AT_LEAST, "at least", 1.0), (AT_MOST, "at most", -1.0)]
    return [
        {
            "figure": name,
            "measured": f"{figures[name]:.5g}",
            "aim": f"{word} {aim:g}",
            "met": "yes" if sign * figures[name] >= sign * aim else "NO",
        }
        for aims, word, sign in sides
        for name, aim in aims.items()
        if name in figures
    ]
