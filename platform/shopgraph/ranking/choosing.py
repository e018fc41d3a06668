"""Trains every kind of ranker on the same rows and keeps the one that ranks best for users it has not learned from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from shopgraph.errors import ConfigurationError
from shopgraph.evaluation import DEPTH, Figures, Setting, figures, paired_bootstrap
from shopgraph.ranking.blend import BlendedRanker
from shopgraph.ranking.examples import Examples, SampleConfig
from shopgraph.ranking.lambdamart import LambdaMartConfig, Ranker, train
from shopgraph.ranking.network import NetworkRanker
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
    folds: Sequence[Examples],
    judged: tuple[Examples, Setting],
    learners: Learners,
    told: Told = lambda message: None,
    later: Examples | None = None,
) -> Chosen:
    """Train the kinds asked for; the one with the highest NDCG@20 for the users who judge serves.

    The same users choose rounds, epochs and the kind. What serves is then trained anew, as long, with their rows among
    the others: no figure is of that. Metrics: `KIND.METRIC@20` of each kind, the kind that `serves`, its own figures
    without a kind's name, and of each other kind by how much it is better or worse, with the 95 % interval over users.

    Args:
        later: rows of the weeks that judge, of users who don't: learned from once all is chosen.

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
    told(f"{serves}, from all weeks and users")
    last = [part for part in (later, rows.sampled(learners.sample, learners.seed)) if part and part.labels.any()]
    ranker = _trained_again(rankers[serves], [*folds, *last], learners, told)
    return Chosen(ranker, metrics | _compared(found, serves, learners.seed))


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


def _trained_again(chosen: FeatureRanker, folds: Sequence[Examples], learners: Learners, told: Told) -> FeatureRanker:
    """The same kind, trained as long on other rows."""
    if isinstance(chosen, BlendedRanker):
        parts = {kind: _trained_again(part, folds, learners, told) for kind, part in chosen.parts.items()}
        return BlendedRanker(parts, chosen.spreads)  # of rows that the parts had not learned from
    if isinstance(chosen, Ranker):
        config = replace(learners.trees, rounds=chosen.rounds)
        # spreads of rows that no tree had learned from
        again = train(folds, config, None, learners.seed, learners.threads, chosen.spreads)
        return replace(again, curve=chosen.curve)
    from shopgraph.ranking import neural

    found = cast(NetworkRanker, chosen)
    network = neural.train(folds, learners.network, None, learners.seed, learners.device, told, stop_after=found.epochs)
    return replace(network, curve=found.curve)


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
