"""LambdaMART and its kin: sets of gradient-boosted trees that learn to rank by several losses, their scores added."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shopgraph.errors import ConfigurationError, InputError
from shopgraph.evaluation import DEPTH, Setting, figures
from shopgraph.ranking.examples import Examples, check_folds, group_sizes
from shopgraph.ranking.exported_trees import export
from shopgraph.ranking.features import Features
from shopgraph.ranking.ranker import CARD, check_names, ranked, spread, spreads_of

if TYPE_CHECKING:
    import lightgbm as lgb

MANY_ROWS = 5_000
"""Fewer are scored by one thread: a user's candidates are too few to share, and many users ask at once."""

PAIRWISE, LISTWISE, POINTWISE = LOSSES = ("lambdarank", "rank_xendcg", "binary")
"""Pairs weighed by what their swap does to NDCG; cross-entropy over a user's whole list (Bruch, "An alternative cross
entropy loss for learning-to-rank", WWW 2021); whether a row is bought, whoever's it is (logistic)."""


@dataclass(frozen=True)
class LambdaMartConfig:
    """Trees, their growth and the sets of them that are added."""

    rounds: int = 200
    """Trees of each set, at most."""
    learning_rate: float = 0.06
    num_leaves: int = 15
    min_data_in_leaf: int = 500
    feature_fraction: float = 0.4
    """Share of the features that a tree may use."""
    bagging_fraction: float = 0.8
    """Share of the rows that a tree is grown on."""
    l2: float = 5.0
    truncation_level: int = 30
    """Ranks from which a pair's better product must come to count."""
    lambdarank_norm: bool = True
    """Whether every user's gradients are scaled to a common size."""
    losses: tuple[str, ...] = (PAIRWISE, LISTWISE)
    """A set of trees each, grown from seeds that follow one another, whose scores are added, each in units of its
    spread: sets that learn by different losses err differently, and rank better than as many by the same."""
    judged_every: int = 10
    """Rounds between two looks at the judging weeks."""

    def __post_init__(self) -> None:
        unknown = [loss for loss in self.losses if loss not in LOSSES]
        if unknown or not self.losses:
            raise ConfigurationError(f"losses of trees {self.losses}: name one or more of {', '.join(LOSSES)}")


@dataclass(frozen=True)
class Ranker:
    """Sets of trees over named features.

    Attributes:
        spreads: by set, what its scores are divided by: losses know no common scale.

    Shapes:
        curve: NDCG@20 in the judging setting after every `judged_every` rounds; empty if there was none
    """

    boosters: tuple[lgb.Booster, ...]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    rounds: int
    spreads: tuple[float, ...]
    curve: tuple[float, ...] = ()

    def scores(self, features: Features) -> np.ndarray:
        """(rows,) float64: comparable within a user only.

        Raises:
            InputError: the features are not those it was trained on, in their order.
        """
        check_names(self.names, features)
        return self._sum(self._raw(features.values, 0, self.rounds))

    def contributions(self, features: Features) -> np.ndarray:
        """(rows, columns + 1) float64: what each feature adds to the score, and last what any product has; SHAP values.

        Source: Lundberg, Erion and Lee, Consistent individualized feature attribution for tree ensembles (2018).

        Raises:
            InputError: see `scores`.
        """
        check_names(self.names, features)
        asked: dict[str, Any] = {"num_iteration": self.rounds, "pred_contrib": True}
        return self._sum([np.asarray(booster.predict(features.values, **asked)) for booster in self.boosters])

    def rank(self, examples: Examples, depth: int = DEPTH) -> np.ndarray:
        """(judged users, depth) product numbers, best first, `NO_ITEM` where a user's candidates run out."""
        return ranked(examples.candidates, self.scores(examples.features), depth)

    def importance(self) -> dict[str, float]:
        """Each feature's share of the gain of all splits, the mean over the sets, greatest first."""
        gains = [booster.feature_importance("gain", iteration=self.rounds) for booster in self.boosters]
        share = np.mean([gain / max(float(gain.sum()), 1e-12) for gain in gains], axis=0)
        return {self.names[place]: float(share[place]) for place in np.argsort(-share, kind="stable")}

    def save(self, folder: Path) -> None:
        """Keep it as `ranker.json`, and each set of trees as a text and as what serving runs."""
        import lightgbm as lgb

        folder.mkdir(parents=True, exist_ok=True)
        for place, booster in enumerate(self.boosters):
            booster.save_model(folder / _trees(place), num_iteration=self.rounds)
        export([lgb.Booster(model_file=folder / _trees(place)) for place in range(len(self.boosters))], folder)
        card = {
            "kind": "lambdamart",
            "sets": len(self.boosters),
            "rounds": self.rounds,
            "spreads": self.spreads,
            "features": dict(zip(self.names, self.groups, strict=True)),
            "curve": self.curve,
        }
        (folder / CARD).write_text(json.dumps(card, indent=2))

    @classmethod
    def load(cls, folder: Path) -> Ranker:
        """Raises InputError where the folder holds no whole ranker."""
        import lightgbm as lgb  # 100 MB with all that it imports: nobody has them who ranks nothing

        try:
            card = json.loads((folder / CARD).read_text())
            boosters = tuple(lgb.Booster(model_file=folder / _trees(place)) for place in range(card["sets"]))
            features, rounds, curve = card["features"], card["rounds"], tuple(card["curve"])
            spreads = spreads_of(card)
        except (OSError, ValueError, KeyError, lgb.basic.LightGBMError) as error:
            raise InputError(f"{folder} holds no ranker that can be read ({error}): train it again") from None
        return cls(boosters, tuple(features), tuple(features.values()), rounds, spreads, curve)

    def _raw(self, values: np.ndarray, first: int, rounds: int) -> list[np.ndarray]:
        """(rows,) of each set: what some rounds add to its scores."""
        asked: dict[str, Any] = {"start_iteration": first, "num_iteration": rounds, "raw_score": True}
        if len(values) < MANY_ROWS:
            asked["num_threads"] = 1
        return [np.asarray(booster.predict(values, **asked)) for booster in self.boosters]

    def _sum(self, sides: Sequence[np.ndarray]) -> np.ndarray:
        return np.sum([side / spread for side, spread in zip(sides, self.spreads, strict=True)], axis=0)


def train(
    folds: Sequence[Examples],
    config: LambdaMartConfig = LambdaMartConfig(),
    judged: tuple[Examples, Setting] | None = None,
    seed: int = 0,
    threads: int = 1,
    spreads: tuple[float, ...] = (),
) -> Ranker:
    """Grow trees on the rows of all folds; each user of each fold is a query.

    Args:
        judged: rows of later weeks and their setting, which choose the number of rounds; they, or else the last fold,
            tell how widely each set's scores spread.
        spreads: where that is known.
        threads: of lightgbm; the same number gives the same trees.

    Raises:
        InputError: there is no fold, a fold holds no purchase among its rows, or folds differ in their features.

    Source: Burges, From RankNet to LambdaRank to LambdaMART: an overview (2010).
    """
    import lightgbm as lgb

    check_folds(folds)
    names, groups = folds[0].features.names, folds[0].features.groups
    data = lgb.Dataset(
        np.concatenate([fold.features.values for fold in folds]),
        np.concatenate([fold.labels for fold in folds]).astype(np.float32),
        group=np.concatenate([group_sizes(fold.candidates) for fold in folds]),
        feature_name=[f"f{place}" for place in range(len(names))],
        params={"verbosity": -1, "feature_pre_filter": False, "num_threads": threads, "seed": seed},
    )
    boosters = tuple(
        lgb.train(_parameters(config, place, seed, threads), data, num_boost_round=config.rounds)
        for place in range(len(config.losses))
    )
    whole = Ranker(boosters, names, groups, config.rounds, spreads or (1.0,) * len(config.losses))
    if judged is not None:
        return _cut(whole, config, *judged)
    if spreads or len(boosters) == 1:
        return whole
    sides = whole._raw(folds[-1].features.values, 0, config.rounds)
    return replace(whole, spreads=_spreads(folds[-1], sides))


def _cut(whole: Ranker, config: LambdaMartConfig, examples: Examples, setting: Setting) -> Ranker:
    """The ranker with as many rounds as rank the judged rows best."""
    check_names(whole.names, examples.features)
    sides, curve, spreads = [np.zeros(len(examples)) for _ in whole.boosters], [], []
    for start in range(0, config.rounds, config.judged_every):
        added = whole._raw(examples.features.values, start, config.judged_every)
        sides = [side + more for side, more in zip(sides, added, strict=True)]
        spreads.append(_spreads(examples, sides))
        scores = replace(whole, spreads=spreads[-1])._sum(sides)
        curve.append(float(figures(ranked(examples.candidates, scores), setting).ndcg.mean()))
    best = int(np.argmax(curve))
    rounds = min(config.rounds, config.judged_every * (best + 1))
    return replace(whole, rounds=rounds, spreads=spreads[best], curve=tuple(curve))


def _spreads(examples: Examples, sides: Sequence[np.ndarray]) -> tuple[float, ...]:
    """Of one set alone 1: its scores are what they are."""
    return tuple(spread(examples.candidates, side) for side in sides) if len(sides) > 1 else (1.0,)


def _parameters(config: LambdaMartConfig, place: int, seed: int, threads: int) -> dict[str, Any]:
    return {
        "objective": config.losses[place],
        "num_leaves": config.num_leaves,
        "learning_rate": config.learning_rate,
        "min_data_in_leaf": config.min_data_in_leaf,
        "feature_fraction": config.feature_fraction,
        "bagging_fraction": config.bagging_fraction,
        "bagging_freq": 1,
        "lambda_l2": config.l2,
        "lambdarank_truncation_level": config.truncation_level,
        "lambdarank_norm": config.lambdarank_norm,
        "seed": seed + place,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "verbosity": -1,
        "feature_pre_filter": False,
    }


def _trees(place: int) -> str:
    return f"trees-{place}.txt"
