"""Domain pre-training: a backbone goes on learning its language from the shop's own texts.

A network that reads both ways predicts masked words, all tokens of a word masked together (Devlin et al. 2019, and the
whole-word release of its code); one that reads on predicts the next token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import Trainer, TrainingArguments

from shopgraph.learning.adversarial import AdversarialConfig
from shopgraph.learning.optimiser import OptimiserConfig
from shopgraph.learning.trained import EpochRecord
from shopgraph.text.backbone import architecture_of, network_of, readable
from shopgraph.text.masking import UNLABELLED, Batch, next_tokens, whole_words
from shopgraph.text.trainer import Curve, Observed, own_randomness, training_arguments
from shopgraph.tracking import Progress, silent

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

STEP = "text: pre-train"


def _optimiser() -> OptimiserConfig:
    return OptimiserConfig(learning_rate=1e-4, weight_decay=0.01, clip_norm=1.0, schedule="cosine", warmup_share=0.1)


@dataclass(frozen=True)
class PretrainingConfig:
    """How long, and on what."""

    steps: int = 0
    """Optimiser steps; with 0 the backbone stays as it came."""
    head_steps: int = 20
    """Steps before those in which only a new head learns: what comes with no head of its own is judged after them."""
    batch_texts: int = 32
    """Rows of tokens a step."""
    masked_share: float = 0.15
    """Words masked, of a network that reads both ways; four fifths become the mask, a tenth another token."""
    row_tokens: int = 128
    """Tokens of a row, of a network that reads on: texts are joined, each ended by the tokenizer's mark."""
    held_out: int = 256
    """Texts that judge and are not learned, at most a tenth of all."""
    checkpointed: bool = False
    """Layers are computed anew on the way back: less memory, a third more work."""
    optimiser: OptimiserConfig = field(default_factory=_optimiser)


@dataclass(frozen=True)
class Pretrained:
    """How it went."""

    curve: list[EpochRecord]
    before: float
    """Perplexity of held-out texts, the backbone as it came: exp of the mean surprise where something is asked."""
    after: float


class Predictor(nn.Module):
    """A network with its language-modelling head, which sees only the places that are asked for.

    Scores of a whole vocabulary are the dearest part of a step; of masked texts a seventh of the places need them.
    """

    def __init__(self, network: PreTrainedModel, head: nn.Module, causal: bool) -> None:
        super().__init__()
        self.network, self.head, self._causal = network, head, causal

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """
        Shapes:
            input_ids, attention_mask, labels: (rows, tokens), int64; a label of -100 asks for nothing
            returns: loss (), and surprises (places asked for,), in nats
        """
        states = self.network(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        if self._causal:
            states, labels = states[:, :-1], labels[:, 1:]
        asked = labels != UNLABELLED
        scores = self.head(states[asked])
        surprises = functional.cross_entropy(scores.float(), labels[asked], reduction="none")
        return {"loss": surprises.sum() / max(len(surprises), 1), "surprises": surprises}

    def activation_checkpointing_enable(self, **arguments: Any) -> None:
        self.network.activation_checkpointing_enable(**arguments)


def pretrain(
    model: SentenceTransformer,
    texts: Sequence[str],
    config: PretrainingConfig,
    device: str | torch.device,
    seed: int,
    progress: Progress = silent,
) -> Pretrained | None:
    """Train a model's network in place on bare texts; its head is thrown away after.

    Args:
        texts: distinct ones; those that judge are drawn from them by the seed.

    Returns:
        None with no steps asked for, or fewer than two texts: nothing could judge.

    Raises:
        InputError: the loss is no longer a number.
    """
    if not config.steps or len(texts) < 2:
        return None
    network = network_of(model)
    order = np.random.default_rng(seed).permutation(len(texts))
    judging = max(1, min(config.held_out, len(texts) // 10))
    with own_randomness(seed):
        head, is_new = _head(network)
        predictor = Predictor(network, head, architecture_of(network).causal).to(device)
        reader = Reader(model.tokenizer, model.max_seq_length, config, architecture_of(network).causal)
        learned = reader.rows([texts[row] for row in order[judging:]])
        judged = reader.rows([texts[row] for row in order[:judging]])
        if is_new and config.head_steps:
            network.requires_grad_(False)
            _train(predictor, learned, reader, config, config.head_steps, device, seed, silent)
            network.requires_grad_(True)
        before = perplexity(predictor, judged, reader, seed)
        curve = _train(predictor, learned, reader, config, config.steps, device, seed, progress)
        after = perplexity(predictor, judged, reader, seed)
    network.eval()
    return Pretrained(curve, before, after)


class Reader:
    """Turns texts into rows of tokens, and rows into batches with labels."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, max_tokens: int | None, config: PretrainingConfig, causal: bool
    ) -> None:
        self._tokenizer, self._max_tokens, self._config, self._causal = tokenizer, max_tokens, config, causal

    def rows(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        return self._joined(texts) if self._causal else self._apart(texts)

    def collator(self, seed: int) -> Callable[[Sequence[Mapping[str, Any]]], Batch]:
        """What is masked follows the seed."""
        if self._causal:
            return partial(next_tokens, tokenizer=self._tokenizer)
        generator = torch.Generator().manual_seed(seed)
        return partial(whole_words, tokenizer=self._tokenizer, share=self._config.masked_share, generator=generator)

    def _apart(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        read = self._tokenizer(readable(texts), truncation=True, max_length=self._max_tokens)
        return [
            {"input_ids": ids, "word_ids": read.word_ids(row)}
            for row, ids in enumerate(read["input_ids"])
            if any(word is not None for word in read.word_ids(row))
        ]

    def _joined(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """All texts one after another, cut into rows of equal length; the last one may be shorter."""
        tokenizer, size = self._tokenizer, self._config.row_tokens
        marks = (tokenizer.eos_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id)
        mark = next(token for token in marks if token is not None)
        read = tokenizer(readable(texts), add_special_tokens=False)["input_ids"]
        stream = [token for text in read for token in (*text, mark)]
        return [{"input_ids": stream[first : first + size]} for first in range(0, len(stream), size)]


@torch.no_grad()
def perplexity(predictor: Predictor, rows: list[dict[str, Any]], reader: Reader, seed: int) -> float:
    """exp of the mean surprise, in nats, at what is asked for in rows; what is masked follows the seed."""
    collate = reader.collator(seed)
    device = next(predictor.parameters()).device
    predictor.eval()
    surprises = []
    for first in range(0, len(rows), 32):
        batch = collate(rows[first : first + 32])
        surprises.append(predictor(**{name: tensor.to(device) for name, tensor in batch.items()})["surprises"])
    every = torch.cat(surprises)
    return float(every.mean().exp()) if len(every) else float("nan")


class _Pretrainer(Observed, Trainer):
    """Transformers' trainer, its losses observed."""


def _train(
    predictor: Predictor,
    rows: list[dict[str, Any]],
    reader: Reader,
    config: PretrainingConfig,
    steps: int,
    device: str | torch.device,
    seed: int,
    progress: Progress,
) -> list[EpochRecord]:
    curve = Curve(STEP, progress)
    with TemporaryDirectory() as scratch:
        arguments = training_arguments(
            TrainingArguments,
            config.optimiser,
            steps,
            config.batch_texts,
            Path(scratch),
            device,
            seed,
            config.checkpointed,
            label_names=["labels"],
        )
        trainer = _Pretrainer(predictor, arguments, reader.collator(seed), train_dataset=rows)
        trainer.watched(curve, AdversarialConfig())
        trainer.train()
    return curve.records


def _head(network: PreTrainedModel) -> tuple[nn.Module, bool]:
    """The head that transformers has for a network, which predicts by the network's own words; whether it is new."""
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    causal = architecture_of(network).causal
    whole = (AutoModelForCausalLM if causal else AutoModelForMaskedLM).from_config(network.config)
    setattr(whole, whole.base_model_prefix, network)
    whole.tie_weights()
    if causal:
        return whole.get_output_embeddings(), False
    return whole.cls if hasattr(whole, "cls") else whole.lm_head, True
