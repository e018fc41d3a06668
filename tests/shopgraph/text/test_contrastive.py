"""Fine-tuning: planted pairs move closer, batches hold no false negatives, the first steps are checked by hand."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sentence_transformers import SentenceTransformer

from shopgraph.errors import InputError
from shopgraph.text.backbone import DEFAULT, backbone_path, open_encoder
from shopgraph.text.contrastive import ContrastiveConfig, batches, fine_tune
from shopgraph.text.encoding import encode_texts

TEXTS = ["red wine", "corkscrew", "puppy food", "dog lead", "green tea", "honey", "razor", "shaving foam"]
PAIRS = np.array([[0, 1], [2, 3], [4, 5], [6, 7]])


def links_of(pairs: np.ndarray, texts: int) -> sp.csr_array:
    rows, columns = np.concatenate([pairs, pairs[:, ::-1]]).T
    return sp.csr_array((np.ones(len(rows), bool), (rows, columns)), shape=(texts, texts))


def test_a_planted_pair_moves_closer_and_becomes_the_nearest():
    """Texts that mean nothing to each other, so that only the pairs can bring them together."""
    pairs = np.array([[0, 2], [1, 6], [3, 4], [5, 7]])
    model = open_encoder(backbone_path(DEFAULT), "cpu", 16)
    before = encode_texts(model, TEXTS).matrix
    config = ContrastiveConfig(steps=30, batch_pairs=4, learning_rate=1e-4)
    curve = fine_tune(model, TEXTS, pairs, links_of(pairs, 8), config, seed=1)
    after = encode_texts(model, TEXTS).matrix
    was, now = before @ before.T - 2 * np.eye(8), after @ after.T - 2 * np.eye(8)
    left, right = pairs.T
    assert (was.argmax(axis=1)[left] != right).all()
    assert (now[left, right] > was[left, right] + 0.1).all()
    assert np.array_equal(now.argmax(axis=1)[left], right)
    assert len(curve) == 30
    assert curve[-1].loss < curve[0].loss / 2


def test_the_first_two_steps_agree_with_hand_arithmetic(tiny: Callable[[], SentenceTransformer]):
    """AdamW with decay w: p <- p (1 - rate w) - rate m / (sqrt(v) + e), m and v without their bias; the rate halves."""
    name, rate, decay = "encoder.layer.1.output.dense.weight", 1e-3, 0.1
    config = ContrastiveConfig(
        steps=2,
        batch_pairs=2,
        learning_rate=rate,
        warmup_share=0,
        weight_decay=decay,
        frozen_layers=1,
        gradient_norm=1e9,
    )
    model, hand = tiny(), tiny()
    drawn = islice(batches(PAIRS, links_of(PAIRS, 8), 2, seed=3), 2)
    fine_tune(model, TEXTS, PAIRS, links_of(PAIRS, 8), config, seed=3)
    first, second = torch.zeros(()), torch.zeros(())
    for step, batch in enumerate(drawn, start=1):
        parameters = dict(hand.transformers_model.named_parameters())
        moved = [key for key in parameters if key.startswith("encoder.layer.1")]
        gradients = torch.autograd.grad(info_nce(hand, batch), [parameters[key] for key in moved])
        with torch.no_grad():
            if step == 1:
                first = [torch.zeros_like(gradient) for gradient in gradients]
                second = [torch.zeros_like(gradient) for gradient in gradients]
            for position, (key, gradient) in enumerate(zip(moved, gradients, strict=True)):
                first[position] = 0.9 * first[position] + 0.1 * gradient
                second[position] = 0.999 * second[position] + 0.001 * gradient**2
                mean, spread = first[position] / (1 - 0.9**step), second[position] / (1 - 0.999**step)
                parameters[key].mul_(1 - rate / step * decay).sub_(rate / step * mean / (spread.sqrt() + 1e-8))
    trained, expected = (dict(m.transformers_model.named_parameters())[name] for m in (model, hand))
    assert torch.allclose(trained, expected, atol=2e-5)
    assert not torch.allclose(trained, dict(tiny().transformers_model.named_parameters())[name], atol=5e-4)


def info_nce(model: SentenceTransformer, batch: np.ndarray) -> torch.Tensor:
    left, right = (model(model.preprocess([TEXTS[row] for row in side]))["sentence_embedding"] for side in batch.T)
    scores = 20.0 * left @ right.T
    target = torch.arange(len(batch))
    cross = torch.nn.functional.cross_entropy
    return (cross(scores, target) + cross(scores.T, target)) / 2


def test_frozen_layers_stay_and_the_others_move(tiny: Callable[[], SentenceTransformer]):
    model, untouched = tiny(), dict(tiny().named_parameters())
    config = ContrastiveConfig(steps=2, batch_pairs=4, frozen_layers=1, warmup_share=0)
    fine_tune(model, TEXTS, PAIRS, links_of(PAIRS, 8), config, seed=3)
    moved = {key for key, value in model.named_parameters() if not torch.equal(value, untouched[key])}
    assert moved
    assert all("layer.1" in key for key in moved)


def test_the_seed_alone_decides(tiny: Callable[[], SentenceTransformer]):
    config = ContrastiveConfig(steps=3, batch_pairs=2, frozen_layers=0)
    torch.manual_seed(99)
    state = torch.random.get_rng_state()
    losses = [
        [record.loss for record in fine_tune(tiny(), TEXTS, PAIRS, links_of(PAIRS, 8), config, seed)]
        for seed in (1, 1, 2)
    ]
    assert losses[0] == losses[1] != losses[2]
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_diverging_run_says_so(tiny: Callable[[], SentenceTransformer]):
    model = tiny()
    with torch.no_grad():
        model.transformers_model.encoder.layer[1].output.dense.weight.fill_(torch.nan)
    with pytest.raises(InputError, match="diverged at step 1"):
        fine_tune(model, TEXTS, PAIRS, links_of(PAIRS, 8), ContrastiveConfig(frozen_layers=0), seed=1)


def test_no_batch_holds_a_text_twice_or_a_linked_negative():
    random = np.random.default_rng(0)
    pairs = np.unique(np.sort(random.integers(0, 60, (200, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    links = links_of(pairs, 60)
    drawn = list(islice(batches(pairs, links, 8, seed=0), 60))
    for batch in drawn:
        assert len(np.unique(batch)) == batch.size
        together = links[batch.ravel()][:, batch.ravel()].toarray()
        assert together.sum() == 2 * len(batch)
    assert max(len(batch) for batch in drawn) > 2


def test_every_pair_comes_once_a_pass():
    first_pass = np.concatenate(list(islice(batches(PAIRS, links_of(PAIRS, 8), 2, seed=0), 2)))
    assert np.array_equal(np.unique(np.sort(first_pass, axis=1), axis=0), PAIRS)


@pytest.mark.parametrize("pairs", [np.empty((0, 2), int), np.array([[0, 1]]), np.array([[0, 1], [1, 2], [0, 2]])])
def test_without_a_negative_there_is_no_training(tiny: Callable[[], SentenceTransformer], pairs: np.ndarray):
    assert fine_tune(tiny(), TEXTS, pairs, links_of(pairs, 8), ContrastiveConfig(frozen_layers=0), seed=1) == []
