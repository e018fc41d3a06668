"""The real weights: meaning, odd texts, no network; and every backbone by its name, or a clear error."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer, BertConfig, BertModel, PreTrainedTokenizerFast, T5Config, T5EncoderModel

from shopgraph.errors import ConfigurationError, InputError
from shopgraph.text.backbone import (
    DEFAULT,
    NAMES,
    backbone_path,
    freeze,
    layers_of,
    open_backbone,
    open_encoder,
    readable,
    save_encoder,
)
from shopgraph.text.encoding import encode_texts

ODD = ["", "wine " * 20_000, "🍷🐶🧀", "红葡萄酒，干型", "\x00\x07\ufffd", "\ud800", "'; DROP TABLE x; --"]


def test_red_wine_is_closer_to_white_wine_than_to_dog_food(real_encoder: SentenceTransformer):
    red, white, dog = encode_texts(real_encoder, ["red wine", "white wine", "dog food"]).matrix
    assert red @ white > red @ dog + 0.2


def test_odd_texts_give_sound_unit_vectors(each_tiny: Callable[[], SentenceTransformer]):
    matrix = encode_texts(each_tiny(), ODD).matrix
    assert np.isfinite(matrix).all()
    assert np.allclose(np.linalg.norm(matrix, axis=1), 1, atol=1e-5)


def test_odd_texts_are_no_trouble_for_the_real_weights(real_encoder: SentenceTransformer):
    matrix = encode_texts(real_encoder, ODD).matrix
    assert np.allclose(np.linalg.norm(matrix, axis=1), 1, atol=1e-5)


def test_a_text_is_encoded_alike_alone_and_among_others(each_tiny: Callable[[], SentenceTransformer]):
    model = each_tiny()
    texts = ["tea", "a much longer text about dog food for puppies of large breeds", "red wine"]
    together = encode_texts(model, texts).matrix
    alone = np.concatenate([encode_texts(model, [text]).matrix for text in texts])
    assert np.allclose(together, alone, atol=1e-5)


def test_no_network_is_touched(monkeypatch: pytest.MonkeyPatch):
    def refuse(*arguments: object) -> None:
        raise AssertionError(f"a connection was tried: {arguments}")

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for owner, name in ((socket.socket, "connect"), (socket.socket, "connect_ex"), (socket, "getaddrinfo")):
        monkeypatch.setattr(owner, name, refuse)
    for name in NAMES:
        encode_texts(open_backbone(name, "cpu", 16), ["tea"])


@pytest.mark.parametrize("name", ["gpt", "transformer-xl"])
def test_an_untrained_backbone_follows_its_seed_and_its_options(name: str):
    sizes = {"gpt": {"n_embd": 24, "n_layer": 1}, "transformer-xl": {"hidden_size": 24, "num_hidden_layers": 1}}[name]
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    first, again, other = (open_backbone(name, "cpu", 16, sizes, seed) for seed in (1, 1, 2))
    weights = [next(layers_of(model.transformers_model)[0].parameters()) for model in (first, again, other)]
    assert first.encode(["tea"]).shape == (1, 24)
    assert len(layers_of(first.transformers_model)) == 1
    assert all(torch.equal(*pair) for pair in zip(first.parameters(), again.parameters(), strict=True))
    assert any(not torch.equal(*pair) for pair in zip(first.parameters(), other.parameters(), strict=True))
    assert weights[0].shape == weights[2].shape
    assert torch.equal(torch.random.get_rng_state(), state)


def test_options_that_do_not_fit_are_named():
    with pytest.raises(ConfigurationError, match="bert comes with its sizes: it takes no layers"):
        open_backbone(DEFAULT, "cpu", options={"layers": 2})
    with pytest.raises(ConfigurationError, match="gpt has no layers"):
        open_backbone("gpt", "cpu", options={"layers": 2})
    with pytest.raises(ConfigurationError, match=r"transformer-xl can't be built of .*hidden_size=33 is no multiple"):
        open_backbone("transformer-xl", "cpu", options={"hidden_size": 33})


def test_a_kept_backbone_is_the_same(each_tiny: Callable[[], SentenceTransformer], tmp_path: Path):
    model = each_tiny()
    save_encoder(model, tmp_path)
    opened = open_backbone(str(tmp_path), "cpu")
    assert np.array_equal(opened.encode(["green tea"]), model.encode(["green tea"]))
    assert opened.max_seq_length == model.max_seq_length == 32


def tiny_bert(folder: Path, vocabulary: int = 30_522) -> None:
    config = BertConfig(
        vocab_size=vocabulary, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    BertModel(config).save_pretrained(folder)


def test_a_folder_of_a_multilingual_bert_reads_every_script(tmp_path: Path):
    """A vocabulary of single characters of four scripts, as multilingual models have them among their words."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"红葡萄酒茶чайشايtea"]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(dict.fromkeys(words))}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    marks = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, mask_token="[MASK]", **marks).save_pretrained(tmp_path)
    tiny_bert(tmp_path, 40)
    model = open_backbone(str(tmp_path), "cpu", 16)
    texts = ["红葡萄酒", "茶", "чай", "شاي", "tea", "한국어", "🍵"]
    found = encode_texts(model, texts).matrix
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert len(np.unique(found.round(4), axis=0)) >= 6, "only what the vocabulary does not know may be one"


def test_what_a_folder_lacks_or_holds_wrong_is_named(tmp_path: Path):
    whole = tmp_path / "whole"
    tiny_bert(whole)
    AutoTokenizer.from_pretrained(backbone_path(DEFAULT), local_files_only=True).save_pretrained(whole)

    def broken(name: str) -> Path:
        return Path(shutil.copytree(whole, tmp_path / name))

    (broken("no-weights") / "model.safetensors").unlink()
    cut = broken("cut-weights") / "model.safetensors"
    cut.write_bytes(cut.read_bytes()[:5000])
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (broken("no-words") if file == "tokenizer.json" else tmp_path / "no-words").joinpath(file).unlink()
    (broken("no-json") / "config.json").write_text("{")
    tiny_bert(broken("two-models"), 100)
    T5EncoderModel(T5Config(vocab_size=100, d_model=16, d_kv=8, num_layers=1, num_heads=2, d_ff=16)).save_pretrained(
        broken("t5")
    )
    (broken("picture") / "config.json").write_text(json.dumps({"model_type": "resnet"}))
    (tmp_path / "empty").mkdir()
    for name, error in {
        "no-weights": "no file named model.safetensors",
        "cut-weights": "no language model can be read there",
        "no-words": "its tokenizer knows no words",
        "no-json": "no language model can be read there",
        "two-models": "knows 30522 tokens and its network 100",
        "t5": "a t5 is no architecture that is known here: bert",
        "picture": "a resnet is no architecture",
        "empty": "neither one of bert, gpt, transformer-xl nor a folder",
        "not-there": "neither one of bert, gpt, transformer-xl nor a folder",
    }.items():
        with pytest.raises(InputError, match=error):
            open_backbone(str(tmp_path / name), "cpu")
    assert open_backbone(str(whole), "cpu").encode(["tea"]).shape == (1, 32)


def test_a_folder_without_a_model_is_no_encoder(tmp_path: Path):
    with pytest.raises(InputError, match="no language model can be read"):
        open_encoder(tmp_path, "cpu", 16)


def test_more_frozen_layers_than_there_are_is_refused(each_tiny: Callable[[], SentenceTransformer]):
    with pytest.raises(InputError, match="frozen_layers=7: the backbone has"):
        freeze(each_tiny(), 7)


def test_embeddings_are_frozen_with_the_lowest_layers(each_tiny: Callable[[], SentenceTransformer]):
    model = each_tiny()
    freeze(model, 0)
    assert all(parameter.requires_grad for parameter in model.parameters())
    freeze(model, 1)
    network = model.transformers_model
    assert not network.get_input_embeddings().weight.requires_grad
    stack = layers_of(network)
    assert not any(parameter.requires_grad for parameter in stack[0].parameters())
    assert all(parameter.requires_grad for layer in stack[1:] for parameter in layer.parameters())


def test_every_text_becomes_one_that_a_tokenizer_takes():
    assert readable(["", "tea", "a\ud800b", "红"]) == [" ", "tea", "a?b", "红"]
