"""Text and graph in one vector: both are heard, a missing one is stood in for, and a kept model is the same model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer

from shopgraph.errors import ConfigurationError, InputError
from shopgraph.text.alignment import Alignment
from shopgraph.text.fusion import aligned_width, fuse, open_fused, save_fused, with_nodes
from shopgraph.text.stages import FusionConfig, fused_input

WIDTH, DIMENSION = 6, 8
FUSIONS = [FusionConfig("late"), FusionConfig("early"), FusionConfig("early", joins=1)]
ODD = ["", " ", "🍷🐶", "\x00\x07\ufffd", "\ud800", "红葡萄酒 red ワイン", "wine " * 5000, "https://shop.example/a.jpg"]


def start(model: SentenceTransformer, config: FusionConfig) -> Alignment:
    random = np.random.default_rng(0)
    read = aligned_width(config, model.get_embedding_dimension(), WIDTH)
    basis = np.linalg.qr(random.normal(size=(read, DIMENSION)))[0].astype(np.float32)
    return Alignment(random.normal(size=read).astype(np.float32) / 10, basis, 1.0)


def vectors(nodes: int = 5) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(nodes, WIDTH)).astype(np.float32)


def fused(backbone: SentenceTransformer, config: FusionConfig) -> SentenceTransformer:
    model = fuse(backbone, config, WIDTH, start(backbone, config)).eval()
    with_nodes(model, vectors())
    return model


@pytest.mark.parametrize("config", FUSIONS, ids=str)
def test_text_and_graph_both_decide(each_tiny: Callable[[], SentenceTransformer], config: FusionConfig):
    """Untrained networks of small weights say nearly the same of all; they are made louder first."""
    backbone = each_tiny()
    with torch.no_grad():
        for name, weight in backbone.named_parameters():
            if weight.ndim > 1 and "embed" not in name and "wte" not in name:
                weight.mul_(5)
    model = fused(backbone, config)
    inputs = [fused_input("tea", 0), fused_input("tea", 3), fused_input("dog food", 0), fused_input("tea")]
    found = model.encode(inputs)
    assert found.shape == (4, DIMENSION)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    for other in (1, 2, 3):
        assert found[0] @ found[other] < 0.9999, other


@pytest.mark.parametrize("config", [FusionConfig("none"), *FUSIONS], ids=str)
def test_a_query_is_a_text_without_a_graph(tiny: Callable[[], SentenceTransformer], config: FusionConfig):
    model = fused(tiny(), config)
    assert np.allclose(model.encode(["green tea"]), model.encode([fused_input("green tea")]), atol=1e-6)


@pytest.mark.parametrize("config", [FusionConfig("none"), *FUSIONS], ids=str)
def test_company_and_order_change_no_vector(each_tiny: Callable[[], SentenceTransformer], config: FusionConfig):
    model = fused(each_tiny(), config)
    inputs = [fused_input("tea", 0), fused_input("a much longer text about tea of all kinds", 2), fused_input("honey")]
    together = model.encode(inputs)
    alone = np.concatenate([model.encode([item]) for item in inputs])
    assert np.allclose(together, alone, atol=1e-5)
    assert np.allclose(model.encode(inputs[::-1])[::-1], together, atol=1e-5)


def test_without_fusion_the_graph_is_not_heard(tiny: Callable[[], SentenceTransformer]):
    model = fused(tiny(), FusionConfig("none"))
    found = model.encode([fused_input("tea", 0), fused_input("tea", 3), fused_input("tea")])
    assert np.allclose(found, found[0], atol=1e-6)


@pytest.mark.parametrize("config", [FusionConfig("none"), *FUSIONS], ids=str)
def test_odd_texts_give_sound_vectors(each_tiny: Callable[[], SentenceTransformer], config: FusionConfig):
    found = fused(each_tiny(), config).encode([fused_input(text, n % 5) for n, text in enumerate(ODD)])
    assert np.isfinite(found).all()
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_early_layers_read_text_alone(tiny: Callable[[], SentenceTransformer]):
    """With the joining layer replaced by nothing, tokens of the text are the same whatever the graph says."""
    model = fused(tiny(), FusionConfig("early", joins=1))
    model.transformers_model.encoder.layer[1] = _Passing()
    features = [model[0](model[0].preprocess([fused_input("tea", node)]))["token_embeddings"] for node in (0, 3)]
    assert torch.equal(features[0][:, 1:], features[1][:, 1:])
    assert not torch.allclose(features[0][:, 0], features[1][:, 0])


class _Passing(torch.nn.Module):
    def forward(self, states: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return states


@pytest.mark.parametrize("kind", ["late", "early"])
def test_graphs_are_dropped_in_training_alone(tiny: Callable[[], SentenceTransformer], kind: str):
    model = fused(tiny(), FusionConfig(kind, dropped=0.5))
    token = model[0].token if kind == "early" else model[2].graph
    graph, has_graph = model[0].named(torch.zeros(400, dtype=torch.int64))
    with torch.no_grad():
        heard = token(graph, has_graph)
        assert torch.allclose(heard, heard[0], atol=1e-6)
        token.train()
        torch.manual_seed(0)
        stood_in = (token(graph, has_graph) == token.absent).all(dim=1).float().mean().item()
    assert 0.4 < stood_in < 0.6


def test_it_starts_as_the_aligned_text_and_graph_beside_each_other(tiny: Callable[[], SentenceTransformer]):
    backbone, config = tiny(), FusionConfig("late")
    texts = ["tea", "dog food"]
    beside = np.hstack([backbone.encode(texts), vectors()[[0, 3]]])
    expected = start(backbone, config)(beside)
    found = fused(backbone, config).encode([fused_input(text, node) for text, node in zip(texts, (0, 3), strict=True)])
    assert np.allclose(found, expected, atol=1e-5)


def test_the_gate_mixes_by_hand(tiny: Callable[[], SentenceTransformer]):
    gated = fused(tiny(), FusionConfig("late"))[2]
    with torch.no_grad():
        gated.gate.bias.fill_(float(np.log(3)))  # 3 parts of text to one of graph
        for linear, place in ((gated.text, 0), (gated.graph.project, 1)):
            linear.weight.zero_()
            linear.bias.zero_()
            linear.weight[place, 0] = 1.0
        text, graph = torch.zeros(1, 32), torch.zeros(1, WIDTH)
        text[0, 0], graph[0, 0] = 5.0, -2.0
        features = {"sentence_embedding": text, "graph": graph, "has_graph": torch.ones(1, 1, dtype=torch.bool)}
        mixed = gated(features)["sentence_embedding"]
    assert mixed[0, :2].tolist() == pytest.approx([0.75, -0.5])
    assert not mixed[0, 2:].any()


@pytest.mark.parametrize("config", [FusionConfig("none"), *FUSIONS], ids=str)
def test_a_kept_model_is_the_same_model(
    each_tiny: Callable[[], SentenceTransformer], config: FusionConfig, tmp_path: Path
):
    model = fused(each_tiny(), config)
    inputs = [fused_input("tea", 0), fused_input("dog food", 4), fused_input("honey")]
    save_fused(model, tmp_path)
    opened = open_fused(tmp_path, "cpu")
    with_nodes(opened, vectors())
    assert np.array_equal(opened.encode(inputs), model.encode(inputs))
    assert opened.max_seq_length == 32


def test_a_damaged_folder_is_named(tiny: Callable[[], SentenceTransformer], tmp_path: Path):
    save_fused(fused(tiny(), FusionConfig("late")), tmp_path)
    file = tmp_path / "fusion.safetensors"
    whole = load_file(file)
    save_file({name: value for name, value in whole.items() if "gate" not in name}, file)
    with pytest.raises(InputError, match="its weights are of another model"):
        open_fused(tmp_path, "cpu")
    save_file({name: value[:3] for name, value in whole.items()}, file)
    with pytest.raises(InputError, match="its weights are of another model"):
        open_fused(tmp_path, "cpu")
    file.write_bytes(b"no weights")
    with pytest.raises(InputError, match="no fused model can be read there"):
        open_fused(tmp_path, "cpu")
    (tmp_path / "fusion.json").unlink()
    with pytest.raises(InputError, match="no fused model can be read there"):
        open_fused(tmp_path, "cpu")


def test_wrong_graph_vectors_are_refused(tiny: Callable[[], SentenceTransformer]):
    model = fused(tiny(), FusionConfig("late"))
    with pytest.raises(InputError, match=r"shape \(3, 7\), expected \(nodes, 6\)"):
        with_nodes(model, np.zeros((3, 7), np.float32))
    wrong = vectors()
    wrong[2, 1] = np.nan
    with pytest.raises(InputError, match="graph vector 2 is not all numbers"):
        with_nodes(model, wrong)


def test_a_token_must_have_a_layer_left(tiny: Callable[[], SentenceTransformer]):
    with pytest.raises(ConfigurationError, match="joins=2: the backbone has 2 layers"):
        fused(tiny(), FusionConfig("early", joins=2))
    with pytest.raises(ConfigurationError, match="choose from none, early, late"):
        FusionConfig("middle")
