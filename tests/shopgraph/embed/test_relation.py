"""Brands withheld from some products come back right; scores and ranks by hand; held-out triples stay out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
import torch

from shopgraph.dataset.snapshot import Snapshot
from shopgraph.embed.encoders import build_encoder
from shopgraph.embed.message_graph import MessageGraphs
from shopgraph.embed.relation import (
    RelationConfig,
    RelationEmbedding,
    RelationModel,
    complete,
    hidden,
    learn_relation,
    learn_relations,
    stated_besides,
)
from shopgraph.embed.training import encode
from shopgraph.embed.triples import Triples, completion_figures
from shopgraph.errors import ConfigurationError, InputError
from shopgraph.evaluation import NO_ITEM
from shopgraph.learning.loop import LoopConfig
from shopgraph.learning.optimiser import OptimiserConfig

WITHHELD = np.array([1, 3, 5, 7, 8, 10])
"""Four shoes and two books: books are the most frequent brand of the rest."""
QUICK = RelationConfig(triples_per_batch=2, held_share=0.25, loop=LoopConfig(epochs=12, patience=12, metric="mrr"))


def without_brands(snapshot: Snapshot, rows: np.ndarray = WITHHELD) -> Snapshot:
    made_by = snapshot.relations["MADE_BY"]
    kept = made_by.filter(~np.isin(made_by["start"].to_numpy(), rows))
    return replace(snapshot, relations={**snapshot.relations, "MADE_BY": kept})


def encoded(snapshot: Snapshot, relation: str = "MADE_BY") -> dict[str, np.ndarray]:
    graphs = MessageGraphs(snapshot, 14, 20.0, 0)
    graph = hidden(graphs.before(graphs.end_ms), relation)
    return encode(build_encoder("graphsage", {}, graph.shape, 16, seed=0), graph)


def learned(snapshot: Snapshot, folder: Path, config: RelationConfig = QUICK, seed: int = 0) -> RelationEmbedding:
    return learn_relation("MADE_BY", encoded(snapshot)["product"], snapshot, config, seed, folder)


@pytest.mark.parametrize("form", ["translation", "diagonal"])
def test_a_withheld_brand_is_completed_and_beats_the_most_frequent(planted: Any, tmp_path: Path, form: str) -> None:
    snapshot = without_brands(planted()[0])
    relation = learned(snapshot, tmp_path, replace(QUICK, form=form))
    found = complete(relation, encoded(snapshot)["product"], depth=3)
    truth = WITHHELD % 2  # the brands' rows: books, then shoes
    most_frequent = np.bincount(snapshot.relations["MADE_BY"]["end"].to_numpy()).argmax()
    assert found.heads.tolist() == WITHHELD.tolist()
    assert found.tails[:, 0].tolist() == truth.tolist()
    assert (truth == most_frequent).mean() == pytest.approx(1 / 3)
    assert (found.tails[:, 2] == NO_ITEM).all()
    assert (found.scores[:, 2] == 0).all()
    assert np.allclose(found.scores.sum(axis=1), 1.0, atol=1e-5)
    assert found.scores.min() >= 0
    assert relation.metrics["mrr"] > relation.metrics["frequent.mrr"]
    assert relation.vector.shape == (16,)


def test_what_else_is_stated_completes_where_vectors_say_nothing(planted: Any, tmp_path: Path) -> None:
    snapshot = without_brands(planted()[0])
    kinds = pa.Table.from_pylist([{"id": "page"}, {"id": "sole"}], schema=snapshot.nodes["Attribute"].schema)
    rows = np.arange(24)
    told = pa.table({"start": rows, "end": rows % 2}, schema=snapshot.relations["HAS_ATTRIBUTE"].schema)
    snapshot = replace(
        snapshot,
        nodes={**snapshot.nodes, "Attribute": kinds},
        relations={**snapshot.relations, "HAS_ATTRIBUTE": told},
    )
    same = np.tile(np.eye(16, dtype=np.float32)[0], (24, 1))
    best = {
        context: complete(
            learn_relation("MADE_BY", same, snapshot, replace(QUICK, context=context), 0, tmp_path / str(context)), same
        ).tails[:, 0]
        for context in (True, False)
    }
    assert best[True].tolist() == (WITHHELD % 2).tolist()
    assert len(set(best[False].tolist())) == 1


def test_known_tails_are_never_completed(planted: Any, tmp_path: Path) -> None:
    snapshot = without_brands(planted()[0])
    vectors = encoded(snapshot)["product"]
    found = complete(learned(snapshot, tmp_path), vectors, np.array([0, 2, 9]), depth=2)
    assert found.tails.tolist() == [[1, NO_ITEM], [1, NO_ITEM], [0, NO_ITEM]]
    assert found.scores.tolist() == [[1, 0]] * 3
    assert complete(learned(planted()[0], tmp_path / "whole"), vectors).tails.shape == (0, 5)


def test_scores_by_hand() -> None:
    tails, bias = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([0.5, 0.0])
    heads, context = torch.tensor([[0.5, 1.0]]), sp.csr_array(np.array([[True, True, False]]))
    added = [[0.2, 0.0], [0.4, 0.4], [9.0, 9.0]]  # mean of the first two: (0.3, 0.2)
    for form, expected in (
        ("translation", [2 * (0.9 - 0.5) + 0.5, 2 * (1.0 * 2 - 2.0)]),  # x + r = (0.9, 1.0)
        ("diagonal", [2 * 0.08 + 0.5, 2 * -0.48]),  # x * r = (0.08, -0.24)
    ):
        model = RelationModel(form, tails, bias, 3)
        with torch.no_grad():
            model.described.copy_(torch.tensor(added))
            model.vector.copy_(torch.tensor([0.1, -0.2]))
            model.log_scale.copy_(torch.tensor(2.0).log())
            found = model(model.pointed(heads, context))
            assert np.allclose(found, [expected], atol=1e-6)
            assert np.allclose(model(model.pointed(heads, context), torch.tensor([1])), [expected[1:]], atol=1e-6)


def test_filtered_ranks_by_hand() -> None:
    stated = sp.csr_array(np.array([[1, 1, 0, 0], [0, 0, 1, 0]], dtype=bool))
    held = Triples("HAS_ATTRIBUTE", np.array([0, 1]), np.array([1, 2]), np.arange(4), stated)
    scores = np.array([[9.0, 5.0, 6.0, 1.0], [2.0, 2.0, 2.0, 1.0]])
    figures = completion_figures(lambda rows: scores[rows].copy(), held)
    # head 0: tail 0 is its own other one and leaves, 6 beats 5, rank 2; head 1: ranks 1, 2 and 3 shared, rank 2
    assert figures == {"mrr": 0.5, "hits@1": 0.0, "hits@10": 1.0}


def test_held_out_triples_teach_nothing(planted: Any, tmp_path: Path) -> None:
    """Another truth of the held-out ones changes how they are judged, and no parameter."""
    snapshot = planted()[0]
    kept, held = Triples.of(snapshot, "MADE_BY").parted(QUICK.held_share, QUICK.held_most, 0)
    assert len(kept) == 18
    assert not set(kept.head) & set(held.head)
    assert kept.stated[held.head].nnz == 0
    made_by = snapshot.relations["MADE_BY"]
    ends = made_by["end"].to_numpy().copy()
    ends[held.head] = 1 - ends[held.head]
    lied = replace(snapshot, relations={**snapshot.relations, "MADE_BY": made_by.set_column(1, "end", [ends])})
    config = replace(QUICK, loop=LoopConfig(epochs=1, metric="mrr"))
    one, other = (learned(x, tmp_path / name, config) for x, name in ((snapshot, "one"), (lied, "other")))
    assert one.metrics["mrr"] > other.metrics["mrr"]
    assert np.array_equal(one.vector, other.vector)
    assert np.array_equal(one.tails, other.tails)


def test_a_hidden_relation_leaves_no_trace(planted: Any) -> None:
    snapshot = planted()[0]
    assert np.array_equal(encoded(snapshot)["product"], encoded(without_brands(snapshot))["product"])


def test_same_seed_same_result_whatever_the_order(planted: Any, tmp_path: Path) -> None:
    snapshot = planted()[0]
    turned = snapshot.relations["MADE_BY"].take(np.random.default_rng(1).permutation(24))
    shuffled = replace(snapshot, relations={**snapshot.relations, "MADE_BY": turned})
    vectors = encoded(snapshot)["product"]
    first, again, other = (
        learn_relation("MADE_BY", vectors, x, QUICK, seed, tmp_path / name)
        for x, seed, name in ((snapshot, 0, "first"), (shuffled, 0, "again"), (snapshot, 1, "other"))
    )
    assert np.array_equal(first.vector, again.vector)
    assert np.array_equal(first.tails, again.tails)
    assert not np.array_equal(first.vector, other.vector)


def test_sampled_tails_learn_as_well(planted: Any, tmp_path: Path) -> None:
    snapshot = without_brands(planted()[0])
    relation = learned(snapshot, tmp_path, replace(QUICK, pool=1))
    found = complete(relation, encoded(snapshot)["product"])
    assert found.tails[:, 0].tolist() == (WITHHELD % 2).tolist()


def test_every_relation_of_the_catalogue_that_states_anything(planted: Any, tmp_path: Path) -> None:
    snapshot = planted()[0]
    found = learn_relations(lambda name: encoded(snapshot, name), snapshot, QUICK, 0, tmp_path)
    assert list(found) == ["MADE_BY"]


def test_purchases_since_a_moment(planted: Any, tmp_path: Path) -> None:
    snapshot = planted()[0]
    graphs = MessageGraphs(snapshot, 14, 20.0, 0)
    moment = graphs.end_ms - 8 * 7 * 24 * 3600 * 1000
    graph = graphs.before(moment)
    vectors = encode(build_encoder("graphsage", {}, graph.shape, 16, seed=0), graph)["user"]
    relation = learn_relation("PURCHASED", vectors, snapshot, QUICK, 0, tmp_path, since_ms=moment)
    best = complete(relation, vectors, np.arange(24), depth=1).tails[:, 0]
    assert (best % 2 == np.arange(24) % 2).all()
    with pytest.raises(InputError, match="PURCHASED happens in time"):
        Triples.of(snapshot, "PURCHASED")


def test_what_cannot_be_learned_is_said(planted: Any, tmp_path: Path) -> None:
    snapshot = planted()[0]
    vectors = encoded(snapshot)["product"]
    books_alone, nothing = without_brands(snapshot, np.arange(1, 24, 2)), without_brands(snapshot, np.arange(24))
    with pytest.raises(InputError, match="12 statements to learn from and 1 tails"):
        learned(books_alone, tmp_path)
    with pytest.raises(InputError, match="0 statements"):
        learned(nothing, tmp_path)
    broken = vectors.copy()
    broken[4, 0] = np.nan
    with pytest.raises(InputError, match="not finite, the first in row 4"):
        learn_relation("MADE_BY", broken, snapshot, QUICK, 0, tmp_path)
    with pytest.raises(InputError, match="there are 24 of them"):
        learn_relation("MADE_BY", vectors[:5], snapshot, QUICK, 0, tmp_path)
    relation = learned(snapshot, tmp_path)
    with pytest.raises(InputError, match="not finite"):
        complete(relation, broken)
    with pytest.raises(InputError, match="run with another vectors"):
        learn_relation("MADE_BY", vectors + 1, snapshot, QUICK, 0, tmp_path)
    with pytest.raises(ConfigurationError, match="form 'rotation'"):
        RelationConfig(form="rotation")
    with pytest.raises(ConfigurationError, match="held_share"):
        RelationConfig(held_share=0.0)


def test_the_first_two_steps_are_those_of_plain_descent(planted: Any, tmp_path: Path) -> None:
    snapshot = planted()[0]
    vectors = encoded(snapshot)["product"]
    plain = OptimiserConfig(name="sgd", learning_rate=0.1, clip_norm=1e9)
    config = replace(QUICK, triples_per_batch=24, optimiser=plain, loop=LoopConfig(epochs=2, metric="mrr"))
    triples, _ = Triples.of(snapshot, "MADE_BY").parted(config.held_share, config.held_most, 0)
    truth, x = np.eye(2)[triples.tail], vectors[triples.head].astype(np.float64)
    total = truth.T @ x
    t, r = total / np.linalg.norm(total, axis=1, keepdims=True), np.zeros(16)
    turn, b, scale = np.eye(16), np.log(truth.sum(axis=0) + 0.5), 20.0
    for _ in range(2):
        q = x @ turn + r
        nearness = q @ t.T - (t**2).sum(axis=1) / 2
        logits = scale * nearness + b
        chance = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = (chance / chance.sum(axis=1, keepdims=True) - truth) / len(x)
        towards = scale * error @ t
        moved = scale * (error.T @ q - error.sum(axis=0)[:, None] * t)
        widened = scale * (error * nearness).sum()
        t, r, turn = t - 0.1 * moved, r - 0.1 * towards.sum(axis=0), turn - 0.1 * x.T @ towards
        b, scale = b - 0.1 * error.sum(axis=0), scale * np.exp(-0.1 * widened)
    relation = learned(snapshot, tmp_path, config)
    last = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]
    assert np.allclose(last["vector"], r, atol=1e-4)
    assert np.allclose(last["tails"], t, atol=1e-4)
    assert np.allclose(last["bias"], b, atol=1e-4)
    assert len(relation.curve) == 2


def test_the_context_holds_everything_but_the_answer(planted: Any) -> None:
    snapshot = planted()[0]
    assert stated_besides(snapshot, "MADE_BY").shape == (24, 0)
    assert stated_besides(snapshot, "HAS_ATTRIBUTE").toarray().argmax(axis=1).tolist() == [0, 1] * 12
