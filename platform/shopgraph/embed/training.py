"""Trains a graph encoder by link prediction on purchases that its message graphs do not hold."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from shopgraph.dataset.judging import judged_settings
from shopgraph.dataset.segments import user_segments
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.dataset.split import Holdout
from shopgraph.embed.artefact import write_artefact
from shopgraph.embed.config import GraphEmbeddingConfig
from shopgraph.embed.cuts import Cut, cut_graphs
from shopgraph.embed.encoder import Encoder
from shopgraph.embed.encoders import build_encoder, encoder_config
from shopgraph.embed.head import POLES, Rows
from shopgraph.embed.loss import LOSSES, pair_scores, scores
from shopgraph.embed.message_graph import MessageGraph, MessageGraphs
from shopgraph.embed.negatives import Batch
from shopgraph.embed.sampled_graph import Neighbourhoods
from shopgraph.errors import ConfigurationError, InputError
from shopgraph.evaluation import Figures, Setting, by_segment, evaluate
from shopgraph.learning.adversarial import Perturbation, adversarial_loss
from shopgraph.learning.checkpoint import Outcome
from shopgraph.learning.distributed import ALONE, Replica, mean_of, share
from shopgraph.learning.loop import fit
from shopgraph.learning.tracker import UNTRACKED, Tracker
from shopgraph.learning.trained import TrainedEmbedding
from shopgraph.learning.updater import Updater
from shopgraph.newcomers import ARTEFACT_FILE
from shopgraph.registry import Vectors
from shopgraph.tracking import Progress, silent

MODEL_FILE = "model.pt"
STEP = "graph embedding"


def train_graph_embedding(
    snapshot: Snapshot,
    config: GraphEmbeddingConfig,
    holdout: Holdout | None,
    device: str,
    seed: int,
    folder: Path,
    progress: Progress = silent,
    epochs: int | None = None,
    text: np.ndarray | None = None,
    tracker: Tracker = UNTRACKED,
    replica: Replica = ALONE,
) -> TrainedEmbedding:
    """Train on a snapshot; with a holdout stop by its novel NDCG@20, without one train for `epochs` (a refit).

    Args:
        text: (products, columns), vectors of a frozen language model as features of products; given where the config
            has `text_features`, and only there.
        replica: one of several processes (torchrun) that share each batch's users; all are to be given the same
            snapshot, config, seed and folder, and take the steps that a single process would (with sampling, each draws
            neighbourhoods of its own).

    Returns:
        vectors of every product and user of the snapshot, (n, dimension), float32, unit length.

    Raises:
        InputError: no purchases, a single user, a feature that is not a finite number, or too short a history to cut.
        ConfigurationError: neither a holdout nor a number of epochs, a device that is not there, sampling that does not
            fit the encoder, text that the config does not have, or none where it has it.
    """
    if holdout is None and epochs is None:
        raise ConfigurationError("training needs a holdout to stop by, or the number of epochs to train for")
    if config.text_features != (text is not None):
        was = "no text vectors were" if text is None else "text vectors were"
        raise ConfigurationError(
            f"text_features is {str(config.text_features).lower()} and {was} given: they go together"
        )
    require_device(device)
    require_depth(config)
    require_purchases(snapshot)
    progress(STEP, 0, config.loop.epochs, "cutting the graph")
    timed = config.sampling is not None
    width = config.dimension - POLES - config.affinities
    graphs = MessageGraphs(snapshot, width, config.half_life_weeks, seed, text, timed, config.affinities)
    cuts, whole = placed(*cut_graphs(graphs, config.cuts, seed), config, device)
    model = build_encoder(config.encoder, config.options, whole.shape, config.dimension, seed).to(device)
    updater = Updater(model, config.optimiser, config.loop.epochs * steps_per_epoch(cuts, config), replica)
    novel = _novel(snapshot, holdout) if holdout is not None else None
    outcome = fit(
        model,
        updater,
        partial(train_epoch, model, updater, cuts, config, seed, replica),
        None if novel is None else lambda: _deciding(encode(model, whole), novel),
        config.loop if epochs is None else replace(config.loop, epochs=epochs),
        folder,
        {"snapshot": snapshot.id, "config": asdict(config), "seed": seed, "refit": holdout is None},
        progress,
        title=STEP,
        tracker=tracker,
        replica=replica,
    )
    files = _write_model(model, whole, graphs, snapshot, config, 0 if text is None else text.shape[1], folder)
    return _trained(model, whole, snapshot, config, outcome, files, seed, device, novel)


def require_device(device: str) -> None:
    """Raises ConfigurationError before any work where torch can't compute there."""
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigurationError(f"device {device!r} is not there: {str(error).splitlines()[0]}") from None


def require_depth(config: GraphEmbeddingConfig) -> None:
    """Raises ConfigurationError where the encoder can't work on a sample of as many hops."""
    known = encoder_config(config.encoder, config.options)
    if config.sampling is None:
        return
    if config.encoder == "lightgcn":
        raise ConfigurationError("lightgcn scales its products by the longest of all: train it with sampling null")
    hops = len(config.sampling.num_neighbors)
    if hops != known.layers:
        raise ConfigurationError(f"num_neighbors: {hops} for {known.layers} layers of {config.encoder}, one a layer")


def placed(
    cuts: list[Cut], whole: MessageGraph, config: GraphEmbeddingConfig, device: str
) -> tuple[list[Cut], MessageGraph]:
    """The graphs on the device; with sampling they stay in the host's memory, and batches draw their parts of them."""
    if config.sampling is None:
        return [replace(cut, graph=cut.graph.to(device)) for cut in cuts], whole.to(device)
    return [replace(cut, neighbourhoods=Neighbourhoods(cut.graph, config.sampling, device)) for cut in cuts], whole


def require_purchases(snapshot: Snapshot) -> None:
    """Raises InputError where there is nothing to learn from."""
    purchased = snapshot.relations["PURCHASED"]
    if purchased.num_rows == 0:
        raise InputError(f"snapshot {snapshot.id} has no purchases: ingest behaviour, then export again")
    if len(np.unique(purchased["start"].to_numpy())) < 2:
        raise InputError(f"snapshot {snapshot.id} has purchases of a single user: there is nobody to learn from")


def steps_per_epoch(cuts: list[Cut], config: GraphEmbeddingConfig) -> int:
    batches = sum(math.ceil(len(cut.supervision.users) / config.users_per_batch) for cut in cuts)
    return math.ceil(batches / config.optimiser.accumulate)


def train_epoch(
    model: nn.Module,
    updater: Updater,
    cuts: list[Cut],
    config: GraphEmbeddingConfig,
    seed: int,
    replica: Replica,
    epoch: int,
) -> float:
    """One pass over the users of every cut, batches of all cuts in random order; the mean loss.

    Every replica draws the same batches and works on its share of each one's users.
    """
    random = np.random.default_rng([seed, epoch])
    noise = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    draws = np.random.default_rng([seed, epoch, 1 + replica.rank])
    batches = [
        cut.supervision.batches(config.users_per_batch, config.positives_per_user, config.negatives, random)
        for cut in cuts
    ]
    sizes = [math.ceil(len(cut.supervision.users) / config.users_per_batch) for cut in cuts]
    losses, weights = [], []
    model.train()
    for number in random.permutation(np.repeat(np.arange(len(cuts)), sizes)):
        batch, cut = next(batches[number]), cuts[number]
        rows = share(range(len(batch.users)), replica.rank, replica.world)
        part = batch if replica.world == 1 else batch.share(rows.start, rows.stop)
        graph, places = seen(cut, part, draws)
        losses.append(updater.backward(batch_loss(model, updater, graph, places, part, config, noise), len(rows)))
        weights.append(len(rows))
    updater.flush()
    return mean_of(float(np.average(losses, weights=weights)), replica, sum(weights))


def seen(cut: Cut, batch: Batch, draws: np.random.Generator) -> tuple[MessageGraph, Rows]:
    """What a batch's messages pass over, and where in it the batch's users and pool are."""
    rows = {"user": batch.users, "product": batch.pool}
    if cut.neighbourhoods is not None:
        return cut.neighbourhoods.around(rows, int(draws.integers(2**63)))
    device = cut.graph.popularity.device
    return cut.graph, {kind: chosen.to(device) for kind, chosen in rows.items()}


def batch_loss(
    model: nn.Module,
    updater: Updater,
    graph: MessageGraph,
    rows: Rows,
    batch: Batch,
    config: GraphEmbeddingConfig,
    noise: torch.Generator,
) -> torch.Tensor:
    """The loss of one batch, under adversarial perturbation of the vectors that are ranked by where that is asked.

    Args:
        rows: of the graph: the batch's users and its pool.
    """
    batch = batch.to(graph.popularity.device)
    with updater.autocast():
        found = model(graph, rows)
    scale: torch.Tensor = model.scale  # type: ignore[assignment]
    users, products = found["user"].float(), found["product"].float()

    def loss_of(shaken: Perturbation) -> torch.Tensor:
        shifted = users + shaken.get("user", 0.0), products + shaken.get("product", 0.0)
        rivals = scores(shifted[0], shifted[1][batch.rivals]) * scale
        chosen = pair_scores(*shifted, batch.row, batch.column) * scale
        return LOSSES[config.loss](rivals, chosen, batch.row, batch.weight, batch.log_inclusion, batch.excluded)

    return adversarial_loss(loss_of, {"user": users, "product": products}, config.adversarial, noise)


def _novel(snapshot: Snapshot, holdout: Holdout) -> Setting:
    """What decides when to stop: purchases of products that are new to their buyer."""
    novel = judged_settings(snapshot, holdout)["novel"]
    if not len(novel.users):
        raise InputError("nobody bought anything new in the held-out weeks: choose a longer holdout")
    return novel


def _judged(found: Mapping[str, np.ndarray], novel: Setting) -> Figures:
    return evaluate(lambda rows: found["user"][rows] @ found["product"].T, novel)


def _deciding(found: Mapping[str, np.ndarray], novel: Setting) -> dict[str, float]:
    return {f"novel.{name}": value for name, value in _judged(found, novel).means().items()}


@torch.no_grad()
def encode(model: nn.Module, graph: MessageGraph) -> dict[str, np.ndarray]:
    """The vectors of every kind of node: (nodes, dimension), float32; computed where the graph is."""
    model.eval()
    if next(model.parameters()).device != graph.popularity.device:
        model = copy.deepcopy(model).to(graph.popularity.device)
    return {kind: rows.cpu().numpy() for kind, rows in model(graph).items()}


def _write_model(
    model: nn.Module,
    whole: MessageGraph,
    graphs: MessageGraphs,
    snapshot: Snapshot,
    config: GraphEmbeddingConfig,
    text_width: int,
    folder: Path,
) -> dict[str, Path]:
    """The weights, and what later nodes are encoded with; an encoder that learns a vector a node can't encode any.

    Weights are kept as a machine without the device can open them.
    """
    torch.save({name: value.cpu() for name, value in model.state_dict().items()}, folder / MODEL_FILE)
    files = {MODEL_FILE: folder / MODEL_FILE}
    if isinstance(model, Encoder):
        named = (config.encoder, dict(config.options), config.dimension)
        write_artefact(folder / ARTEFACT_FILE, model, named, whole, graphs, snapshot, text_width)
        files[ARTEFACT_FILE] = folder / ARTEFACT_FILE
    return files


def _trained(
    model: nn.Module,
    whole: MessageGraph,
    snapshot: Snapshot,
    config: GraphEmbeddingConfig,
    outcome: Outcome,
    files: dict[str, Path],
    seed: int,
    device: str,
    novel: Setting | None,
) -> TrainedEmbedding:
    found = encode(model, whole)
    best = outcome.curve[outcome.best_epoch - 1]
    return TrainedEmbedding(
        family="graph",
        snapshot_id=snapshot.id,
        vectors={label: Vectors(snapshot.ids(label), found[label.lower()]) for label in ("Product", "User")},
        config=asdict(config),
        metrics={"loss": best.loss, **best.metrics},
        best_epoch=outcome.best_epoch,
        curves=outcome.curve,
        files=files,
        segments={} if novel is None else by_segment(_judged(found, novel), user_segments(snapshot)),
        seeds=(seed,),
        device=device,
    )
