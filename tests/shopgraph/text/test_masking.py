"""What is asked for is whole, counted and drawn by the seed alone."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from shopgraph.text.backbone import DEFAULT, backbone_path
from shopgraph.text.masking import UNLABELLED, Batch, next_tokens, whole_words

TEXTS = [
    "chardonnay cabernet gewurztraminer",
    "tea",
    "红葡萄酒干型",
    "one two three four five six seven eight nine ten",
]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(backbone_path(DEFAULT), local_files_only=True)


def rows_of(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[dict[str, list[int | None]]]:
    read = tokenizer(texts)
    return [{"input_ids": ids, "word_ids": read.word_ids(row)} for row, ids in enumerate(read["input_ids"])]


def masked(tokenizer: PreTrainedTokenizerBase, texts: list[str], share: float, seed: int) -> Batch:
    return whole_words(rows_of(tokenizer, texts), tokenizer, share, torch.Generator().manual_seed(seed))


def test_a_word_is_asked_for_whole_or_not_at_all(tokenizer: PreTrainedTokenizerBase):
    rows = rows_of(tokenizer, TEXTS)
    assert len(rows[0]["input_ids"]) > 3 + 2, "the case wants words of several tokens"
    partly = 0
    for seed in range(30):
        labels = masked(tokenizer, TEXTS, 0.3, seed)["labels"]
        for row, item in enumerate(rows):
            asked = labels[row, : len(item["input_ids"])] != UNLABELLED
            by_word: dict[int | None, set[bool]] = {}
            for word, is_asked in zip(item["word_ids"], asked.tolist(), strict=True):
                by_word.setdefault(word, set()).add(is_asked)
            assert all(len(found) == 1 for found in by_word.values())
            assert by_word[None] == {False}
            chosen = sum(True in found for found in by_word.values())
            assert chosen == max(1, round(0.3 * (len(by_word) - 1)))
            partly += chosen < len(by_word) - 1
    assert partly > 60


def test_a_text_without_spaces_is_not_one_word(tokenizer: PreTrainedTokenizerBase):
    labels = masked(tokenizer, ["红葡萄酒干型"], 0.34, 1)["labels"]
    assert (labels != UNLABELLED).sum() == 2


def test_labels_are_the_tokens_and_most_of_them_are_hidden(tokenizer: PreTrainedTokenizerBase):
    texts = [" ".join(f"word{place}" for place in range(40))] * 50
    plain = tokenizer.pad(tokenizer(texts), return_tensors="pt")["input_ids"]
    batch = masked(tokenizer, texts, 0.5, 3)
    asked = batch["labels"] != UNLABELLED
    assert torch.equal(batch["labels"][asked], plain[asked])
    assert torch.equal(batch["input_ids"][~asked], plain[~asked])
    hidden = (batch["input_ids"][asked] == tokenizer.mask_token_id).float().mean()
    kept = (batch["input_ids"][asked] == plain[asked]).float().mean()
    assert 0.76 < hidden < 0.84
    assert 0.07 < kept < 0.13


def test_the_seed_alone_decides(tokenizer: PreTrainedTokenizerBase):
    first, again, other = (masked(tokenizer, TEXTS, 0.3, seed)["labels"] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_every_next_token_is_asked_for_and_no_padding(tokenizer: PreTrainedTokenizerBase):
    batch = next_tokens([{"input_ids": [7, 8, 9]}, {"input_ids": [5]}], tokenizer)
    assert batch["labels"].tolist() == [[7, 8, 9], [5, UNLABELLED, UNLABELLED]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
