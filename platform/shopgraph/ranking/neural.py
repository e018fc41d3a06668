"""A neural ranker: Deep & Cross networks trained on whole lists, handed on as ONNX."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from shopgraph.evaluation import DEPTH, Setting, figures
from shopgraph.learning.onnx_export import OPSET, quiet
from shopgraph.learning.optimiser import OptimiserConfig
from shopgraph.learning.updater import Updater
from shopgraph.ranking.examples import Examples, check_folds, group_sizes
from shopgraph.ranking.network import ROWS, ROWS_AT_ONCE, SCORES, NetworkRanker
from shopgraph.ranking.neural_config import NeuralConfig
from shopgraph.ranking.neural_network import DeepCrossNetwork, MeanScore, QuantileBins
from shopgraph.ranking.ranker import check_names, ranked

QUANTILE_ROWS = 200_000
"""Rows, at most, that a feature's quantiles are taken from."""
Told = Callable[[str], None]


def train(
    folds: Sequence[Examples],
    config: NeuralConfig,
    judged: tuple[Examples, Setting] | None = None,
    seed: int = 0,
    device: str = "cpu",
    told: Told = lambda message: None,
    *,
    stop_after: Sequence[int] = (),
) -> NetworkRanker:
    """Train networks on the rows of all folds; each user of each fold is a list.

    Args:
        judged: rows of users who are not learned from and their setting, which choose the epoch and nothing else.
        told: what is done, after each epoch.
        stop_after: epochs of each network that an earlier training found best, where nobody judges this one.

    Raises:
        InputError: there is no fold, a fold holds no purchase among its rows, or folds differ in their features.
        FloatingPointError: training ran away.
    """
    check_folds(folds)
    if judged is not None:
        check_names(folds[0].features.names, judged[0].features)
    rows = _Rows.of(folds, device)
    networks, epochs, curves = [], [], []
    for number in range(config.networks):

        def of_epoch(message: str, number: int = number) -> None:
            told(f"network {number + 1} of {config.networks}, {message}")

        last = stop_after[number] if stop_after else config.epochs
        network, curve = _trained(rows, config, judged, seed + number, last, of_epoch)
        networks.append(network)
        epochs.append(int(np.argmax(curve)) + 1 if curve else last)
        curves.append(tuple(curve))
    mean = MeanScore(networks).eval().cpu()
    names, groups = folds[0].features.names, folds[0].features.groups
    return NetworkRanker(exported(mean, len(names)), names, groups, rows.reference, tuple(epochs), curves[0])


def lambda_loss(scores: torch.Tensor, labels: torch.Tensor, there: torch.Tensor, truncation_level: int) -> torch.Tensor:
    """The mean over users of what each pair that stands the wrong way round costs in NDCG.

    A bought product i and one j that was not cost |1/log2(1 + rank i) - 1/log2(1 + rank j)| / ideal DCG@20, where ranks
    below the truncation level count nothing, times log(1 + exp(score j - score i)).

    Shapes:
        scores, labels, there: (users, rows), labels 1 for bought; rows that are not there fill up
        returns: scalar

    Source: Burges, From RankNet to LambdaRank to LambdaMART: an overview (2010); Wang et al., The LambdaLoss framework
    for ranking metric optimization (2018).
    """
    places = torch.arange(scores.shape[1], device=scores.device, dtype=scores.dtype)
    order = scores.detach().masked_fill(~there, -torch.inf).argsort(dim=1, descending=True)
    rank = torch.empty_like(scores).scatter_(1, order, places.expand_as(scores).contiguous())
    discount = torch.where(rank < truncation_level, 1.0 / torch.log2(rank + 2.0), 0.0)
    ideal = torch.cumsum(1.0 / torch.log2(places + 2.0), dim=0)
    bought = labels.sum(dim=1).long()
    ideal = ideal[bought.clamp(1, min(DEPTH, scores.shape[1])) - 1]
    bought_rows = labels.bool() & there
    user, place = bought_rows.nonzero(as_tuple=True)
    # (pairs' bought products, rows): each against all of its user's rows
    gap = (discount[user, place][:, None] - discount[user]).abs() / ideal[user][:, None]
    rivals = (there & ~bought_rows)[user]
    cost = torch.nn.functional.softplus(scores[user] - scores[user, place][:, None])
    return (cost * gap * rivals).sum() / len(scores)


def exported(network: torch.nn.Module, width: int) -> bytes:
    """A network of (rows, width) features as ONNX, for any number of rows.

    Raises:
        torch.onnx.OnnxExporterError: it does what ONNX can't say.
    """
    rows = torch.export.Dim("rows")
    with quiet():
        program = torch.onnx.export(
            network.eval(),
            (torch.zeros(3, width),),
            input_names=[ROWS],
            output_names=[SCORES],
            dynamic_shapes=({0: rows},),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    # without a path, and with dynamo, an export is what it returns
    return cast("torch.onnx.ONNXProgram", program).model_proto.SerializeToString()


@dataclass(frozen=True)
class _Rows:
    """The rows of all folds, list by list.

    Shapes:
        values: (rows, features); labels: (rows,)
        first, sizes: (lists,)
    """

    values: torch.Tensor
    labels: torch.Tensor
    first: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, folds: Sequence[Examples], device: str) -> _Rows:
        sizes = np.concatenate([group_sizes(fold.candidates) for fold in folds])
        values = np.concatenate([fold.features.values for fold in folds])
        labels = np.concatenate([fold.labels for fold in folds]).astype(np.float32)
        first = np.cumsum(sizes) - sizes
        learning = np.add.reduceat(labels, first) > 0
        placed = torch.from_numpy(values).to(device), torch.from_numpy(labels).to(device)
        return cls(*placed, first[learning], sizes[learning])

    @property
    def reference(self) -> np.ndarray:
        """(features,): the median of each feature, missing where most rows miss it."""
        values = self.values.cpu().numpy()
        middle = np.nanmedian(np.where(np.isnan(values).all(axis=0), 0.0, values), axis=0)
        return np.where(np.isnan(values).mean(axis=0) > 0.5, np.nan, middle).astype(np.float32)

    def sample(self, random: np.random.Generator) -> np.ndarray:
        """(rows, features): enough to take quantiles from."""
        chosen = random.permutation(len(self.values))[:QUANTILE_ROWS]
        return self.values[torch.from_numpy(chosen).to(self.values.device)].cpu().numpy()

    def batches(self, users: int, random: np.random.Generator) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Lists in random order: (lists, rows) row numbers, and which of them are there."""
        order = random.permutation(len(self.first))
        for start in range(0, len(order), users):
            lists = order[start : start + users]
            places = np.arange(self.sizes[lists].max())
            there = places < self.sizes[lists][:, None]
            rows = np.where(there, self.first[lists][:, None] + places, 0)
            device = self.values.device
            yield torch.from_numpy(rows).to(device), torch.from_numpy(there).to(device)


def _trained(
    rows: _Rows, config: NeuralConfig, judged: tuple[Examples, Setting] | None, seed: int, last: int, told: Told
) -> tuple[DeepCrossNetwork, list[float]]:
    """The network of the best epoch, and the figure of every epoch; of the last one where nobody judges."""
    random = np.random.default_rng(seed)
    bins = QuantileBins(rows.sample(random), config.bins, config.noise)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = DeepCrossNetwork(bins, config.cross_layers, config.cross_rank, config.hidden, config.dropout)
        network.to(rows.values.device)
        steps = config.epochs * -(-len(rows.first) // config.users_per_batch)
        updater = Updater(network, _optimiser(config), steps)
        curve: list[float] = []
        best: dict[str, torch.Tensor] = {}
        for epoch in range(last):
            loss = _epoch(network, updater, rows, config, random)
            if judged is None:
                told(f"epoch {epoch + 1}: loss {loss:.4f}")
                continue
            curve.append(_judged(network, *judged))
            told(f"epoch {epoch + 1}: loss {loss:.4f}, NDCG@{DEPTH} {curve[-1]:.4f}")
            if curve[-1] == max(curve) and curve.index(curve[-1]) == epoch:
                best = {name: value.clone() for name, value in network.state_dict().items()}
            elif epoch - int(np.argmax(curve)) >= config.patience:
                break
    if best:
        network.load_state_dict(best)
    return network, curve


def _optimiser(config: NeuralConfig) -> OptimiserConfig:
    rate, decay = config.learning_rate, config.weight_decay
    return OptimiserConfig(learning_rate=rate, weight_decay=decay, schedule="cosine", warmup_share=0.1)


def _epoch(
    network: DeepCrossNetwork, updater: Updater, rows: _Rows, config: NeuralConfig, random: np.random.Generator
) -> float:
    """The mean loss of the epoch's lists."""
    network.train()
    total = 0.0
    for places, there in rows.batches(config.users_per_batch, random):
        scores = torch.zeros(there.shape, device=there.device)
        scores = scores.masked_scatter(there, network(rows.values[places[there]]))
        labels = rows.labels[places] * there
        total += updater.backward(lambda_loss(scores, labels, there, config.truncation_level)) * len(there)
    updater.flush()
    return total / len(rows.first)


@torch.no_grad()
def _judged(network: DeepCrossNetwork, examples: Examples, setting: Setting) -> float:
    """NDCG@20 of the users who judge."""
    network.eval()
    values, device = examples.features.values, next(network.parameters()).device
    scores = [
        network(torch.from_numpy(values[start : start + ROWS_AT_ONCE]).to(device)).cpu().numpy()
        for start in range(0, len(values), ROWS_AT_ONCE)
    ]
    return float(figures(ranked(examples.candidates, np.concatenate(scores)), setting).ndcg.mean())
