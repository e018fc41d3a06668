"""The gate before a publish: a candidate is judged on purchases it never saw, beside what serves and popularity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shopgraph.dataset.judging import judged_settings, shape
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.dataset.split import Holdout
from shopgraph.evaluation import Figures, Scorer, Setting, evaluate, paired_bootstrap, recent_buyers
from shopgraph.registry import Vectors


@dataclass(frozen=True)
class GateConfig:
    """How much worse than what serves a candidate may be."""

    margin: float = 0.05
    """Share of the serving model's novel NDCG@20 that the candidate may fall short by: weeks differ by about that."""
    popularity_weeks: int = 4
    """Weeks before the cut whose distinct buyers make popularity."""


@dataclass(frozen=True)
class Verdict:
    """Whether a candidate may serve, why, and the figures of all that were judged."""

    passed: bool
    reason: str
    metrics: dict[str, float]


def judge(
    learned: Snapshot,
    holdout: Holdout,
    candidate: Mapping[str, Vectors],
    serving: Mapping[str, Vectors] | None,
    *,
    config: GateConfig,
    seed: int,
) -> Verdict:
    """Rank the full catalogue for every user with held-out purchases, and compare novel NDCG@20: repeats need no model.

    Args:
        learned: what the candidate was trained on; it ends where the holdout begins.
        candidate: vectors of Product and User.
        serving: those of the model that serves, which has not seen the holdout either; None where there is none.
    """
    settings = judged_settings(learned, holdout)
    scorers: dict[str, Scorer] = {"candidate": _scorer(learned, candidate), "popularity": _popularity(learned, config)}
    if serving is not None:
        scorers["serving"] = _scorer(learned, serving)
    if not len(settings["novel"].users):
        return Verdict(True, "nobody bought anything new in the held-out weeks: nothing to judge by", {})
    found = {name: _figures(score, settings) for name, score in scorers.items()}
    metrics = {
        f"{name}.{setting}.{figure}": value
        for name, by_setting in found.items()
        for setting, figures in by_setting.items()
        for figure, value in figures.means().items()
    }
    return _verdict({name: by_setting["novel"] for name, by_setting in found.items()}, metrics, config, seed)


def _verdict(novel: dict[str, Figures], metrics: dict[str, float], config: GateConfig, seed: int) -> Verdict:
    ndcg = {name: float(figures.ndcg.mean()) for name, figures in novel.items()}
    said = f"novel NDCG@20 {ndcg['candidate']:.4f}, popularity {ndcg['popularity']:.4f}"
    if "serving" not in novel:
        return Verdict(True, f"{said}, nothing comparable serves", metrics)
    compared = paired_bootstrap(novel["candidate"].ndcg, novel["serving"].ndcg, seed)
    metrics |= {"difference.novel.ndcg@20": compared.difference, "difference.low": compared.low}
    metrics |= {"difference.high": compared.high}
    passed = ndcg["candidate"] >= (1.0 - config.margin) * ndcg["serving"]
    allowed = f"at most {config.margin:.0%} below what serves, {ndcg['serving']:.4f}"
    return Verdict(passed, f"{said}, {'' if passed else 'which is not '}{allowed}", metrics)


def _figures(score: Scorer, settings: Mapping[str, Setting]) -> dict[str, Figures]:
    return {name: evaluate(score, settings[name]) for name in ("all", "novel")}


def _scorer(learned: Snapshot, vectors: Mapping[str, Vectors]) -> Scorer:
    return inner_products(learned.ids("User"), learned.ids("Product"), vectors)


def inner_products(user_ids: list[str], product_ids: list[str], vectors: Mapping[str, Vectors]) -> Scorer:
    """A scorer over these users and products by vectors of `User` and `Product`.

    A product without a vector is never shown; a user without one is shown products in the order given.
    """
    users, _ = aligned(user_ids, vectors["User"])
    products, known = aligned(product_ids, vectors["Product"])
    barred = np.where(known, 0.0, -np.inf).astype(np.float32)
    return lambda rows: users[rows] @ products.T + barred


def aligned(ids: list[str], vectors: Vectors) -> tuple[np.ndarray, np.ndarray]:
    """Vectors in the order of `ids`, zeros where there is none: (ids, dimension), and which are known: (ids,) bool."""
    row_of = {node: row for row, node in enumerate(vectors.ids)}
    rows = np.array([row_of.get(node, -1) for node in ids], dtype=np.int64)
    known = rows >= 0
    return np.where(known[:, None], vectors.matrix[rows], 0.0).astype(np.float32), known


def _popularity(learned: Snapshot, config: GateConfig) -> Scorer:
    purchased = learned.relations["PURCHASED"]
    since = pa.scalar(learned.before - timedelta(weeks=config.popularity_weeks), purchased.schema.field("at").type)
    recent = purchased.filter(pc.greater_equal(purchased["at"], since))
    users, products = recent["start"].to_numpy(), recent["end"].to_numpy()
    buyers = recent_buyers(users, products, np.zeros(len(users)), 0.0, shape(learned)[1])
    return lambda rows: np.broadcast_to(buyers, (len(rows), len(buyers)))
