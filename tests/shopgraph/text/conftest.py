"""The real backbone, loaded once, and tiny ones of random weights for what only needs the loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from transformers import AutoTokenizer, BertConfig, BertModel

from shopgraph.text.backbone import DEFAULT, backbone_path, open_backbone, open_encoder

TINY = {
    "gpt": {"n_embd": 32, "n_layer": 3, "n_head": 2, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    "transformer-xl": {
        "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64, "dropout": 0.0,
        "segment_tokens": 4, "memory_tokens": 32,
    },
}  # fmt: skip
"""Options of the backbones that are built untrained."""


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_encoder() -> SentenceTransformer:
    """The packaged weights; not to be trained."""
    return open_encoder(backbone_path(DEFAULT), "cpu", 64)


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of 2 layers, 32 wide, without dropout, with the real tokenizer."""
    bare, folder = tmp_path_factory.mktemp("bare"), tmp_path_factory.mktemp("tiny")
    tokenizer = AutoTokenizer.from_pretrained(backbone_path(DEFAULT), local_files_only=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = BertModel(
            BertConfig(
                vocab_size=tokenizer.vocab_size, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
                intermediate_size=64, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
                max_position_embeddings=512,
            )
        )  # fmt: skip
    network.save_pretrained(bare)
    tokenizer.save_pretrained(bare)
    transformer = Transformer(str(bare))
    modules = [transformer, Pooling(transformer.get_embedding_dimension()), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder), create_model_card=False)
    return folder


@pytest.fixture
def tiny(tiny_backbone: Path) -> Callable[[], SentenceTransformer]:
    """Opens a fresh copy of the tiny BERT."""
    return lambda: open_encoder(tiny_backbone, "cpu", 32)


@pytest.fixture(params=["bert", *TINY])
def each_tiny(request: pytest.FixtureRequest, tiny_backbone: Path) -> Callable[[], SentenceTransformer]:
    """Opens a fresh copy of a tiny backbone, of each architecture in turn."""
    name = request.param
    if name == "bert":
        return lambda: open_encoder(tiny_backbone, "cpu", 32)
    return lambda: open_backbone(name, "cpu", 32, TINY[name], seed=1)
