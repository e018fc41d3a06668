"""Fine-tuning a model of text and graph: what belongs together moves closer than to all else of its batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
import torch
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from torch import nn

from shopgraph.errors import ConfigurationError
from shopgraph.learning.adversarial import AdversarialConfig
from shopgraph.learning.optimiser import OptimiserConfig
from shopgraph.learning.trained import EpochRecord
from shopgraph.text.backbone import freeze
from shopgraph.text.likelihood import SatisfactionLikelihood
from shopgraph.text.lora import LoraConfig, adapt, merge, save_adapters
from shopgraph.text.stages import Input
from shopgraph.text.trainer import Curve, Observed, own_randomness, training_arguments
from shopgraph.tracking import Progress, silent

if TYPE_CHECKING:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer

STEP = "text: fine-tune"
LOOK_AHEAD = 50
"""Unfit pairs passed over for a batch, in batches: bounds the search where everything goes with everything."""
NOT_THE_BACKBONE = r"\bmodel\.(?!0\.transformer\.)\d+\."
"""Names of a fused model's own parameters within its loss."""
RANKED, BOUGHT = "ranked", "bought"
KINDS = (RANKED, BOUGHT)


def _optimiser() -> OptimiserConfig:
    return OptimiserConfig(learning_rate=5e-5, weight_decay=0.01, clip_norm=1.0, schedule="cosine", warmup_share=0.1)


@dataclass(frozen=True)
class TuningConfig:
    """How a model is fine-tuned."""

    steps: int = 40
    """Optimiser steps at most; the budget, whatever the number of pairs."""
    batch_pairs: int = 64
    """Pairs a micro-batch: each side has 63 negatives on the other."""
    scale: float = 20.0
    """Cosines are multiplied by it: the inverse of the temperature."""
    frozen_layers: int | None = None
    """Lowest layers left as they are, the embeddings with them; null leaves the whole backbone and trains what is on
    top. Of no effect with adapters. A backbone that moves needs many steps: the projection that it starts with
    amplifies what tells products apart, and a few steps' noise with it."""
    head_learning_rate: float = 1e-4
    """Of what is not the backbone: the graph's token, the gate, the projection."""
    dropout: float | None = None
    """Of all layers; as the backbone came with it by default."""
    checkpointed: bool = False
    """Layers are computed anew on the way back: less memory, a third more work."""
    optimiser: OptimiserConfig = field(default_factory=_optimiser)
    lora: LoraConfig = field(default_factory=LoraConfig)
    adversarial: AdversarialConfig = field(default_factory=AdversarialConfig)
    """Of the word embeddings."""

    def moves_the_backbone(self) -> bool:
        """Whether the backbone has to be run in training, because it learns or because its words are shaken."""
        return self.frozen_layers is not None or self.lora.rank > 0 or self.adversarial.name != "none"


@dataclass(frozen=True)
class Examples:
    """Pairs of one kind.

    Shapes:
        pairs: (pairs, 2), int64 rows of `items`; of purchases, the user first
        links: (items, items), bool, symmetric: what belongs together and is never a negative of each other
        satisfaction: (pairs,), float32, of purchases
    """

    kind: str
    """ranked: each of the two finds the other (multiple negatives ranking, both ways); bought: the user finds the
    product, the more the more satisfied (`satisfaction_likelihood`)."""
    items: Sequence[Input]
    pairs: np.ndarray
    links: sp.csr_array
    share: float = 1.0
    """Of the steps, in proportion to the other kinds'."""
    satisfaction: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigurationError(f"examples of kind {self.kind!r}: choose from {', '.join(KINDS)}")


def tune(
    model: SentenceTransformer,
    examples: Sequence[Examples],
    config: TuningConfig,
    device: str | torch.device,
    seed: int,
    progress: Progress = silent,
    adapters: Path | None = None,
) -> list[EpochRecord]:
    """Train a model in place; batches, their order and dropout follow the seed. Adapters are merged at the end.

    Args:
        model: a fused one, or any whose inputs the items are; of one that reads once, what is above its network.
        adapters: where adapters are kept beside.

    Returns:
        one record a step; none where no batch holds a negative.

    Raises:
        InputError: the loss is no longer a number.
    """
    drawn = list(_drawn(examples, config, seed))
    if not drawn:
        return []
    network = model.transformers_model
    words: Any = network.get_input_embeddings() if network and config.adversarial.name != "none" else None
    with own_randomness(seed), TemporaryDirectory() as scratch, _dropout(model, config.dropout):
        lora = adapt(network, config.lora, seed) if network and config.lora.rank else None
        if network and lora is None:
            freeze(model, config.frozen_layers)
        arguments = training_arguments(
            SentenceTransformerTrainingArguments,
            config.optimiser,
            max(1, len(drawn) // config.optimiser.accumulate),
            config.batch_pairs,
            Path(scratch),
            device,
            seed,
            config.checkpointed,
            learning_rate_mapping={NOT_THE_BACKBONE: config.head_learning_rate},
        )
        rows = _dataset(drawn)
        trainer = _Tuner(model, arguments, train_dataset=rows, loss=Objective(model, config.scale))
        trainer.sizes = [len(numbers) for _, numbers in drawn]
        curve = Curve(STEP, progress)
        trainer.watched(curve, config.adversarial, words)
        trainer.train()
        if lora is not None:
            if adapters is not None:
                save_adapters(lora, adapters)
            merge(lora)
    model.requires_grad_(True)
    model.eval()
    return curve.records


class Objective(nn.Module):
    """The loss of a batch by its kind, which its labels begin with."""

    def __init__(self, model: SentenceTransformer, scale: float) -> None:
        super().__init__()
        self.ranked, self.bought = contrastive_loss(model, scale), SatisfactionLikelihood(model, scale)

    def forward(self, features: list[dict[str, torch.Tensor]], labels: torch.Tensor) -> torch.Tensor:
        """Shapes: labels: (pairs, 3): number of the kind, satisfaction, log inclusion"""
        if KINDS[int(labels[0, 0])] == RANKED:
            return self.ranked(features, None)
        return self.bought(features, labels[:, 1:])


def contrastive_loss(model: SentenceTransformer, scale: float) -> nn.Module:
    """The loss of both directions, each with its own softmax, averaged.

    Source: Henderson et al. 2017; InfoNCE, van den Oord et al. 2018.
    """
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    return MultipleNegativesRankingLoss(
        model, scale=scale, directions=("query_to_doc", "doc_to_query"), partition_mode="per_direction"
    )


class _InTurn(torch.utils.data.Sampler[list[int]]):
    """Batches of stated sizes, one after another."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._bounds = np.concatenate([[0], np.cumsum(sizes)])

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def __iter__(self) -> Iterator[list[int]]:
        for first, end in zip(self._bounds[:-1].tolist(), self._bounds[1:].tolist(), strict=True):
            yield list(range(first, end))


class _Tuner(Observed, SentenceTransformerTrainer):
    """The trainer of sentence-transformers, its losses observed, its batches those that were drawn."""

    sizes: Sequence[int] = ()

    def get_batch_sampler(self, *_: Any, **__: Any) -> Any:
        return _InTurn(self.sizes)

    def add_model_card_callback(self, *_: Any, **__: Any) -> None:
        """A version has a card of ours; the library's own would read the texts once more to fill it."""


Drawn = tuple[Examples, np.ndarray]
"""Examples, and the numbers of the pairs that make a batch."""


def _drawn(examples: Sequence[Examples], config: TuningConfig, seed: int) -> Iterator[Drawn]:
    """Batches of all steps; the kinds take turns by their shares, and one that has no batch left drops out."""
    random = np.random.default_rng(seed)
    running = [(each, batches(each.pairs, each.links, config.batch_pairs, seed + n)) for n, each in enumerate(examples)]
    for _ in range(config.steps * config.optimiser.accumulate):
        while running:
            shares = np.array([each.share for each, _ in running])
            place = int(random.choice(len(running), p=shares / shares.sum()))
            each, source = running[place]
            numbers = next(source, None)
            if numbers is not None:
                yield each, numbers
                break
            del running[place]


def _dataset(drawn: Sequence[Drawn]) -> Dataset:
    from datasets import Dataset

    columns: dict[str, list[Any]] = {"anchor": [], "positive": [], "label": []}
    for examples, numbers in drawn:
        pairs = examples.pairs[numbers]
        satisfied = np.ones(len(numbers)) if examples.satisfaction is None else examples.satisfaction[numbers]
        seen = np.bincount(examples.pairs[:, 1], minlength=len(examples.items))
        inclusion = np.log(seen[pairs[:, 1]])
        columns["anchor"] += [dict(examples.items[row]) for row in pairs[:, 0]]
        columns["positive"] += [dict(examples.items[row]) for row in pairs[:, 1]]
        kind = float(KINDS.index(examples.kind))
        columns["label"] += [[kind, *of_one] for of_one in zip(satisfied.tolist(), inclusion.tolist(), strict=True)]
    return Dataset.from_dict(columns)


def batches(pairs: np.ndarray, links: sp.csr_array, size: int, seed: int) -> Iterator[np.ndarray]:
    """Endless batches without false negatives, each pass in a new order.

    No item is twice in a batch and no two items of different pairs in it are linked; a pair that doesn't fit waits for
    the next batch. A batch of one pair has no negative and is left out; where all are, the iterator ends.

    Shapes:
        each: (at most size,), int64 numbers of pairs
    """
    random = np.random.default_rng(seed)
    while len(pairs):
        waiting, found = deque(random.permutation(len(pairs)).tolist()), False
        while waiting:
            batch = _fill(waiting, pairs, links, size)
            if len(batch) > 1:
                found = True
                yield np.array(batch, dtype=np.int64)
        if not found:
            return


def _fill(waiting: deque[int], pairs: np.ndarray, links: sp.csr_array, size: int) -> list[int]:
    """Take a batch from the front; what did not fit goes back to the front."""
    batch: list[int] = []
    refused: set[int] = set()
    passed: list[int] = []
    while waiting and len(batch) < size and len(passed) < LOOK_AHEAD * size:
        number = waiting.popleft()
        pair = pairs[number].tolist()
        if refused.isdisjoint(pair):
            batch.append(number)
            for row in pair:
                refused.update((row, *links.indices[links.indptr[row] : links.indptr[row + 1]].tolist()))
        else:
            passed.append(number)
    waiting.extendleft(reversed(passed))
    return batch


@contextmanager
def _dropout(model: nn.Module, share: float | None) -> Iterator[None]:
    """Within it a model drops another share than it came with."""
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Dropout)] if share is not None else []
    were = [layer.p for layer in layers]
    for layer in layers:
        layer.p = share or 0.0
    try:
        yield
    finally:
        for layer, was in zip(layers, were, strict=True):
            layer.p = was
