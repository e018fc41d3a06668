"""Pre-training: a planted language is learned by every kind of backbone, and perplexity is checked by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from torch import nn

from shopgraph.errors import InputError
from shopgraph.learning.optimiser import OptimiserConfig
from shopgraph.text import pretraining
from shopgraph.text.backbone import open_backbone
from shopgraph.text.encoding import encode_texts
from shopgraph.text.masking import UNLABELLED
from shopgraph.text.pretraining import Predictor, PretrainingConfig, pretrain

COLOURS = ["green", "black", "white", "red", "blue"]
TEXTS = sorted(f"{colour} tea from {place}" for colour in COLOURS for place in ("china", "japan", "india", "kenya"))
"""After every colour comes tea: each next word but two is certain."""
GPT = {"n_embd": 32, "n_layer": 2, "n_head": 2}
XL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
FAST = OptimiserConfig(learning_rate=1e-2, clip_norm=1.0)


def config(steps: int, **more: object) -> PretrainingConfig:
    return PretrainingConfig(steps=steps, batch_texts=8, row_tokens=16, held_out=4, optimiser=FAST, **more)


@pytest.mark.parametrize(("name", "options"), [("gpt", GPT), ("transformer-xl", XL)])
def test_what_is_certain_is_learned_by_a_network_that_reads_on(name: str, options: dict[str, int]):
    model = open_backbone(name, "cpu", 16, options, seed=1)
    found = pretrain(model, TEXTS, config(60), "cpu", seed=1)
    assert found.before > 10_000, "an untrained network guesses among 30,522 tokens"
    assert found.after < 20
    assert found.curve[-1].loss < found.curve[0].loss / 3
    assert len(found.curve) == 60


def test_masked_words_are_learned(tiny: Callable[[], SentenceTransformer]):
    model = tiny()
    found = pretrain(model, TEXTS, config(80, head_steps=2), "cpu", seed=1)
    assert found.after < found.before / 50


def test_the_networks_own_weights_move_and_its_head_is_gone(tiny: Callable[[], SentenceTransformer]):
    model = tiny()
    names = [name for name, _ in model.named_parameters()]
    before = {name: value.clone() for name, value in model.named_parameters()}
    pretrain(model, TEXTS, config(2, head_steps=0), "cpu", seed=1)
    moved = [name for name, value in model.named_parameters() if not torch.equal(value, before[name])]
    assert [name for name, _ in model.named_parameters()] == names
    assert any("word_embeddings" in name for name in moved)
    assert any("layer.0" in name for name in moved)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_new_head_learns_alone_first(tiny: Callable[[], SentenceTransformer], monkeypatch: pytest.MonkeyPatch):
    learning = []

    def train(predictor: Predictor, *arguments: object) -> list[object]:
        learning.append({part.split(".")[0] for part, value in predictor.named_parameters() if value.requires_grad})
        return trained(predictor, *arguments)

    trained = pretraining._train
    monkeypatch.setattr(pretraining, "_train", train)
    untouched, warmed = (
        pretrain(tiny(), TEXTS, config(1, head_steps=steps), "cpu", seed=1).before for steps in (0, 10)
    )
    assert warmed < untouched
    assert learning == [{"network", "head"}, {"head"}, {"network", "head"}]


def test_perplexity_is_the_exponent_of_the_mean_surprise():
    """A network that says the same everywhere, and a head whose odds are known: 3 to 1 for token 1."""

    class Silent(nn.Module):
        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> object:
            states = torch.zeros(*input_ids.shape, 1)
            return type("Read", (), {"last_hidden_state": states})

    head = nn.Linear(1, 2)
    head.bias.data = torch.tensor([0.0, math.log(3)])
    ids = torch.tensor([[0, 1, 1, 0]])
    labels = torch.tensor([[UNLABELLED, 1, 1, 0]])
    for causal in (False, True):
        found = Predictor(Silent(), head, causal)(ids, torch.ones_like(ids), labels)
        surprise = [-math.log(0.75), -math.log(0.75), -math.log(0.25)]
        assert found["surprises"].tolist() == pytest.approx(surprise)
        assert found["loss"].item() == pytest.approx(sum(surprise) / 3)


def test_the_seed_alone_decides_and_no_generator_is_touched(tiny: Callable[[], SentenceTransformer]):
    torch.manual_seed(9)
    np.random.seed(9)
    states = torch.random.get_rng_state(), np.random.get_state()[1].tolist()
    curves = [[record.loss for record in pretrain(tiny(), TEXTS, config(3), "cpu", seed).curve] for seed in (1, 1, 2)]
    assert curves[0] == curves[1] != curves[2]
    assert torch.equal(torch.random.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]


@pytest.mark.parametrize("texts", [[], ["tea"]])
def test_with_nothing_to_judge_by_nothing_is_learned(tiny: Callable[[], SentenceTransformer], texts: list[str]):
    assert pretrain(tiny(), texts, config(3), "cpu", seed=1) is None


def test_odd_texts_are_no_trouble(tiny: Callable[[], SentenceTransformer]):
    texts = ["", " ", "🍷", "\x00\x07", "\ud800", "红葡萄酒", "wine " * 5000, "tea"]
    found = pretrain(tiny(), texts, config(2), "cpu", seed=1)
    assert all(math.isfinite(record.loss) for record in found.curve)


def test_a_diverging_run_says_so(tiny: Callable[[], SentenceTransformer]):
    model = tiny()
    with torch.no_grad():
        model.transformers_model.encoder.layer[1].output.dense.weight.fill_(torch.nan)
    with pytest.raises(InputError, match="pre-train diverged at step 1"):
        pretrain(model, TEXTS, config(2, head_steps=0), "cpu", seed=1)


def test_the_model_still_encodes_after(tiny: Callable[[], SentenceTransformer]):
    model = tiny()
    pretrain(model, TEXTS, config(2), "cpu", seed=1)
    matrix = encode_texts(model, TEXTS).matrix
    assert np.allclose(np.linalg.norm(matrix, axis=1), 1, atol=1e-5)
