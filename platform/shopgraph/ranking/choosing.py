"""Trains every kind of ranker on the same rows and keeps the one that ranks best for users it has not learned from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shopgraph.errors import ConfigurationError
from shopgraph.evaluation import DEPTH, Figures, Setting, figures, paired_bootstrap
from shopgraph.ranking.blend import BlendedRanker
from shopgraph.ranking.examples import Examples, SampleConfig
from shopgraph.ranking.lambdamart import LambdaMartConfig, Ranker, train
from shopgraph.ranking.neural_config import NeuralConfig
from shopgraph.ranking.ranker import FeatureRanker, ranked

TREES, NEURAL, BOTH = "lambdamart", "neural", "both"
KINDS = (TREES, NEURAL, BOTH)
"""Trees, networks, and the mean of both; of two that rank equally well the first serves."""
IMPORTANT = 20
"""Features that a card names."""
Told = Callable[[str], None]


@dataclass(frozen=True)
class Chosen:
    """The ranker that serves in a setting, and how well each kind did."""

    ranker: FeatureRanker
    metrics: dict[str, Any]


@dataclass(frozen=True)
class Learners:
    """How each kind is trained."""

    kinds: tuple[str, ...]
    trees: LambdaMartConfig
    network: NeuralConfig
    seed: int = 0
    threads: int = 1
    device: str = "cpu"
    """Where networks are trained."""
    sample: SampleConfig = field(default_factory=SampleConfig)
    """Of the judging users' rows, once they are learned from."""

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds:
            raise ConfigurationError(f"kinds of rankers {self.kinds}: name one or more of {', '.join(KINDS)}")

    @property
    def trained(self) -> list[str]:
        """The kinds that are trained; both are a mean and need each."""
        return [kind for kind in (TREES, NEURAL) if kind in self.kinds or BOTH in self.kinds]


def choose_ranker(
    folds: Sequence[Examples], judged: tuple[Examples, Setting], learners: Learners, told: Told = lambda message: None
) -> Chosen:
    """Train the kinds asked for; the one with the highest NDCG@20 for the users who judge serves.

    The same users choose rounds, epochs and the kind. Trees that serve are then grown anew, as many, from them too: no
    figure is of those. Metrics: `KIND.METRIC@20` of each kind, the kind that `serves`, its own figures without a kind's
    name, and of each other kind by how much it is better or worse, with the 95 % interval over users.

    Raises:
        InputError: a fold has nothing to learn from.
    """
    rows, setting = judged
    rankers: dict[str, FeatureRanker] = {}
    metrics: dict[str, Any] = {}
    for kind in learners.trained:
        told(kind)
        rankers[kind], said = _trained(kind, folds, judged, learners, told)
        metrics |= said
    if BOTH in learners.kinds:
        rankers[BOTH] = BlendedRanker.of(dict(rankers), rows)
    found = {
        kind: figures(ranked(rows.candidates, rankers[kind].scores(rows.features)), setting) for kind in learners.kinds
    }
    serves = max(found, key=lambda kind: (found[kind].ndcg.mean(), -KINDS.index(kind)))
    metrics |= _compared(found, serves, learners.seed)
    ranker = rankers[serves]
    if isinstance(ranker, Ranker):
        told(f"{serves}, from all users")
        ranker = _grown_again(ranker, folds, rows, learners)
    return Chosen(ranker, metrics)


def _trained(
    kind: str, folds: Sequence[Examples], judged: tuple[Examples, Setting], learners: Learners, told: Told
) -> tuple[FeatureRanker, dict[str, Any]]:
    if kind == NEURAL:
        from shopgraph.ranking import neural  # torch: a worker that trains no network need not have it in memory

        network = neural.train(folds, learners.network, judged, learners.seed, learners.device, told)
        return network, {"epochs": list(network.epochs)}
    trees = train(folds, learners.trees, judged, learners.seed, learners.threads)
    importance = dict(list(trees.importance().items())[:IMPORTANT])
    return trees, {"rounds": trees.rounds, "importance": importance}


def _grown_again(trees: Ranker, folds: Sequence[Examples], judged: Examples, learners: Learners) -> Ranker:
    more = judged.sampled(learners.sample, learners.seed)
    everyone = [*folds, more] if more.labels.any() else folds
    config = replace(learners.trees, rounds=trees.rounds)
    return replace(train(everyone, config, None, learners.seed, learners.threads), curve=trees.curve)


def _compared(found: Mapping[str, Figures], serves: str, seed: int) -> dict[str, Any]:
    metrics: dict[str, Any] = dict(found[serves].means()) | {"serves": serves}
    for kind, of_kind in found.items():
        metrics |= {f"{kind}.{figure}": value for figure, value in of_kind.means().items() if figure != "users"}
        if kind != serves:
            compared = paired_bootstrap(found[serves].ndcg, of_kind.ndcg, seed)
            metrics[f"{serves}_over_{kind}.ndcg@{DEPTH}"] = compared.difference
            metrics[f"{serves}_over_{kind}.low"] = compared.low
            metrics[f"{serves}_over_{kind}.high"] = compared.high
    return metrics
