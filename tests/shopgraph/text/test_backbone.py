"""The real weights: meaning, odd texts, and no network."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from shopgraph.errors import InputError
from shopgraph.text.backbone import DEFAULT, backbone_path, freeze, open_encoder
from shopgraph.text.encoding import encode_texts


def test_red_wine_is_closer_to_white_wine_than_to_dog_food(real_encoder: SentenceTransformer):
    red, white, dog = encode_texts(real_encoder, ["red wine", "white wine", "dog food"]).matrix
    assert red @ white > red @ dog + 0.2


def test_odd_texts_give_sound_unit_vectors(real_encoder: SentenceTransformer):
    texts = ["", "wine " * 20_000, "🍷🐶🧀", "红葡萄酒，干型", "\x00\x07\ufffd", "'; DROP TABLE x; --"]
    matrix = encode_texts(real_encoder, texts).matrix
    assert np.isfinite(matrix).all()
    assert np.allclose(np.linalg.norm(matrix, axis=1), 1, atol=1e-5)


def test_a_text_is_encoded_alike_alone_and_among_others(real_encoder: SentenceTransformer):
    texts = ["tea", "a much longer text about dog food for puppies of large breeds", "red wine"]
    together = encode_texts(real_encoder, texts).matrix
    alone = np.concatenate([encode_texts(real_encoder, [text]).matrix for text in texts])
    assert np.allclose(together, alone, atol=1e-5)


def test_no_network_is_touched(monkeypatch: pytest.MonkeyPatch):
    def refuse(*arguments: object) -> None:
        raise AssertionError(f"a connection was tried: {arguments}")

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for owner, name in ((socket.socket, "connect"), (socket.socket, "connect_ex"), (socket, "getaddrinfo")):
        monkeypatch.setattr(owner, name, refuse)
    encode_texts(open_encoder(backbone_path(DEFAULT), "cpu", 16), ["tea"])


def test_an_unknown_backbone_is_named(tmp_path: Path):
    with pytest.raises(InputError, match="neither minilm-l6 nor a folder"):
        backbone_path(str(tmp_path))
    with pytest.raises(InputError, match="no language model can be read"):
        open_encoder(tmp_path, "cpu", 16)


def test_more_frozen_layers_than_there_are_is_refused(real_encoder: SentenceTransformer):
    with pytest.raises(InputError, match="has 6 layers"):
        freeze(real_encoder, 7)
