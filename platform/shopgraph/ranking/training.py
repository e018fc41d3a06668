"""Trains what ranks: at inner moments to learn from what came after, then at the last moment for what serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from shopgraph.dataset.purchases import to_ms
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.evaluation import Setting
from shopgraph.ranking.candidates import CandidateConfig, Candidates, FitSources, find_candidates_of
from shopgraph.ranking.choosing import TREES, Learners, choose_ranker
from shopgraph.ranking.examples import Examples, SampleConfig, make_examples
from shopgraph.ranking.facets import Facet, FacetConfig, facets_of
from shopgraph.ranking.folds import FoldConfig, make_folds
from shopgraph.ranking.lambdamart import LambdaMartConfig
from shopgraph.ranking.lists import Ids, Lists
from shopgraph.ranking.market import Market
from shopgraph.ranking.neural_config import NeuralConfig
from shopgraph.ranking.past import Lines, Past
from shopgraph.ranking.ranker import FeatureRanker
from shopgraph.ranking.served import ServedRanker
from shopgraph.tracking import Progress, silent

SETTINGS = ("all", "novel")


@dataclass(frozen=True)
class TreesConfig:
    """Of each setting; chosen on weeks 45 to 48 of the Complete Journey."""

    all: LambdaMartConfig = field(default_factory=lambda: LambdaMartConfig(truncation_level=50, num_leaves=31))
    novel: LambdaMartConfig = field(
        default_factory=lambda: LambdaMartConfig(truncation_level=50, num_leaves=31, lambdarank_norm=False)
    )


@dataclass(frozen=True)
class RankerConfig:
    """What candidates come from, and what is learned from them."""

    sources: tuple[str, ...] = ("popularity", "personal_frequency", "item_knn", "user_knn", "ease", "ials", "page_rank")
    """Collaborative filters by name; the graph embedding is one more source."""
    graph: bool = True
    folds: FoldConfig = field(default_factory=lambda: FoldConfig(weeks_before_end=(4.0,)))
    candidates: CandidateConfig = field(default_factory=lambda: CandidateConfig(depth=150))
    sample: SampleConfig = field(default_factory=SampleConfig)
    facets: FacetConfig = field(default_factory=FacetConfig)
    kinds: tuple[str, ...] = (TREES,)
    """Of rankers that are trained, `KINDS`; in each setting the one serves that ranks best for the users who judge."""
    trees: TreesConfig = field(default_factory=TreesConfig)
    network: NeuralConfig = field(default_factory=NeuralConfig)
    judging_share: float = 0.2
    """Of the last fold's users: they choose the number of trees, the epochs and the kind, and are not learned from."""


@dataclass(frozen=True)
class TrainedRanker:
    """What serves, and how well it did on users it had not learned from."""

    served: ServedRanker
    metrics: dict[str, Any]


def train_ranker(
    snapshot: Snapshot,
    fit: FitSources,
    config: RankerConfig = RankerConfig(),
    seed: int = 0,
    threads: int = 1,
    progress: Progress = silent,
    device: str = "cpu",
) -> TrainedRanker:
    """Learn from the folds inside a snapshot, then make lists of every user who bought something.

    Args:
        fit: asked for sources at the moment of each fold and at the snapshot's.
        threads: of trees; networks take those that torch is given.
        device: where networks are trained.

    Raises:
        InputError: a fold has nothing to learn from.
    """
    learners = {
        name: Learners(config.kinds, getattr(config.trees, name), config.network, seed, threads, device)
        for name in SETTINGS
    }
    shop = _Shop.of(snapshot, config)
    folds = make_folds(to_ms(snapshot.before), config.folds)
    total = len(folds) + len(SETTINGS) + 1
    learned: dict[str, list[Examples]] = {name: [] for name in SETTINGS}
    judged: dict[str, tuple[Examples, Setting]] = {}
    for number, fold in enumerate(folds):
        progress("ranker", number, total, f"fold {number + 1} of {len(folds)}")
        settings = {name: fold.settings(shop.lines.purchases)[name] for name in SETTINGS}
        judging = _judging(settings, config.judging_share, seed) if number == len(folds) - 1 else np.empty(0, np.int64)
        candidates = find_candidates_of(settings, fit(fold.moment_ms), config.candidates)
        for name, setting in settings.items():
            rest, apart = _parted(candidates[name], judging)
            learned[name].append(shop.described(rest, setting, fold.moment_ms, config.sample, seed + number))
            if len(judging):
                judged[name] = shop.described(apart, setting, fold.moment_ms), _of_users(setting, judging)
    rankers, metrics = {}, dict[str, Any]()
    for number, name in enumerate(SETTINGS, start=len(folds)):

        def told(message: str, number: int = number, name: str = name) -> None:
            progress("ranker", number, total, f"{name}: {message}")

        chosen = choose_ranker(learned[name], judged[name], learners[name], told)
        rankers[name] = chosen.ranker
        metrics |= {f"{name}.{metric}": value for metric, value in chosen.metrics.items()}
    progress("ranker", total - 1, total, "lists")
    served = shop.served(rankers, fit, to_ms(snapshot.before))
    progress("ranker", total, total)
    return TrainedRanker(served, metrics)


@dataclass(frozen=True)
class _Shop:
    snapshot: Snapshot
    lines: Lines
    facets: tuple[Facet, ...]
    config: RankerConfig

    @classmethod
    def of(cls, snapshot: Snapshot, config: RankerConfig) -> _Shop:
        return cls(snapshot, Lines.of(snapshot), facets_of(snapshot, config.facets), config)

    def described(
        self,
        candidates: Candidates,
        setting: Setting,
        moment_ms: int,
        sample: SampleConfig | None = None,
        seed: int = 0,
    ) -> Examples:
        return make_examples(candidates, setting, self.lines, self.facets, moment_ms, sample, seed)

    def served(self, rankers: Mapping[str, FeatureRanker], fit: FitSources, moment_ms: int) -> ServedRanker:
        seen = self.lines.purchases.before(moment_ms).binary().astype(bool)
        sold, nothing = np.diff(seen.tocsc().indptr) > 0, sp.csr_array(seen.shape, dtype=bool)
        # whoever bought something is asked for: what would be right is not known yet
        asked = {"all": Setting("all", seen, nothing, sold), "novel": Setting("novel", seen, seen, sold)}
        candidates = find_candidates_of(asked, fit(moment_ms), self.config.candidates)
        users = self.snapshot.ids("User")
        return ServedRanker(
            Ids.of(self.snapshot.ids("Product")),
            Ids.of(users),
            Market.of(Past.of(self.lines, moment_ms), self.facets),
            dict(rankers),
            {name: Lists.of(candidates[name], len(users)) for name in rankers},
        )


def _judging(settings: Mapping[str, Setting], share: float, seed: int) -> np.ndarray:
    """(users,), ascending: a share of all who are judged in any setting; the same users judge in each."""
    users = np.unique(np.concatenate([setting.users for setting in settings.values()]))
    return np.sort(np.random.default_rng(seed).permutation(users)[: max(1, round(share * len(users)))])


def _parted(candidates: Candidates, judging: np.ndarray) -> tuple[Candidates, Candidates]:
    """Those of the users who are learned from, and those of the judging ones."""
    rows, judged = np.isin(candidates.users, judging), np.isin(candidates.judged, judging)
    rest, apart = candidates.chosen(~rows), candidates.chosen(rows)
    return replace(rest, judged=candidates.judged[~judged]), replace(apart, judged=candidates.judged[judged])


def _of_users(setting: Setting, users: np.ndarray) -> Setting:
    """The setting with nobody else judged."""
    kept = np.isin(np.arange(setting.truth.shape[0]), users)
    truth = sp.csr_array(setting.truth.multiply(kept[:, None]))
    truth.eliminate_zeros()
    return replace(setting, truth=truth)
