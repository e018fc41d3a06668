"""Trains the graph embedding by link prediction on later purchases, from graphs cut at several moments."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from shopgraph.dataset.hetero import to_hetero
from shopgraph.dataset.judging import judged_settings
from shopgraph.dataset.purchases import WEEK_MS, Purchases, to_ms
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.dataset.split import Holdout
from shopgraph.embed.decoder import sampled_softmax, scores
from shopgraph.embed.encoder import GraphSAGE
from shopgraph.embed.message_graph import MessageGraph, catalogue_matrix, message_graph
from shopgraph.embed.negatives import LaterPurchases
from shopgraph.errors import ConfigurationError, InputError
from shopgraph.evaluation import evaluate
from shopgraph.learning.loop import LoopConfig, Outcome, fit
from shopgraph.learning.optimiser import OptimiserConfig, build_optimiser, take_step
from shopgraph.learning.trained import TrainedEmbedding
from shopgraph.registry import Vectors
from shopgraph.schema import FAMILIES
from shopgraph.tracking import Progress, silent

MODEL_FILE = "model.pt"


@dataclass(frozen=True)
class GraphEmbeddingConfig:
    """What the encoder is and how it is trained."""

    dimension: int = FAMILIES["graph"].dimension
    half_life_weeks: float = 20.0
    """Age at which a purchase weighs half in the message graph."""
    cuts: int = 5
    """Moments the graph is cut at; the weeks after each are its supervision."""
    cut_spacing_weeks: int = 4
    supervision_weeks: int = 4
    """Weeks after a cut whose new pairs are to be predicted."""
    steps_per_cut: int = 2
    """Optimiser steps on each cut in an epoch."""
    positives_per_user: int = 6
    negatives: int = 2_000
    """Products drawn uniformly into the pool of negatives at each step."""
    temperature: float = 0.1
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        """A config read back from a card has plain dicts for its parts."""
        for name, kind in (("optimiser", OptimiserConfig), ("loop", LoopConfig)):
            if isinstance(getattr(self, name), Mapping):
                object.__setattr__(self, name, kind(**getattr(self, name)))


@dataclass(frozen=True)
class Cut:
    """A message graph and the later purchases it is to predict; they share no pair."""

    graph: MessageGraph
    later: LaterPurchases


def train_graph_embedding(
    snapshot: Snapshot,
    config: GraphEmbeddingConfig,
    holdout: Holdout | None,
    device: str,
    seed: int,
    folder: Path,
    progress: Progress = silent,
    epochs: int | None = None,
) -> TrainedEmbedding:
    """Train on a snapshot; with a holdout stop by its novel NDCG@20, without one train for `epochs` (a refit).

    Returns:
        vectors of every product and user of the snapshot, (n, 64), float32, unit length.

    Raises:
        InputError: no purchases, a single user, or too short a history to cut.
        ConfigurationError: neither a holdout nor a number of epochs, or a device that is not there.
    """
    if holdout is None and epochs is None:
        raise ConfigurationError("training needs a holdout to stop by, or the number of epochs to train for")
    require_device(device)
    require_purchases(snapshot)
    torch.manual_seed(seed)
    progress("graph embedding", 0, config.loop.epochs, "cutting the graph by time")
    cuts, whole = cut_graphs(snapshot, config, seed)
    cuts, whole = [Cut(cut.graph.to(device), cut.later) for cut in cuts], whole.to(device)
    model = GraphSAGE(config.dimension, whole.describes.matrix.shape[1]).to(device)
    optimiser = build_optimiser(model, config.optimiser)
    loop = config.loop if epochs is None else LoopConfig(epochs, config.loop.patience, config.loop.metric)
    outcome = fit(
        model,
        optimiser,
        lambda epoch: _train_epoch(model, optimiser, cuts, config, seed, epoch, device),
        _judge(model, whole, snapshot, holdout) if holdout is not None else None,
        loop,
        folder,
        {"snapshot": snapshot.id, "config": asdict(config), "seed": seed, "refit": holdout is None},
        progress,
    )
    return _trained(model, whole, snapshot, config, outcome, folder)


def require_device(device: str) -> None:
    """Raises ConfigurationError before any work where torch can't compute there."""
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigurationError(f"device {device!r} is not there: {str(error).splitlines()[0]}") from None


def require_purchases(snapshot: Snapshot) -> None:
    """Raises InputError where there is nothing to learn from."""
    purchased = snapshot.relations["PURCHASED"]
    if purchased.num_rows == 0:
        raise InputError(f"snapshot {snapshot.id} has no purchases: ingest behaviour, then export again")
    if len(np.unique(purchased["start"].to_numpy())) < 2:
        raise InputError(f"snapshot {snapshot.id} has purchases of a single user: there is nobody to learn from")


def cut_graphs(snapshot: Snapshot, config: GraphEmbeddingConfig, seed: int) -> tuple[list[Cut], MessageGraph]:
    """Graphs cut at earlier moments, each with the pairs first bought in the weeks after it, and the whole graph.

    Each graph is turned to the axes of the one before it, so that nothing earlier knows of the later.

    Raises:
        InputError: no cut has both purchases before it and new pairs after it.
    """
    purchases, catalogue = Purchases.of(snapshot), catalogue_matrix(to_hetero(snapshot))
    end = to_ms(snapshot.before)
    build = _builder(purchases, catalogue, config, seed)
    cuts, previous = [], None
    for number in reversed(range(config.cuts)):
        moment = end - (config.supervision_weeks + number * config.cut_spacing_weeks) * WEEK_MS
        past = purchases.before(moment)
        following = purchases.since(moment).before(moment + config.supervision_weeks * WEEK_MS)
        later = np.setdiff1d(following.keys(), past.keys(), assume_unique=True)
        if len(past) and len(later):
            previous = build(moment, previous)
            cuts.append(Cut(previous, LaterPurchases(previous.known, later, purchases.product_count)))
    if not cuts:
        weeks = config.supervision_weeks
        raise InputError(f"snapshot {snapshot.id}: no new pairs in its last {weeks} weeks with purchases before them")
    return cuts, build(end, previous)


def _builder(
    purchases: Purchases, catalogue: Any, config: GraphEmbeddingConfig, seed: int
) -> Callable[[int, MessageGraph | None], MessageGraph]:
    width, half_life = config.dimension - 1, config.half_life_weeks
    return lambda moment, previous: message_graph(purchases, catalogue, moment, width, half_life, seed, previous)


def _train_epoch(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    cuts: list[Cut],
    config: GraphEmbeddingConfig,
    seed: int,
    epoch: int,
    device: str,
) -> float:
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(np.repeat(np.arange(len(cuts)), config.steps_per_cut))
    losses = []
    for number in order:
        batch = cuts[number].later.draw(config.positives_per_user, config.negatives, random).to(device)
        users, products = model(cuts[number].graph)
        logits = scores(users[batch.users], products[batch.pool]) / config.temperature
        loss = sampled_softmax(logits, batch.positives, batch.log_inclusion, batch.excluded)
        losses.append(take_step(loss, model, optimiser, config.optimiser.clip_norm))
    return math.fsum(losses) / len(losses)


def _judge(
    model: nn.Module, whole: MessageGraph, snapshot: Snapshot, holdout: Holdout
) -> Callable[[], dict[str, float]]:
    novel = judged_settings(snapshot, holdout)["novel"]
    if not len(novel.users):
        raise InputError("nobody bought anything new in the held-out weeks: choose a longer holdout")

    def judge() -> dict[str, float]:
        users, products = _encode(model, whole)
        found = evaluate(lambda rows: users[rows] @ products.T, novel)
        return {f"novel.{name}": value for name, value in found.means().items()}

    return judge


@torch.no_grad()
def _encode(model: nn.Module, graph: MessageGraph) -> tuple[np.ndarray, np.ndarray]:
    model.eval()
    users, products = model(graph)
    model.train()
    return users.cpu().numpy(), products.cpu().numpy()


def _trained(
    model: nn.Module,
    whole: MessageGraph,
    snapshot: Snapshot,
    config: GraphEmbeddingConfig,
    outcome: Outcome,
    folder: Path,
) -> TrainedEmbedding:
    users, products = _encode(model, whole)
    torch.save(model.state_dict(), folder / MODEL_FILE)
    best = outcome.curve[outcome.best_epoch - 1]
    return TrainedEmbedding(
        family="graph",
        snapshot_id=snapshot.id,
        vectors={"Product": Vectors(snapshot.ids("Product"), products), "User": Vectors(snapshot.ids("User"), users)},
        config=asdict(config),
        metrics={"loss": best.loss, **best.metrics},
        best_epoch=outcome.best_epoch,
        curves=outcome.curve,
        files={MODEL_FILE: folder / MODEL_FILE},
    )
