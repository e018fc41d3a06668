"""A compiled model reads as the model itself does, and takes over only where it can and is worth it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from shopgraph.text import compiled as module
from shopgraph.text import encoding
from shopgraph.text.compiled import BATCH_TEXTS, CompiledReader, compiled
from shopgraph.text.encoding import encode_texts
from shopgraph.text.fusion import read_together, with_nodes
from shopgraph.text.stages import ABSENT, FusionConfig, fused_input

TEXTS = ["tea", "", "  a longer text about green tea ", "红葡萄酒", "🍷", "\ud800", "wine " * 500, "tea and wine"]
MANY = [f"{text} {number}" for number in range(BATCH_TEXTS // 2) for text in TEXTS]


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few texts."""
    monkeypatch.setattr(module, "LEAST_TEXTS", 1)


def test_real_weights_say_the_same(real_encoder: SentenceTransformer, eager: None):
    exact = real_encoder.encode(encoding.readable(TEXTS))
    found = encode_texts(real_encoder, TEXTS).matrix
    assert np.abs(found - exact).max() < 1e-5
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("unit", [True, False])
def test_each_architecture_that_can_be_compiled_says_the_same(
    each_tiny: Callable[[], SentenceTransformer], eager: None, unit: bool, monkeypatch: pytest.MonkeyPatch
):
    model = each_tiny()
    reading = SentenceTransformer(modules=list(model)[:2], device="cpu")
    found = encode_texts(reading, MANY, unit=unit).matrix
    monkeypatch.setattr(module, "LEAST_TEXTS", 10_000)
    exact = encode_texts(reading, MANY, unit=unit).matrix
    assert np.abs(found - exact).max() < 1e-5


def test_a_network_that_reads_in_segments_is_not_compiled(each_tiny: Callable[[], SentenceTransformer], eager: None):
    model = each_tiny()
    segmented = "TransformerXL" in type(model[0].model).__name__
    assert (compiled(model, TEXTS) is None) == segmented


@pytest.mark.parametrize("kind", ["none", "early", "late"])
def test_texts_meet_the_graph_as_they_do_in_the_model(
    tiny: Callable[[], SentenceTransformer], eager: None, kind: str, monkeypatch: pytest.MonkeyPatch
):
    model = read_together(tiny(), FusionConfig(kind), 6).eval()
    with_nodes(model, np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32))
    inputs = [fused_input("tea", 0), fused_input("tea", 1), fused_input("red wine", 1), fused_input("tea", ABSENT)]
    found = encode_texts(model, [*inputs, "tea"]).matrix
    assert compiled(model, inputs) is not None
    monkeypatch.setattr(module, "LEAST_TEXTS", 10_000)
    assert np.abs(found - encode_texts(model, [*inputs, "tea"]).matrix).max() < 1e-5
    assert np.abs(found[3] - found[4]).max() < 1e-5
    assert (np.abs(found[0] - found[1]).max() > 1e-3) == (kind == "early")


def test_it_is_compiled_once_for_what_is_not_kept(
    tiny: Callable[[], SentenceTransformer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "LEAST_TEXTS", 5)
    monkeypatch.setattr(encoding, "CHUNK_TEXTS", 4)
    built = []
    monkeypatch.setattr(CompiledReader, "__init__", spied(CompiledReader.__init__, built))
    whole = encode_texts(tiny(), TEXTS, folder=tmp_path)
    assert (len(built), whole.fresh) == (1, len(TEXTS))
    (tmp_path / "chunk-0000004.npy").unlink()
    again = encode_texts(tiny(), TEXTS, folder=tmp_path)
    assert (len(built), again.fresh) == (1, 4), "four texts are too few"
    assert np.abs(again.matrix - whole.matrix).max() < 1e-5


def test_what_onnx_cannot_say_is_read_by_torch(
    tiny: Callable[[], SentenceTransformer], eager: None, monkeypatch: pytest.MonkeyPatch
):
    def refused(*_: object, **__: object) -> None:
        raise torch.onnx.OnnxExporterError("no such operator")

    monkeypatch.setattr(module, "write_network", refused)
    model = tiny()
    assert compiled(model, TEXTS) is None
    assert np.isfinite(encode_texts(model, TEXTS).matrix).all()


def spied(method: Callable[..., None], calls: list[object]) -> Callable[..., None]:
    def called(*given: object) -> None:
        calls.append(given)
        method(*given)

    return called
