"""What a language model is asked to predict: masked words, or each next token.

Whole words are told by the tokenizer, not by the spaces of the text: one without spaces, as in Chinese, has words too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

UNLABELLED = -100
"""Label of a place at which nothing is asked."""
MASKED, REPLACED = 0.8, 0.1
"""Of the words that are asked for, the share that becomes the mask token and the share that becomes other tokens; the
rest stays, so that a token which is not the mask has to be doubted too (Devlin et al. 2019)."""

Batch = dict[str, torch.Tensor]
"""input_ids, attention_mask, labels: (rows, tokens), int64."""


def whole_words(
    rows: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase, share: float, generator: torch.Generator
) -> Batch:
    """Ask for a share of the words of each row, at least one, all tokens of a word alike.

    Args:
        rows: `input_ids`, and `word_ids`: each token's word, None of the tokenizer's marks.
    """
    batch = _padded(rows, tokenizer)
    asked, masked, replaced = (torch.zeros_like(batch["input_ids"], dtype=torch.bool) for _ in range(3))
    for row, item in enumerate(rows):
        words = torch.tensor([-1 if word is None else word for word in item["word_ids"]])
        present = words.unique()[words.unique() >= 0]
        order = present[torch.randperm(len(present), generator=generator)]
        chosen = order[: max(1, round(share * len(order)))]
        fate = torch.rand(len(chosen), generator=generator)
        for places, among in (
            (asked, chosen),
            (masked, chosen[fate < MASKED]),
            (replaced, chosen[(fate >= MASKED) & (fate < MASKED + REPLACED)]),
        ):
            places[row, : len(words)] = torch.isin(words, among)
    labels = batch["input_ids"].masked_fill(~asked, UNLABELLED)
    batch["input_ids"][masked] = tokenizer.mask_token_id
    others = torch.randint(len(tokenizer), (int(replaced.sum()),), generator=generator)
    batch["input_ids"][replaced] = others
    return {**batch, "labels": labels}


def next_tokens(rows: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase) -> Batch:
    """Ask for every token after a row's first."""
    batch = _padded(rows, tokenizer)
    return {**batch, "labels": batch["input_ids"].masked_fill(batch["attention_mask"] == 0, UNLABELLED)}


def _padded(rows: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase) -> Batch:
    found = tokenizer.pad(
        [{"input_ids": row["input_ids"], "attention_mask": [1] * len(row["input_ids"])} for row in rows],
        padding_side="right",
        return_tensors="pt",
    )
    return {name: found[name] for name in ("input_ids", "attention_mask")}
