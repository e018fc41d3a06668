"""The paper's equations by hand, and what recurrence must and must not change."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModel, AutoModelForCausalLM

from shopgraph.text.transformer_xl import (
    RelativeAttention,
    TransformerXLConfig,
    TransformerXLForCausalLM,
    TransformerXLModel,
    distance_encoding,
)

SMALL = {"vocab_size": 40, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}


def network(**sizes: int) -> TransformerXLModel:
    torch.manual_seed(1)
    model = TransformerXLModel(TransformerXLConfig(**{**SMALL, **sizes})).eval()
    for parameter in model.parameters():  # larger than the small ones of an untrained network, so that positions show
        nn.init.normal_(parameter, std=0.5)
    return model


def tokens(count: int, texts: int = 2) -> torch.Tensor:
    return torch.randint(1, 40, (texts, count), generator=torch.Generator().manual_seed(2))


def test_attention_is_the_papers_four_terms_on_a_case_by_hand():
    """Width 2, one head, one token remembered and two read; every product written out."""
    attention = RelativeAttention(TransformerXLConfig(hidden_size=2, num_attention_heads=1, dropout=0.0))
    weights = {
        "query": [[1.0, 0.0], [0.0, 2.0]],
        "key": [[0.0, 1.0], [1.0, 0.0]],
        "value": [[1.0, 1.0], [0.0, 1.0]],
        "distance": [[1.0, 0.0], [0.0, 0.5]],
        "output": [[1.0, 0.0], [0.0, 1.0]],
    }
    for name, rows in weights.items():
        getattr(attention, name).weight.data = torch.tensor(rows)
    attention.content_bias.data, attention.distance_bias.data = torch.tensor([[0.3, -0.2]]), torch.tensor([[0.1, 0.4]])
    remembered, first, second = (1.0, -1.0), (0.5, 2.0), (-1.0, 1.0)
    context = (remembered, first, second)

    def score(query: tuple[float, float], place: int, other: int) -> float:
        q = (query[0], 2 * query[1])
        k = (context[other][1], context[other][0])
        away = place - other
        r = (math.sin(away), 0.5 * math.cos(away))
        content = (q[0] + 0.3) * k[0] + (q[1] - 0.2) * k[1]
        distance = (q[0] + 0.1) * r[0] + (q[1] + 0.4) * r[1]
        return (content + distance) / math.sqrt(2)

    expected = []
    for place, query in ((1, first), (2, second)):
        weight = [math.exp(score(query, place, other)) for other in range(place + 1)]
        values = [(state[0] + state[1], state[1]) for state in context[: place + 1]]
        total = sum(weight)
        expected.append([sum(w * v[side] for w, v in zip(weight, values, strict=True)) / total for side in (0, 1)])
    allowed = torch.tensor([[[True, True, False], [True, True, True]]])
    found = attention(torch.tensor([[first, second]]), torch.tensor([[remembered]]), allowed)
    assert torch.allclose(found[0], torch.tensor(expected), atol=1e-5)


def test_distances_are_sines_then_cosines():
    found = distance_encoding(torch.tensor([0, 3]), 4)
    assert found[0].tolist() == [0, 0, 1, 1]
    assert torch.allclose(found[1], torch.tensor([math.sin(3), math.sin(0.03), math.cos(3), math.cos(0.03)]))


@pytest.mark.parametrize("segment", [1, 3, 5, 12])
def test_with_memory_enough_segments_do_not_change_what_is_read(segment: int):
    ids = tokens(12)
    whole = network(segment_tokens=12)(ids).last_hidden_state
    parts = network(segment_tokens=segment, memory_tokens=12)(ids).last_hidden_state
    assert torch.allclose(parts, whole, atol=1e-5)


def test_a_call_goes_on_where_the_one_before_ended():
    model, ids = network(segment_tokens=3, memory_tokens=4), tokens(11)
    whole = model(ids)
    first = model(ids[:, :6])
    second = model(ids[:, 6:], memory=first.memory, memory_mask=first.memory_mask)
    assert torch.allclose(second.last_hidden_state, whole.last_hidden_state[:, 6:], atol=1e-5)
    assert torch.allclose(second.memory[1], whole.memory[1], atol=1e-5)


def test_the_past_is_heard_a_memory_further_with_every_layer_and_no_further():
    """Segments of 2 that remember 2: a layer hears one segment back, two layers hear two."""
    model, ids = network(segment_tokens=2, memory_tokens=2), tokens(8)
    other = ids.clone()
    for place, heard in ((3, True), (2, True), (1, False), (0, False)):
        other[:] = ids
        other[:, place] = 40 - ids[:, place]
        same = torch.allclose(model(other).last_hidden_state[:, 6:], model(ids).last_hidden_state[:, 6:], atol=1e-6)
        assert same != heard, place


def test_the_future_is_not_heard():
    model, ids = network(segment_tokens=4, memory_tokens=4), tokens(9)
    other = ids.clone()
    other[:, 6] = 40 - ids[:, 6]
    was, now = (model(each).last_hidden_state for each in (ids, other))
    assert torch.allclose(was[:, :6], now[:, :6], atol=1e-6)
    assert not torch.allclose(was[:, 6:], now[:, 6:], atol=1e-3)


def test_no_gradient_passes_through_memory():
    model, ids = network(segment_tokens=3, memory_tokens=6), tokens(6, texts=1)
    embedded = model.embeddings(ids).detach().requires_grad_()
    model(inputs_embeds=embedded).last_hidden_state[:, 3:].sum().backward()
    assert (embedded.grad[:, :3] == 0).all()
    assert (embedded.grad[:, 3:] != 0).any()


def test_padding_changes_no_text():
    model, ids = network(segment_tokens=3, memory_tokens=6), tokens(5, texts=1)
    padded = torch.cat([ids, torch.zeros(1, 6, dtype=torch.int64)], dim=1)
    mask = (torch.arange(11) < 5).long()[None]
    found = model(padded, attention_mask=mask).last_hidden_state
    assert torch.allclose(found[:, :5], model(ids).last_hidden_state, atol=1e-6)
    assert found.isfinite().all()


def test_the_loss_is_the_mean_surprise_at_the_next_token():
    torch.manual_seed(0)
    model = TransformerXLForCausalLM(TransformerXLConfig(**SMALL, segment_tokens=3)).eval()
    ids = tokens(5)
    labels = ids.clone()
    labels[0, 3:] = -100
    found = model(ids, labels=labels)
    surprise = [
        -found.logits[text, place].log_softmax(-1)[ids[text, place + 1]]
        for text in (0, 1)
        for place in range(4)
        if labels[text, place + 1] != -100
    ]
    assert len(surprise) == 6
    assert torch.isclose(found.loss, torch.stack(surprise).mean())


def test_a_saved_network_reads_the_same_with_and_without_its_head(tmp_path: Path):
    torch.manual_seed(0)
    model = TransformerXLForCausalLM(TransformerXLConfig(**SMALL)).eval()
    model.save_pretrained(tmp_path)
    opened, bare = AutoModelForCausalLM.from_pretrained(tmp_path).eval(), AutoModel.from_pretrained(tmp_path).eval()
    ids = tokens(7)
    assert torch.allclose(opened(ids).logits, model(ids).logits)
    assert torch.allclose(bare(ids).last_hidden_state, model.network(ids).last_hidden_state)
    assert opened.lm_head.weight is opened.network.embeddings.weight


def test_a_planted_rhythm_is_learned_across_segments():
    """The next token repeats the one five before: nothing within a segment of 3 tells it, only memory does."""
    torch.manual_seed(0)
    sizes = {**SMALL, "hidden_size": 32, "intermediate_size": 64, "vocab_size": 12}
    losses = {}
    for memory in (1, 6):
        model = TransformerXLForCausalLM(
            TransformerXLConfig(**sizes, segment_tokens=3, memory_tokens=memory, dropout=0.0)
        )
        optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
        for step in range(200):
            start = torch.randint(1, 12, (32, 5), generator=torch.Generator().manual_seed(step))
            ids = start.repeat(1, 4)
            labels = ids.clone()
            labels[:, :6] = -100
            loss = model(ids, labels=labels).loss
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        losses[memory] = loss.item()
    assert losses[6] < 0.3 * losses[1]


def test_checkpointed_layers_give_the_same_gradient():
    ids, found = tokens(7), []
    for checkpointed in (False, True):
        torch.manual_seed(0)
        model = TransformerXLForCausalLM(TransformerXLConfig(**SMALL, segment_tokens=3, dropout=0.0)).train()
        if checkpointed:
            model.activation_checkpointing_enable()
        model(ids, labels=ids).loss.backward()
        found.append(model.network.layers[0].attention.key.weight.grad)
    assert torch.allclose(*found, atol=1e-6)
    assert (found[0] != 0).any()
