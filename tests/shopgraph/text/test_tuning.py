"""Fine-tuning: planted pairs move closer, batches hold no false negatives, the first steps are checked by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sentence_transformers import SentenceTransformer
from transformers import TrainingArguments

from shopgraph.errors import ConfigurationError, InputError
from shopgraph.learning.adversarial import AdversarialConfig
from shopgraph.learning.optimiser import OptimiserConfig
from shopgraph.text.alignment import Alignment
from shopgraph.text.backbone import DEFAULT, backbone_path, open_encoder
from shopgraph.text.fusion import aligned_width, fuse, with_nodes
from shopgraph.text.lora import LoraConfig, adapt, load_adapters, merge, save_adapters, trained_share
from shopgraph.text.stages import FusionConfig, fused_input
from shopgraph.text.trainer import training_arguments
from shopgraph.text.tuning import BOUGHT, RANKED, Examples, TuningConfig, batches, tune

TEXTS = ["red wine", "corkscrew", "puppy food", "dog lead", "green tea", "honey", "razor", "shaving foam"]
ITEMS = [fused_input(text) for text in TEXTS]
PAIRS = np.array([[0, 1], [2, 3], [4, 5], [6, 7]])
PLANTED = np.array([[0, 2], [1, 6], [3, 4], [5, 7]])
"""Texts that mean nothing to each other, so that only the pairs can bring them together."""
Open = Callable[[], SentenceTransformer]


def links_of(pairs: np.ndarray, items: int) -> sp.csr_array:
    rows, columns = np.concatenate([pairs, pairs[:, ::-1]]).T
    return sp.csr_array((np.ones(len(rows), bool), (rows, columns)), shape=(items, items))


def ranked(pairs: np.ndarray = PAIRS) -> list[Examples]:
    return [Examples(RANKED, ITEMS, pairs, links_of(pairs, len(ITEMS)))]


def steady(rate: float, **more: float) -> OptimiserConfig:
    return OptimiserConfig(learning_rate=rate, clip_norm=1.0, **more)


def fused(backbone: SentenceTransformer, kind: str = "none", nodes: int = 12) -> SentenceTransformer:
    read = aligned_width(FusionConfig(kind), backbone.get_embedding_dimension(), 6)
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(read, 16)))[0].astype(np.float32)
    model = fuse(backbone, FusionConfig(kind), 6, Alignment(np.zeros(read, np.float32), basis, 1.0))
    with_nodes(model, np.random.default_rng(1).normal(size=(nodes, 6)).astype(np.float32))
    return model


def nearest_after(model: SentenceTransformer) -> np.ndarray:
    found = model.encode(ITEMS)
    return (found @ found.T - 2 * np.eye(len(found))).argmax(axis=1)


def test_a_planted_pair_moves_closer_and_becomes_the_nearest():
    model = fused(open_encoder(backbone_path(DEFAULT), "cpu", 16))
    left, right = PLANTED.T
    before = model.encode(ITEMS)
    assert (nearest_after(model)[left] != right).all()
    config = TuningConfig(steps=30, batch_pairs=4, frozen_layers=3, head_learning_rate=1e-3, optimiser=steady(1e-4))
    curve = tune(model, ranked(PLANTED), config, "cpu", seed=1)
    after = model.encode(ITEMS)
    assert ((after[left] * after[right]).sum(axis=1) > (before[left] * before[right]).sum(axis=1) + 0.1).all()
    assert np.array_equal(nearest_after(model)[left], right)
    assert len(curve) == 30
    assert curve[-1].loss < curve[0].loss / 2


@pytest.mark.parametrize("kind", ["none", "late", "early"])
def test_every_backbone_learns_planted_pairs_with_and_without_a_graph(each_tiny: Open, kind: str):
    model = fused(each_tiny(), kind)
    examples = [replace(ranked(PLANTED)[0], items=[{**item, "node": n % 3 - 1} for n, item in enumerate(ITEMS)])]
    config = TuningConfig(steps=60, batch_pairs=4, frozen_layers=0, optimiser=steady(3e-3))
    curve = tune(model, examples, config, "cpu", seed=1)
    assert np.mean([record.loss for record in curve[-5:]]) < 0.5 * curve[0].loss


def test_the_graph_alone_can_tell_products_whose_texts_are_one(tiny: Open):
    """Four products of one text, four others, their graph vectors orthogonal: only the graph tells the pairs."""
    for kind in ("early", "late"):
        model = fused(tiny(), kind)
        with_nodes(model, np.eye(6, dtype=np.float32)[[0, 1, 2, 3, 0, 1, 2, 3]])
        items = [fused_input("tea" if n < 4 else "cup", n) for n in range(8)]
        pairs = np.array([[n, n + 4] for n in range(4)])
        config = TuningConfig(steps=80, batch_pairs=4, frozen_layers=0, optimiser=steady(5e-3))
        tune(model, [Examples(RANKED, items, pairs, links_of(pairs, 8))], config, "cpu", seed=1)
        found = model.encode(items)
        assert (found[:4] @ found[4:].T).argmax(axis=1).tolist() == [0, 1, 2, 3], kind


def test_the_first_two_steps_agree_with_hand_arithmetic(tiny: Open):
    """AdamW with decay w: p <- p (1 - rate w) - rate m / (sqrt(v) + e), m and v without their bias."""
    name, rate, decay = "encoder.layer.1.output.dense.weight", 1e-3, 0.1
    config = TuningConfig(
        steps=2,
        batch_pairs=2,
        frozen_layers=1,
        head_learning_rate=10 * rate,
        optimiser=OptimiserConfig(learning_rate=rate, weight_decay=decay, clip_norm=1e9),
    )
    model, hand = fused(tiny()), fused(tiny()).train()
    tune(model, ranked(), config, "cpu", seed=3)
    parameters = {key: value for key, value in hand.named_parameters() if "layer.1" in key or "linear" in key}
    first = {key: torch.zeros_like(value) for key, value in parameters.items()}
    second = {key: torch.zeros_like(value) for key, value in parameters.items()}
    for step, numbers in enumerate(islice(batches(PAIRS, links_of(PAIRS, 8), 2, seed=3), 2), start=1):
        gradients = torch.autograd.grad(info_nce(hand, PAIRS[numbers]), list(parameters.values()))
        with torch.no_grad():
            for (key, value), gradient in zip(parameters.items(), gradients, strict=True):
                first[key] = 0.9 * first[key] + 0.1 * gradient
                second[key] = 0.999 * second[key] + 0.001 * gradient**2
                mean, spread = first[key] / (1 - 0.9**step), second[key] / (1 - 0.999**step)
                decayed = decay if value.ndim > 1 else 0.0
                own_rate = rate if "layer.1" in key else 10 * rate  # of the projection
                value.mul_(1 - own_rate * decayed).sub_(own_rate * mean / (spread.sqrt() + 1e-8))
    trained, expected = (m.transformers_model.get_parameter(name) for m in (model, hand))
    assert torch.allclose(trained, expected, atol=2e-5)
    assert torch.allclose(model[3].linear.weight, hand[3].linear.weight, atol=2e-4)
    assert not torch.allclose(model[3].linear.weight, fused(tiny())[3].linear.weight, atol=5e-3)
    assert not torch.allclose(trained, fused(tiny()).transformers_model.get_parameter(name), atol=5e-4)


def info_nce(hand: SentenceTransformer, pairs: np.ndarray) -> torch.Tensor:
    left, right = (hand(hand.preprocess([ITEMS[row] for row in side]))["sentence_embedding"] for side in pairs.T)
    scores = 20.0 * left @ right.T
    target = torch.arange(len(pairs))
    cross = torch.nn.functional.cross_entropy
    return (cross(scores, target) + cross(scores.T, target)) / 2


def test_accumulated_micro_batches_are_one_step(tiny: Open):
    """Two micro-batches of two pairs give the mean of their gradients: by sgd one step along it."""
    name, rate = "encoder.layer.1.output.dense.weight", 0.1
    config = TuningConfig(
        steps=1,
        batch_pairs=2,
        frozen_layers=0,
        optimiser=OptimiserConfig(name="sgd", learning_rate=rate, accumulate=2, clip_norm=1e9),
    )
    model, hand = fused(tiny()), fused(tiny()).train()
    curve = tune(model, ranked(), config, "cpu", seed=3)
    assert len(curve) == 1
    weight = hand.transformers_model.get_parameter(name)
    drawn = list(islice(batches(PAIRS, links_of(PAIRS, 8), 2, seed=3), 2))
    gradients = [torch.autograd.grad(info_nce(hand, PAIRS[numbers]), weight)[0] for numbers in drawn]
    moved = model.transformers_model.get_parameter(name)
    assert torch.allclose(moved, weight - rate * (gradients[0] + gradients[1]) / 2, atol=1e-6)


def test_a_whole_frozen_backbone_stays_and_what_is_on_top_moves(tiny: Open):
    model = fused(tiny())
    before = {name: value.clone() for name, value in model.named_parameters()}
    tune(model, ranked(), TuningConfig(steps=2, batch_pairs=4, optimiser=steady(1e-3)), "cpu", seed=3)
    moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert moved == {"3.linear.weight", "3.linear.bias"}


def test_frozen_layers_stay_and_the_others_move(tiny: Open):
    model, untouched = fused(tiny()), dict(fused(tiny()).named_parameters())
    tune(model, ranked(), TuningConfig(steps=2, batch_pairs=4, frozen_layers=1, optimiser=steady(1e-3)), "cpu", seed=3)
    moved = {key for key, value in model.named_parameters() if not torch.equal(value, untouched[key])}
    assert moved
    assert all("layer.1" in key or "linear" in key for key in moved)


def test_the_seed_alone_decides_and_no_generator_is_touched(tiny: Open):
    config = TuningConfig(steps=3, batch_pairs=2, frozen_layers=0, dropout=0.1)
    models = [fused(tiny()) for _ in range(3)]
    torch.manual_seed(99)
    state = torch.random.get_rng_state()
    losses = [
        [record.loss for record in tune(model, ranked(), config, "cpu", seed)]
        for model, seed in zip(models, (1, 1, 2), strict=True)
    ]
    assert losses[0] == losses[1] != losses[2]
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_diverging_run_says_so(tiny: Open):
    model = fused(tiny())
    with torch.no_grad():
        model.transformers_model.encoder.layer[1].output.dense.weight.fill_(torch.nan)
    with pytest.raises(InputError, match="fine-tune diverged at step 1"):
        tune(model, ranked(), TuningConfig(frozen_layers=0), "cpu", seed=1)


@pytest.mark.parametrize("options", [{"checkpointed": True}, {"optimiser": steady(1e-3, accumulate=2)}], ids=str)
def test_ways_of_saving_memory_learn_the_same(tiny: Open, options: dict[str, object]):
    """Layers computed anew give the gradients that kept ones give; two micro-batches are checked above."""
    config = TuningConfig(steps=4, batch_pairs=4, frozen_layers=0, optimiser=steady(1e-3))
    plain, saving = (tune(fused(tiny()), ranked(), each, "cpu", 1) for each in (config, replace(config, **options)))
    assert len(plain) == len(saving) == 4
    if "checkpointed" in options:
        assert [record.loss for record in saving] == pytest.approx([record.loss for record in plain], rel=1e-4)


def test_bf16_learns_nearly_the_same(tiny: Open):
    config = TuningConfig(steps=4, batch_pairs=4, frozen_layers=0, optimiser=steady(1e-3))
    half = replace(config, optimiser=replace(config.optimiser, precision="bf16"))
    plain, halved = (
        [record.loss for record in tune(fused(tiny()), ranked(), each, "cpu", 1)] for each in (config, half)
    )
    assert halved == pytest.approx(plain, rel=0.2)
    assert halved != plain


def test_bf16_is_for_training_alone(tiny: Open):
    """The same weights in another model encode alike: what is read later is not rounded."""
    model, again = fused(tiny(), "early"), fused(tiny(), "early")
    config = TuningConfig(steps=2, batch_pairs=4, frozen_layers=0, optimiser=steady(1e-3, precision="bf16"))
    tune(model, ranked(), config, "cpu", seed=1)
    again.load_state_dict(model.state_dict())
    assert np.allclose(model.encode(ITEMS), again.encode(ITEMS), atol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")
def test_of_several_devices_one_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With all of them, a micro-batch would be as many times as large and its loss no single number."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert training_arguments(TrainingArguments, OptimiserConfig(), 1, 4, tmp_path, "cuda", 7).n_gpu == 1


def test_the_satisfied_count_more(tiny: Open):
    """Two users of one vector bought two products; the one they liked ends nearer."""
    model = fused(tiny(), "late")
    items = [fused_input("green tea"), fused_input("dog lead"), fused_input("", 3), fused_input("", 3)]
    pairs = np.array([[2, 0], [3, 1]])
    links = links_of(pairs, 4)
    found = {}
    for liked in (0, 1):
        model = fused(tiny(), "late")
        satisfaction = np.where(np.arange(2) == liked, 1.0, 0.1).astype(np.float32)
        examples = [Examples(BOUGHT, items, pairs, links, satisfaction=satisfaction)]
        config = TuningConfig(steps=40, batch_pairs=2, frozen_layers=0, optimiser=steady(3e-3))
        tune(model, examples, config, "cpu", seed=1)
        tea, lead, user, _ = model.encode(items)
        found[liked] = user @ tea - user @ lead
    assert found[0] > 0.05
    assert found[1] < -0.05


def test_kinds_take_turns_by_their_shares(tiny: Open):
    told: list[str] = []
    pairs = np.array([[8 + n, n] for n in range(4)])
    items = [*ITEMS, *(fused_input("", n) for n in range(4))]
    bought = Examples(BOUGHT, items, pairs, links_of(pairs, 12), 3.0, np.full(4, 0.5, np.float32))
    config = TuningConfig(steps=40, batch_pairs=4, frozen_layers=0)
    curve = tune(fused(tiny(), "late"), [*ranked(), bought], config, "cpu", 1, lambda *said: told.append(said[0]))
    assert len(curve) == len(told) == 40


def test_fgm_raises_the_loss_that_is_minimised_and_still_learns(tiny: Open):
    config = TuningConfig(steps=30, batch_pairs=4, frozen_layers=0, optimiser=steady(2e-3))
    shaken = replace(config, adversarial=AdversarialConfig("fgsm", epsilon=0.05))
    plain, hard = (tune(fused(tiny()), ranked(), each, "cpu", 1) for each in (config, shaken))
    assert hard[0].loss > 2 * plain[0].loss, "the loss as it is, and the larger one under attack"
    assert hard[-1].loss < hard[0].loss / 2


class TestAdapters:
    CONFIG = TuningConfig(steps=20, batch_pairs=4, lora=LoraConfig(4), optimiser=steady(1e-2))

    def test_few_weights_move_and_the_planted_pairs_are_learned(self, each_tiny: Open):
        model = fused(each_tiny())
        curve = tune(model, ranked(PLANTED), replace(self.CONFIG, steps=60), "cpu", seed=1)
        assert np.mean([record.loss for record in curve[-5:]]) < 0.7 * curve[0].loss

    def test_less_than_a_twentieth_of_the_real_network_is_trained(self):
        model = open_encoder(backbone_path(DEFAULT), "cpu", 16)
        adapt(model.transformers_model, LoraConfig(16), seed=0)
        assert 0 < trained_share(model) < 0.05

    def test_kept_adapters_reloaded_and_merged_are_the_trained_model(self, each_tiny: Open, tmp_path: Path):
        model = fused(each_tiny())
        tune(model, ranked(), self.CONFIG, "cpu", 1, adapters=tmp_path)
        assert not any("lora" in name for name, _ in model.named_parameters())
        assert all(parameter.requires_grad for parameter in model.parameters())
        other = fused(each_tiny())
        adapters = load_adapters(other.transformers_model, tmp_path)
        other[3].load_state_dict(model[3].state_dict())  # the projection is trained beside
        beside = other.encode(ITEMS)
        merge(adapters)
        assert np.allclose(beside, model.encode(ITEMS), atol=1e-5)
        assert np.allclose(other.encode(ITEMS), model.encode(ITEMS), atol=1e-5)

    def test_adapters_of_nothing_change_nothing(self, each_tiny: Open, tmp_path: Path):
        model = each_tiny()
        before = model.encode(TEXTS)
        adapters = adapt(model.transformers_model, LoraConfig(4), seed=0)
        save_adapters(adapters, tmp_path)
        assert np.allclose(model.encode(TEXTS), before, atol=1e-6)
        merge(adapters)
        assert np.allclose(model.encode(TEXTS), before, atol=1e-6)

    def test_a_folder_without_adapters_is_named(self, tiny: Open, tmp_path: Path):
        with pytest.raises(InputError, match="no adapters for this network"):
            load_adapters(tiny().transformers_model, tmp_path)


def test_no_batch_holds_an_item_twice_or_a_linked_negative():
    random = np.random.default_rng(0)
    pairs = np.unique(np.sort(random.integers(0, 60, (200, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    links = links_of(pairs, 60)
    drawn = list(islice(batches(pairs, links, 8, seed=0), 60))
    for numbers in drawn:
        batch = pairs[numbers]
        assert len(np.unique(batch)) == batch.size
        together = links[batch.ravel()][:, batch.ravel()].toarray()
        assert together.sum() == 2 * len(batch)
    assert max(len(numbers) for numbers in drawn) > 2


def test_every_pair_comes_once_a_pass():
    first_pass = np.concatenate(list(islice(batches(PAIRS, links_of(PAIRS, 8), 2, seed=0), 2)))
    assert sorted(first_pass.tolist()) == [0, 1, 2, 3]


@pytest.mark.parametrize("pairs", [np.empty((0, 2), int), np.array([[0, 1]]), np.array([[0, 1], [1, 2], [0, 2]])])
def test_without_a_negative_there_is_no_training(tiny: Open, pairs: np.ndarray):
    assert tune(fused(tiny()), ranked(pairs), TuningConfig(frozen_layers=0), "cpu", seed=1) == []


def test_an_unknown_kind_is_refused():
    with pytest.raises(ConfigurationError, match="choose from ranked, bought"):
        Examples("viewed", ITEMS, PAIRS, links_of(PAIRS, 8))
