"""Fine-tuning by contrast: texts bought together move closer than to all the others of their batch."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp
import torch

from shopgraph.errors import InputError
from shopgraph.learning.trained import EpochRecord
from shopgraph.text.backbone import freeze
from shopgraph.tracking import Progress, silent

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

STEP = "text: fine-tune"
LOOK_AHEAD = 50
"""Unfit pairs passed over for a batch, in batches: bounds the search where everything goes with everything."""


@dataclass(frozen=True)
class ContrastiveConfig:
    """How the backbone is fine-tuned."""

    steps: int = 40
    """Optimiser steps; the budget, whatever the number of pairs."""
    batch_pairs: int = 64
    """Pairs a step: each text has 2 * 63 negatives."""
    learning_rate: float = 5e-5
    warmup_share: float = 0.1
    """Share of the steps in which the rate rises from 0; it falls linearly to 0 after."""
    weight_decay: float = 0.01
    scale: float = 20.0
    """Cosines are multiplied by it: the inverse of the temperature."""
    frozen_layers: int = 3
    """Lowest layers left as they are, the word embeddings with them."""
    gradient_norm: float = 1.0
    """Gradients longer than this are cut to it."""


def fine_tune(
    model: SentenceTransformer,
    texts: Sequence[str],
    pairs: np.ndarray,
    links: sp.csr_array,
    config: ContrastiveConfig,
    seed: int,
    progress: Progress = silent,
) -> list[EpochRecord]:
    """Train a model in place by MultipleNegativesRanking, both ways.

    A short loop over the loss of sentence-transformers (Henderson et al. 2017; InfoNCE, van den Oord et al. 2018).
    Dropout, order and batches follow the seed.

    Shapes:
        pairs: (pairs, 2), int64 rows of `texts`
        links: (texts, texts), bool, see `Copurchases`

    Returns:
        one record a step; none when no batch holds a negative.

    Raises:
        InputError: the loss is no longer a number.
    """
    from sentence_transformers.util import batch_to_device
    from transformers import get_linear_schedule_with_warmup

    freeze(model, config.frozen_layers)
    loss_of = contrastive_loss(model, config.scale)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = get_linear_schedule_with_warmup(optimiser, round(config.warmup_share * config.steps), config.steps)
    curve: list[EpochRecord] = []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model.train()
        for step, batch in zip(
            range(1, config.steps + 1), batches(pairs, links, config.batch_pairs, seed), strict=False
        ):
            started = time.monotonic()
            columns = [model.preprocess([texts[row] for row in side]) for side in batch.T]
            loss = loss_of([batch_to_device(column, model.device) for column in columns], None)
            if not torch.isfinite(loss):
                raise InputError(f"fine-tuning diverged at step {step}: lower learning_rate={config.learning_rate}")
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, config.gradient_norm)
            optimiser.step()
            schedule.step()
            curve.append(EpochRecord(step, loss.item(), seconds=time.monotonic() - started))
            progress(STEP, step, config.steps, f"loss {loss.item():.3f}")
    model.eval()
    return curve


def contrastive_loss(model: SentenceTransformer, scale: float) -> torch.nn.Module:
    """The loss of both directions, each with its own softmax, averaged."""
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    return MultipleNegativesRankingLoss(
        model, scale=scale, directions=("query_to_doc", "doc_to_query"), partition_mode="per_direction"
    )


def batches(pairs: np.ndarray, links: sp.csr_array, size: int, seed: int) -> Iterator[np.ndarray]:
    """Endless batches without false negatives, each pass in a new order.

    No text is twice in a batch and no two texts of different pairs in it are linked; a pair that doesn't fit waits for
    the next batch. A batch of one pair has no negative and is left out; where all are, the iterator ends.

    Shapes:
        each: (at most size, 2), int64, which of the two is the anchor drawn at random
    """
    random = np.random.default_rng(seed)
    while len(pairs):
        order = random.permutation(len(pairs))
        turned = np.where(random.random((len(pairs), 1)) < 0.5, pairs, pairs[:, ::-1])[order]
        waiting, found = deque(map(tuple, turned.tolist())), False
        while waiting:
            batch = _fill(waiting, links, size)
            if len(batch) > 1:
                found = True
                yield np.array(batch, dtype=np.int64)
        if not found:
            return


def _fill(waiting: deque[tuple[int, int]], links: sp.csr_array, size: int) -> list[tuple[int, int]]:
    """Take a batch from the front; what did not fit goes back to the front."""
    batch: list[tuple[int, int]] = []
    refused: set[int] = set()
    passed: list[tuple[int, int]] = []
    while waiting and len(batch) < size and len(passed) < LOOK_AHEAD * size:
        pair = waiting.popleft()
        if refused.isdisjoint(pair):
            batch.append(pair)
            for row in pair:
                refused.update((row, *links.indices[links.indptr[row] : links.indptr[row + 1]].tolist()))
        else:
            passed.append(pair)
    waiting.extendleft(reversed(passed))
    return batch
