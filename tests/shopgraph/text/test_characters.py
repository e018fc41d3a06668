"""Characters that a tokenizer does not know become words of the model, where enough texts have them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from shopgraph.text.backbone import open_encoder, save_encoder
from shopgraph.text.characters import add_characters

TEXTS = ["裤子女装", "裤子男装", "裤", "tea", "🍵", "靴"]


def test_only_unknown_characters_of_enough_texts_are_added(each_tiny: Callable[[], SentenceTransformer]):
    model = each_tiny()
    tokenizer = model.tokenizer
    unknown = [c for c in "裤装靴" if tokenizer(c, add_special_tokens=False)["input_ids"] == [tokenizer.unk_token_id]]
    assert "裤" in unknown, "the case wants a character that the backbone does not know"
    before, known = model.encode(["green tea"]), len(tokenizer)
    added = add_characters(model, TEXTS, 2, seed=0)
    assert added == sum(sum(c in text for text in TEXTS) >= 2 for c in unknown)
    assert len(tokenizer) == known + added
    assert model.transformers_model.get_input_embeddings().num_embeddings == known + added
    assert tokenizer.unk_token_id not in tokenizer("裤", add_special_tokens=False)["input_ids"]
    assert np.allclose(model.encode(["green tea"]), before, atol=1e-6), "what was known is read as before"
    assert add_characters(model, TEXTS, 2, seed=0) == 0


def test_texts_that_were_one_to_the_model_are_told_apart(tiny: Callable[[], SentenceTransformer], tmp_path: Path):
    texts = ["裤", "靴"]
    model = tiny()
    assert np.allclose(*model.encode(texts), atol=1e-6)
    add_characters(model, texts, 1, seed=0)
    found = model.encode(texts)
    assert not np.allclose(*found, atol=1e-3)
    save_encoder(model, tmp_path)
    assert np.array_equal(open_encoder(tmp_path, "cpu").encode(texts), found)


def test_a_few_foreign_words_leave_the_backbone_alone(tiny: Callable[[], SentenceTransformer]):
    """Of 40 texts one holds unknown characters, then three do: what is added has to be learned, from enough of them."""
    english = [f"tea {n}" for n in range(39)]
    assert add_characters(tiny(), [*english, "裤子裤子"], 1, seed=0) == 0
    assert add_characters(tiny(), [*english[:37], "裤a", "裤b", "裤c"], 1, seed=0) == 1


def test_none_are_asked_for(tiny: Callable[[], SentenceTransformer]):
    assert add_characters(tiny(), TEXTS, 0, seed=0) == add_characters(tiny(), [], 1, seed=0) == 0
