"""A vector for each purchase, and how plausible it is: real later purchases told from drawn ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from shopgraph.dataset.purchases import WEEK_MS, Purchases
from shopgraph.embed.drawing import Drawing, area_under_curve
from shopgraph.embed.negatives import POPULARITY_POWER
from shopgraph.embed.pooled import require_vectors
from shopgraph.errors import ConfigurationError, InputError
from shopgraph.learning.checkpoint import fingerprint
from shopgraph.learning.loop import LoopConfig, fit
from shopgraph.learning.optimiser import OptimiserConfig
from shopgraph.learning.trained import EpochRecord
from shopgraph.learning.updater import Updater
from shopgraph.tracking import Progress, silent

YEAR_MS = 365.2425 * 24 * 3600 * 1000
TIME_FEATURES = 5
ROWS_AT_ONCE = 16_384
CONSTANT = 1e-6
"""Columns that vary less are left at their scale."""


@dataclass(frozen=True)
class EdgeConfig:
    """How purchases are told from drawn ones."""

    hidden: int = 32
    """Units between an edge's vector and its score; 0 is logistic regression."""
    drawn: int = 2
    """Products drawn for each real purchase, same user and time; together they weigh as much as it."""
    popularity_power: float = POPULARITY_POWER
    """Of a product's purchases plus one, in its chance to be drawn; 0 draws all alike."""
    odd_share: float = 0.05
    """Share of real purchases that the threshold of odd ones is set for."""
    held_share: float = 0.2
    """Of the purchases, the latest ones: they stop the training and set the threshold."""
    edges_per_batch: int = 2_048
    optimiser: OptimiserConfig = field(default_factory=lambda: OptimiserConfig(learning_rate=0.005))
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(epochs=12, patience=3, metric="auc"))

    def __post_init__(self) -> None:
        for name, kind in {"optimiser": OptimiserConfig, "loop": LoopConfig}.items():
            if isinstance(getattr(self, name), Mapping):
                object.__setattr__(self, name, kind(**getattr(self, name)))
        if self.drawn < 1:
            raise ConfigurationError(f"drawn={self.drawn}: at least 1")
        for name in ("odd_share", "held_share"):
            if not 0 < getattr(self, name) < 1:
                raise ConfigurationError(f"{name}={getattr(self, name)}: must lie between 0 and 1")


@dataclass(frozen=True)
class Ends:
    """What edges are described by: vectors of a graph before a moment, and the vector of their relation.

    Shapes:
        users: (users, dimension); products: (products, dimension); relation: (dimension,)

    Raises:
        InputError: widths that differ, or a number that is not finite.
    """

    users: np.ndarray
    products: np.ndarray
    relation: np.ndarray
    moment_ms: int
    """The graph holds nothing that happened at or after it; milliseconds since 1970 UTC."""

    def __post_init__(self) -> None:
        require_vectors("User", self.users, len(self.users))
        require_vectors("Product", self.products, len(self.products))
        require_vectors("Relation", self.relation[None], 1)
        widths = {rows.shape[-1] for rows in (self.users, self.products, self.relation)}
        if len(widths) > 1:
            raise InputError(f"vectors are {sorted(widths)} wide: users, products and relation need one width")

    @property
    def width(self) -> int:
        """Columns of an edge's vector."""
        return 3 * len(self.relation) + TIME_FEATURES


class EdgeModel(nn.Module):
    """Edge vectors to logits, each column brought to the scale it has among the edges of training.

    Time beyond that of training counts as its nearest: nothing was learned of a season that nobody saw.

    Args:
        edges: (n, width), real edges of training.

    Shapes:
        input: (n, width); output: (n,)
    """

    centre: torch.Tensor
    spread: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor

    def __init__(self, edges: torch.Tensor, hidden: int) -> None:
        super().__init__()
        spread, clock = edges.std(dim=0, correction=0), edges[:, -TIME_FEATURES:]
        self.register_buffer("centre", edges.mean(dim=0))
        self.register_buffer("spread", torch.where(spread < CONSTANT, 1.0, spread))
        self.register_buffer("first", clock.amin(dim=0))
        self.register_buffer("last", clock.amax(dim=0))
        width = edges.shape[1]
        self.layers = (
            nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 1))
            if hidden
            else nn.Sequential(nn.Linear(width, 1))
        )

    def forward(self, edges: torch.Tensor) -> torch.Tensor:
        clock = torch.minimum(torch.maximum(edges[:, -TIME_FEATURES:], self.first), self.last)
        known = torch.cat([edges[:, :-TIME_FEATURES], clock], dim=1)
        return self.layers((known - self.centre) / self.spread)[:, 0]


@dataclass(frozen=True)
class EdgeScorer:
    """A trained scorer of edges."""

    model: EdgeModel
    threshold: float
    """Plausibility that `odd_share` of the held-out real purchases don't exceed."""
    odd_share: float
    metrics: dict[str, float]
    """auc of held-out real purchases against drawn ones, and `cosine.auc` of the ends' inner product."""
    best_epoch: int
    curve: list[EpochRecord]


@dataclass(frozen=True)
class Plausibility:
    """How plausible edges are.

    Shapes:
        scores: (n,), float32, 0 to 1: the chance to be the real one, of a real and a drawn purchase
        odd: (n,), bool: at or below the threshold
    """

    scores: np.ndarray
    odd: np.ndarray
    threshold: float


def edge_vectors(users: np.ndarray, products: np.ndarray, times: np.ndarray, ends: Ends) -> np.ndarray:
    """A vector for each edge: [h * t, |h + r - t|, r, time].

    Time is the logarithm of 1 + the weeks since the moment of the vectors, then sine and cosine of the time of week and
    of the time of year.

    Shapes:
        users, products: (n,), rows of the ends; times: (n,), milliseconds since 1970 UTC
        returns: (n, 3 dimension + TIME_FEATURES), float32

    Raises:
        InputError: an edge before the moment of the vectors, which may hold it, or one whose end is not there.

    Source: Grover and Leskovec, node2vec (2016), products and differences of ends; Bordes et al. (2013), h + r - t.
    """
    _require_edges(users, products, times, ends)
    head, tail = ends.users[users], ends.products[products]
    relation = np.broadcast_to(ends.relation, head.shape)
    weeks = (times - ends.moment_ms) / WEEK_MS
    turns = [2 * np.pi * (times % period) / period for period in (WEEK_MS, YEAR_MS)]
    clock = np.stack([np.log1p(weeks), *(wave(turn) for turn in turns for wave in (np.sin, np.cos))], axis=1)
    return np.concatenate([head * tail, np.abs(head + relation - tail), relation, clock], axis=1).astype(np.float32)


def learn_edges(
    users: np.ndarray,
    products: np.ndarray,
    times: np.ndarray,
    ends: Ends,
    config: EdgeConfig,
    seed: int,
    folder: Path,
    progress: Progress = silent,
) -> EdgeScorer:
    """Train a scorer on purchases at or after the moment of the vectors; the latest of them judge it.

    Shapes:
        users, products, times: (n,), as `edge_vectors`; in any order

    Raises:
        InputError: fewer than two purchases or products, purchases that `edge_vectors` refuses, or the folder holds
            another run's checkpoint.
    """
    _require_edges(users, products, times, ends)
    if len(users) < 2 or len(ends.products) < 2:
        raise InputError(
            f"{len(users)} purchases at or after the vectors' moment, of {len(ends.products)} products: "
            "it takes two of each to tell real from drawn; choose an earlier moment"
        )
    order = np.lexsort((products, users, times))
    edges = Purchases(users[order], products[order], times[order], len(ends.users), len(ends.products))
    size = min(max(1, round(config.held_share * len(edges))), len(edges) - 1)
    learned, held = (edges.chosen(part) for part in np.split(np.arange(len(edges)), [len(edges) - size]))
    draw = Drawing(edges, learned, config.popularity_power)
    model = _model(learned, ends, config, seed)
    batches = -(-len(learned) // config.edges_per_batch)
    updater = Updater(model, config.optimiser, config.loop.epochs * -(-batches // config.optimiser.accumulate))
    drawn, fair = draw(held, np.random.default_rng([seed, 0]))
    if not fair.any():
        raise InputError("the users of the latest purchases bought every product drawn: there is nothing false to show")
    false = replace(held, products=drawn).chosen(fair)
    inputs = fingerprint(edges.users, edges.products, edges.times, ends.users, ends.products, ends.relation)
    outcome = fit(
        model,
        updater,
        partial(_epoch, model, updater, learned, draw, ends, config, seed),
        lambda: {"auc": area_under_curve(_scores(model, held, ends), _scores(model, false, ends))},
        config.loop,
        folder,
        {"edges": inputs, "moment_ms": ends.moment_ms, "config": asdict(config), "seed": seed},
        progress,
        title="edge scorer",
    )
    metrics = outcome.curve[outcome.best_epoch - 1].metrics | {
        "cosine.auc": area_under_curve(_cosines(held, ends), _cosines(false, ends))
    }
    threshold = float(np.quantile(_scores(model, held, ends), config.odd_share))
    return EdgeScorer(model, threshold, config.odd_share, metrics, outcome.best_epoch, outcome.curve)


def judge_edges(
    scorer: EdgeScorer, users: np.ndarray, products: np.ndarray, times: np.ndarray, ends: Ends
) -> Plausibility:
    """Score edges, and flag the odd ones.

    Shapes:
        users, products, times: (n,), as `edge_vectors`

    Raises:
        InputError: edges that `edge_vectors` refuses, or vectors of another width than those of training.
    """
    if ends.width != len(scorer.model.centre):
        raise InputError(f"edges {ends.width} wide for a scorer of {len(scorer.model.centre)}: train it anew")
    _require_edges(users, products, times, ends)
    scores = _scores(scorer.model, Purchases(users, products, times, len(ends.users), len(ends.products)), ends)
    return Plausibility(scores, scores <= scorer.threshold, scorer.threshold)


def _require_edges(users: np.ndarray, products: np.ndarray, times: np.ndarray, ends: Ends) -> None:
    if not len(users) == len(products) == len(times):
        raise InputError(
            f"{len(users)} users, {len(products)} products and {len(times)} times: an edge has one of each"
        )
    for what, rows, count in (("user", users, len(ends.users)), ("product", products, len(ends.products))):
        if len(rows) and not (rows.min() >= 0 and rows.max() < count):
            raise InputError(f"an edge names a {what} outside of rows 0 to {count - 1}: encode the same snapshot")
    early = np.flatnonzero(times < ends.moment_ms)
    if len(early):
        raise InputError(
            f"{len(early)} edges happened before the moment of the vectors, the first in row {early[0]}: "
            "the vectors may hold them; score them by vectors of an earlier moment"
        )


def _model(learned: Purchases, ends: Ends, config: EdgeConfig, seed: int) -> EdgeModel:
    sample = learned.chosen(np.sort(np.random.default_rng(seed).permutation(len(learned))[:ROWS_AT_ONCE]))
    vectors = edge_vectors(sample.users, sample.products, sample.times, ends)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return EdgeModel(torch.from_numpy(vectors), config.hidden)


def _epoch(
    model: EdgeModel,
    updater: Updater,
    learned: Purchases,
    draw: Drawing,
    ends: Ends,
    config: EdgeConfig,
    seed: int,
    epoch: int,
) -> float:
    """One pass over the purchases, each against products drawn anew; the mean loss."""
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(learned))
    losses, sizes = [], []
    model.train()
    for first in range(0, len(order), config.edges_per_batch):
        real = learned.chosen(order[first : first + config.edges_per_batch])
        copies = real.chosen(np.repeat(np.arange(len(real)), config.drawn))
        products, fair = draw(copies, random)
        both = np.concatenate([real.products, products])
        users, times = (np.concatenate([getattr(real, x), getattr(copies, x)]) for x in ("users", "times"))
        # A purchase weighs what its fair draws weigh: else a user's or a week's share of unfair ones would be a score.
        balance = fair.reshape(-1, config.drawn).mean(axis=1)
        weight = torch.from_numpy(np.concatenate([balance, fair / config.drawn]).astype(np.float32))
        truth = (torch.arange(len(both)) < len(real)).float()
        with updater.autocast():
            logits = model(torch.from_numpy(edge_vectors(users, both, times, ends))).float()
        loss = binary_cross_entropy_with_logits(logits, truth, weight, reduction="sum")
        loss = loss / weight.sum().clamp(min=1.0)
        losses.append(updater.backward(loss, len(real)))
        sizes.append(len(real))
    updater.flush()
    return float(np.average(losses, weights=sizes))


@torch.no_grad()
def _scores(model: EdgeModel, edges: Purchases, ends: Ends) -> np.ndarray:
    model.eval()
    found = [np.empty(0, np.float32)]
    for first in range(0, len(edges), ROWS_AT_ONCE):
        part = slice(first, first + ROWS_AT_ONCE)
        vectors = edge_vectors(edges.users[part], edges.products[part], edges.times[part], ends)
        found.append(torch.sigmoid(model(torch.from_numpy(vectors))).numpy())
    return np.concatenate(found)


def _cosines(edges: Purchases, ends: Ends) -> np.ndarray:
    return np.einsum("ij,ij->i", ends.users[edges.users], ends.products[edges.products])
