"""Trains what ranks: at inner moments to learn from what came after, then at the last moment for what serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from shopgraph.dataset.purchases import Purchases, to_ms
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.errors import ConfigurationError
from shopgraph.evaluation import Scorer, Setting
from shopgraph.ranking.candidates import CandidateConfig, Candidates, FitSources, find_candidates_of
from shopgraph.ranking.choosing import TREES, Learners, choose_ranker
from shopgraph.ranking.examples import Examples, SampleConfig, make_examples
from shopgraph.ranking.facets import Facet, FacetConfig, facets_of
from shopgraph.ranking.folds import Fold, FoldConfig, make_folds
from shopgraph.ranking.lambdamart import LOSSES, PAIRWISE, POINTWISE, LambdaMartConfig
from shopgraph.ranking.lists import Ids, Lists
from shopgraph.ranking.market import Market
from shopgraph.ranking.neural_config import NeuralConfig
from shopgraph.ranking.past import Lines, Past
from shopgraph.ranking.profiles import ProfileConfig
from shopgraph.ranking.ranker import FeatureRanker
from shopgraph.ranking.served import COLD, ServedRanker
from shopgraph.tracking import Progress, silent

SETTINGS = ("all", "novel", COLD)
GRAPH, TEXT = "graph", "text"
"""The sources that are embeddings."""


@dataclass(frozen=True)
class TreesConfig:
    """Of each setting; chosen on weeks 45 to 48 of the Complete Journey."""

    all: LambdaMartConfig = field(
        default_factory=lambda: LambdaMartConfig(
            truncation_level=50, num_leaves=63, losses=(PAIRWISE, *5 * (POINTWISE,), PAIRWISE)
        )
    )
    novel: LambdaMartConfig = field(
        default_factory=lambda: LambdaMartConfig(
            truncation_level=50, num_leaves=31, lambdarank_norm=False, losses=LOSSES
        )
    )
    cold: LambdaMartConfig = field(default_factory=LambdaMartConfig)


@dataclass(frozen=True)
class ColdConfig:
    """How products that nobody has bought yet are ranked: by what the catalogue says of them.

    It is learned among those that sold in a fold's window, and asked about all that never did.
    """

    sources: tuple[str, ...] = ("page_rank", "attribute_affinity", GRAPH, TEXT)
    """Collaborative filters that read the catalogue, and the embeddings where a release names them."""
    candidates: CandidateConfig = field(default_factory=lambda: CandidateConfig(depth=400))
    profile: ProfileConfig = field(default_factory=ProfileConfig)
    """Of the text embedding."""
    folds: int = 1
    """Of all folds, the latest that are learned from: at each the text embedding is trained anew."""


@dataclass(frozen=True)
class RankerConfig:
    """What candidates come from, and what is learned from them."""

    sources: tuple[str, ...] = ("popularity", "personal_frequency", "item_knn", "user_knn", "ease", "ials", "page_rank")
    """Collaborative filters by name."""
    graph: tuple[str, ...] = ("novel",)
    """Settings in which the graph embedding is a source: what is bought again needs none; `cold` names its own."""
    folds: FoldConfig = field(default_factory=FoldConfig)
    candidates: CandidateConfig = field(default_factory=lambda: CandidateConfig(depth=100))
    sample: SampleConfig = field(default_factory=SampleConfig)
    facets: FacetConfig = field(default_factory=FacetConfig)
    kinds: tuple[str, ...] = (TREES,)
    """Of rankers that are trained, `KINDS`; in each setting the one serves that ranks best for the users who judge."""
    trees: TreesConfig = field(default_factory=TreesConfig)
    network: NeuralConfig = field(default_factory=NeuralConfig)
    cold: ColdConfig = field(default_factory=ColdConfig)
    judges: int = 2_000
    """Users of the last fold, at most, who choose how many trees, the epochs and the kind by weeks that nobody learned
    from. What serves then learns from that fold too."""
    judging_share: float = 0.2
    """Of the users of the only fold there is: they choose, and the others are learned from first."""

    def __post_init__(self) -> None:
        unknown = sorted({*self.graph} - {"all", "novel"})
        if unknown:
            raise ConfigurationError(f"graph={unknown}: settings that may ask the graph embedding are all and novel")


@dataclass(frozen=True)
class TrainedRanker:
    """What serves, and how well it did before it had learned from those who judge.

    A shop in whose folds nobody bought what nobody had bought before gets no ranker of such products.
    """

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
        fit: asked for sources at the moment of each fold that the shop is old enough for, and at the snapshot's.
        threads: of trees; networks take those that torch is given.
        device: where networks are trained.

    Raises:
        InputError: a fold has nothing to learn from.
    """
    learners = {
        name: Learners(config.kinds, getattr(config.trees, name), config.network, seed, threads, device, config.sample)
        for name in SETTINGS
    }
    shop = _Shop.of(snapshot, config)
    folds = _with_past(make_folds(to_ms(snapshot.before), config.folds), shop.lines.purchases)
    total = len(folds) + len(SETTINGS) + 1
    learned: dict[str, list[Examples]] = {name: [] for name in SETTINGS}
    later: dict[str, Examples] = {}
    judged: dict[str, tuple[Examples, Setting]] = {}
    for number, fold in enumerate(folds):
        progress("ranker", number, total, f"fold {number + 1} of {len(folds)}")
        settings = fold.settings(shop.lines.purchases)
        if number < len(folds) - config.cold.folds:
            del settings[COLD]
        judges = _judging(settings, learned, config, seed) if number == len(folds) - 1 else {}
        for name, candidates in shop.candidates(settings, fit(fold.moment_ms)).items():
            setting = settings[name]
            judging = judges.get(name, np.empty(0, np.int64))
            rest, apart = _parted(candidates, judging)
            examples = shop.described(rest, setting, fold.moment_ms, config.sample, seed + number)
            if not len(judging):
                learned[name].append(examples)
                continue
            judged[name] = shop.described(apart, setting, fold.moment_ms), _of_users(setting, judging)
            if learned[name]:
                later[name] = examples
            else:
                learned[name].append(examples)
    rankers, metrics = {}, dict[str, Any]()
    for number, name in enumerate(SETTINGS, start=len(folds)):
        progress("ranker", number, total, name)
        if name == COLD and not _enough(learned[name], judged.get(name)):
            continue

        def told(message: str, number: int = number, name: str = name) -> None:
            progress("ranker", number, total, f"{name}: {message}")

        chosen = choose_ranker(learned[name], judged[name], learners[name], told, later.get(name))
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

    def candidates(self, settings: Mapping[str, Setting], sources: Mapping[str, Scorer]) -> dict[str, Candidates]:
        """By setting; none of what nobody has bought where nobody is asked about it or no source knows it."""
        config, of_cold = self.config, {name: sources[name] for name in self.config.cold.sources if name in sources}
        of_cold_alone = set(of_cold) - {*config.sources, GRAPH}
        warm = {name: score for name, score in sources.items() if name not in of_cold_alone}
        asked = {name: setting for name, setting in settings.items() if name != COLD}
        without = {name: () if name in config.graph else (GRAPH,) for name in asked}
        found = find_candidates_of(asked, warm, config.candidates, without)
        cold = settings.get(COLD)
        if of_cold and cold is not None and len(cold.users) and cold.candidates.any():
            found |= find_candidates_of({COLD: cold}, of_cold, config.cold.candidates)
        return found

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
        asked = {
            "all": Setting("all", seen, nothing, sold),
            "novel": Setting("novel", seen, seen, sold),
            COLD: Setting(COLD, seen, nothing, ~sold),
        }
        found = self.candidates({name: asked[name] for name in rankers}, fit(moment_ms))
        users = self.snapshot.ids("User")
        return ServedRanker(
            Ids.of(self.snapshot.ids("Product")),
            Ids.of(users),
            Market.of(Past.of(self.lines, moment_ms), self.facets),
            {name: ranker for name, ranker in rankers.items() if name in found},
            {name: Lists.of(candidates, len(users)) for name, candidates in found.items()},
        )


def _with_past(folds: Sequence[Fold], purchases: Purchases) -> list[Fold]:
    """Those before which the shop had sold for as long as their window, or else the last: a young shop has fewer."""
    first = int(purchases.times.min(initial=np.iinfo(np.int64).max))
    kept = [fold for fold in folds if first + (fold.labels_until_ms - fold.labels_from_ms) <= fold.moment_ms]
    return kept or [folds[-1]]


def _judging(
    settings: Mapping[str, Setting], learned: Mapping[str, Sequence[Examples]], config: RankerConfig, seed: int
) -> dict[str, np.ndarray]:
    """By setting (users,), ascending: who of the last fold judges; the same users wherever known products count.

    Who buys what is new to the shop may have bought nothing known, so those judges are drawn among themselves.
    """
    warm = np.unique(np.concatenate([setting.users for name, setting in settings.items() if name != COLD]))
    found = {}
    for name, setting in settings.items():
        users = setting.users if name == COLD else warm
        count = config.judges if learned[name] else round(config.judging_share * len(users))
        found[name] = np.sort(np.random.default_rng(seed).permutation(users)[: max(1, count)])
    return found


def _enough(learned: Sequence[Examples], judged: tuple[Examples, Setting] | None) -> bool:
    return judged is not None and len(judged[1].users) > 0 and any(part.labels.any() for part in learned)


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
