"""Message graphs with the pairs each is to predict, and never holds: cut by time, or by folds of the pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shopgraph.dataset.purchases import WEEK_MS
from shopgraph.embed.message_graph import MessageGraph, MessageGraphs
from shopgraph.embed.negatives import Supervision
from shopgraph.embed.sampled_graph import Neighbourhoods
from shopgraph.errors import ConfigurationError, InputError

KINDS = ("time", "folds")


@dataclass(frozen=True)
class CutsConfig:
    """How a history becomes message graphs and positives."""

    by: str = "time"
    """time: graphs at earlier moments, each with the pairs first bought in the weeks after it. folds: the whole graph
    less a random part of its pairs, each with that part."""
    count: int = 5
    """Moments, or folds."""
    spacing_weeks: int = 4
    """Between moments; the latest lies `supervision_weeks` before the end."""
    supervision_weeks: int = 9
    """Weeks after a moment whose new pairs are to be predicted."""

    def __post_init__(self) -> None:
        if self.by not in KINDS:
            raise ConfigurationError(f"cuts by {self.by!r}: choose from {', '.join(KINDS)}")
        if self.count < 1 or (self.by == "folds" and self.count < 2):
            raise ConfigurationError(f"cuts.count={self.count}: at least 1 moment, or 2 folds")


@dataclass(frozen=True)
class Cut:
    """A message graph and the pairs it is to predict; they share none."""

    graph: MessageGraph
    supervision: Supervision
    neighbourhoods: Neighbourhoods | None = None
    """Where batches draw their part of the graph; None where they take it whole."""


def cut_graphs(graphs: MessageGraphs, config: CutsConfig, seed: int) -> tuple[list[Cut], MessageGraph]:
    """The cuts of a history, and its whole graph.

    Each graph is turned to the axes of the one before it, so that nothing earlier knows of the later.

    Raises:
        InputError: no cut has both purchases before it and new pairs after it.
    """
    if config.by == "folds":
        return _by_folds(graphs, config, seed), graphs.before(graphs.end_ms)
    cuts, previous = _by_time(graphs, config)
    return cuts, graphs.before(graphs.end_ms, previous)


def _by_time(graphs: MessageGraphs, config: CutsConfig) -> tuple[list[Cut], MessageGraph]:
    purchases, shape = graphs.purchases, graphs.purchases.shape
    everything = np.arange(shape[1])
    cuts: list[Cut] = []
    previous = None
    for number in reversed(range(config.count)):
        moment = graphs.end_ms - (config.supervision_weeks + number * config.spacing_weeks) * WEEK_MS
        past = purchases.before(moment)
        following = purchases.since(moment).before(moment + config.supervision_weeks * WEEK_MS)
        later = np.setdiff1d(following.keys(), past.keys(), assume_unique=True)
        if len(past) and len(later):
            previous = graphs.before(moment, previous)
            cuts.append(Cut(previous, Supervision(previous.known, later, shape, everything)))
    if previous is None:
        weeks = config.supervision_weeks
        raise InputError(f"no new pairs in the last {weeks} weeks with purchases before them: choose fewer weeks")
    return cuts, previous


def _by_folds(graphs: MessageGraphs, config: CutsConfig, seed: int) -> list[Cut]:
    keys = graphs.purchases.keys()
    bought = np.unique(graphs.purchases.products)
    if len(keys) < config.count:
        raise InputError(f"{len(keys)} distinct pairs can't be cut into {config.count} folds")
    fold = np.random.default_rng(seed).permutation(len(keys)) % config.count
    cuts = []
    for number in range(config.count):
        graph = graphs.without(keys[fold == number])
        cuts.append(Cut(graph, Supervision(graph.known, keys[fold == number], graphs.purchases.shape, bought)))
    return cuts
