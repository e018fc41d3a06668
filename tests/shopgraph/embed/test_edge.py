"""Purchases of the other taste come last and are flagged; vectors, clock and areas by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from shopgraph.dataset.purchases import WEEK_MS, Purchases
from shopgraph.embed.drawing import Drawing, area_under_curve
from shopgraph.embed.edge import (
    TIME_FEATURES,
    YEAR_MS,
    EdgeConfig,
    EdgeModel,
    EdgeScorer,
    Ends,
    edge_vectors,
    judge_edges,
    learn_edges,
)
from shopgraph.embed.encoders import build_encoder
from shopgraph.embed.message_graph import MessageGraphs
from shopgraph.embed.training import encode
from shopgraph.errors import ConfigurationError, InputError
from shopgraph.learning.loop import LoopConfig
from shopgraph.learning.optimiser import OptimiserConfig

QUICK = EdgeConfig(
    hidden=8,
    edges_per_batch=16,
    optimiser=OptimiserConfig(learning_rate=0.02),
    loop=LoopConfig(epochs=10, patience=10, metric="auc"),
)


def laid_out(planted: Any) -> tuple[Ends, Purchases, Any]:
    """Vectors of the graph half way, the purchases after it, and what was withheld."""
    snapshot, holdout = planted()
    graphs = MessageGraphs(snapshot, 14, 20.0, 0)
    moment = graphs.end_ms - 8 * WEEK_MS
    graph = graphs.before(moment)
    found = encode(build_encoder("graphsage", {}, graph.shape, 16, seed=0), graph)
    ends = Ends(found["user"], found["product"], np.zeros(16, np.float32), moment)
    return ends, graphs.purchases.since(moment), holdout


def learned(ends: Ends, edges: Purchases, folder: Path, config: EdgeConfig = QUICK, seed: int = 0) -> EdgeScorer:
    return learn_edges(edges.users, edges.products, edges.times, ends, config, seed, folder)


@pytest.mark.parametrize("hidden", [0, 8])
def test_the_other_taste_comes_last_and_is_flagged(planted: Any, tmp_path: Path, hidden: int) -> None:
    ends, edges, holdout = laid_out(planted)
    scorer = learned(ends, edges, tmp_path, replace(QUICK, hidden=hidden))
    users, own = (
        np.array([int(node[1:]) for node in holdout.purchases[column].to_pylist()]) for column in ("user", "product")
    )
    times = np.full(len(own), ends.moment_ms + 6 * WEEK_MS)
    found, wrong = (judge_edges(scorer, users, products, times, ends) for products in (own, own ^ 1))
    assert area_under_curve(found.scores, wrong.scores) > 0.9
    assert (found.scores > wrong.scores).mean() > 0.9
    assert wrong.odd.mean() > 0.75
    assert found.odd.mean() < 0.15
    bought = np.append(edges.products[edges.users == 0], 1)  # user 0 buys even products
    judged = judge_edges(scorer, np.zeros(len(bought), int), bought, times[: len(bought)], ends)
    assert judged.scores.argmin() == len(bought) - 1
    assert judged.odd[-1]
    assert found.threshold == scorer.threshold
    assert found.scores.min() >= 0
    assert found.scores.max() <= 1
    assert scorer.metrics["auc"] > 0.9


def test_the_threshold_leaves_the_stated_share_of_held_out_purchases_below(planted: Any, tmp_path: Path) -> None:
    ends, edges, _ = laid_out(planted)
    scorer = learned(ends, edges, tmp_path, replace(QUICK, odd_share=0.25))
    order = np.lexsort((edges.products, edges.users, edges.times))
    held = edges.chosen(order[len(edges) - round(0.2 * len(edges)) :])
    found = judge_edges(scorer, held.users, held.products, held.times, ends)
    assert found.threshold == pytest.approx(np.quantile(found.scores, 0.25), abs=1e-6)
    assert 0.15 < found.odd.mean() < 0.35


def test_an_edges_vector_by_hand() -> None:
    moment = 10 * WEEK_MS
    ends = Ends(np.array([[1.0, 2.0]]), np.array([[0.0, 0.0], [3.0, -1.0]]), np.array([0.5, 0.25]), moment)
    at = moment + 3 * WEEK_MS + WEEK_MS // 4
    found = edge_vectors(np.array([0]), np.array([1]), np.array([at]), ends)
    year = 2 * np.pi * at / YEAR_MS
    clock = [np.log(4.25), 1.0, 0.0, np.sin(year), np.cos(year)]
    assert np.allclose(found, [[3.0, -2.0, 1.5, 3.25, 0.5, 0.25, *clock]], atol=1e-6)
    assert found.shape == (1, ends.width)
    assert len(clock) == TIME_FEATURES


def test_a_year_later_is_the_same_time_of_year() -> None:
    ends = Ends(np.ones((1, 2)), np.ones((1, 2)), np.zeros(2), 0)
    rows = np.zeros(2, dtype=int)
    spring, next_spring = edge_vectors(rows, rows, np.array([10 * WEEK_MS, 10 * WEEK_MS + round(YEAR_MS)]), ends)
    assert np.allclose(spring[-2:], next_spring[-2:], atol=1e-6)
    assert next_spring[-5] > spring[-5]


def test_time_beyond_training_counts_as_its_nearest() -> None:
    real = torch.randn(20, 6 + TIME_FEATURES, generator=torch.Generator().manual_seed(0))
    model = EdgeModel(real, 0)
    latest = real[:, 6:].amax(dim=0)
    edge = torch.cat([real[0, :6], latest])[None]
    beyond = torch.cat([real[0, :6], latest + 5.0])[None]
    assert torch.equal(model(edge), model(beyond))
    assert not torch.equal(model(edge), model(edge + torch.tensor([5.0] + [0.0] * (5 + TIME_FEATURES))))


def test_the_area_by_hand() -> None:
    # of six comparisons 0.9 wins three, 0.5 wins one and ties one
    assert area_under_curve(np.array([0.9, 0.5]), np.array([0.1, 0.5, 0.7])) == pytest.approx(4.5 / 6)
    assert area_under_curve(np.array([1.0]), np.array([0.0])) == 1.0
    assert area_under_curve(np.array([0.3]), np.array([0.3])) == 0.5


def test_draws_follow_purchases_and_say_what_was_bought_after_all() -> None:
    bought = Purchases(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 1]), np.zeros(4, int), 2, 3)
    edges = Purchases(np.zeros(6000, int), np.zeros(6000, int), np.zeros(6000, int), 2, 3)
    drawn, fair = Drawing(bought, bought, 1.0)(edges, np.random.default_rng(0))
    assert np.allclose(np.bincount(drawn, minlength=3) / 6000, np.array([4, 2, 1]) / 7, atol=0.03)
    assert np.array_equal(fair, drawn != 0)
    alike, _ = Drawing(bought, bought, 0.0)(edges, np.random.default_rng(0))
    assert np.allclose(np.bincount(alike, minlength=3) / 6000, 1 / 3, atol=0.03)


def test_same_seed_same_result_whatever_the_order(planted: Any, tmp_path: Path) -> None:
    ends, edges, _ = laid_out(planted)
    shuffled = edges.chosen(np.random.default_rng(5).permutation(len(edges)))
    first, again, other = (
        learned(ends, x, tmp_path / name, seed=seed)
        for x, name, seed in ((edges, "first", 0), (shuffled, "again", 0), (edges, "other", 1))
    )
    judged = [judge_edges(x, edges.users, edges.products, edges.times, ends).scores for x in (first, again, other)]
    assert np.array_equal(judged[0], judged[1])
    assert not np.array_equal(judged[0], judged[2])
    assert first.threshold == again.threshold


def test_a_scores_neighbours_in_a_request_change_nothing(planted: Any, tmp_path: Path) -> None:
    ends, edges, _ = laid_out(planted)
    scorer = learned(ends, edges, tmp_path)
    together = judge_edges(scorer, edges.users, edges.products, edges.times, ends).scores
    alone = judge_edges(scorer, edges.users[3:4], edges.products[3:4], edges.times[3:4], ends).scores
    assert np.allclose(together[3:4], alone, atol=1e-6)
    assert judge_edges(scorer, *(x[:0] for x in (edges.users, edges.products, edges.times)), ends).scores.shape == (0,)


def test_later_purchases_than_those_learned_from_change_no_parameter(planted: Any, tmp_path: Path) -> None:
    ends, edges, _ = laid_out(planted)
    latest = edges.times >= np.sort(edges.times)[len(edges) - round(0.2 * len(edges))]
    moved = replace(edges, times=edges.times + latest * 1000)
    config = replace(QUICK, loop=LoopConfig(epochs=1, metric="auc"))
    one, other = learned(ends, edges, tmp_path / "one", config), learned(ends, moved, tmp_path / "other", config)
    for name, parameter in one.model.state_dict().items():
        assert torch.equal(parameter, other.model.state_dict()[name])


def test_the_first_two_steps_are_those_of_plain_descent(planted: Any, tmp_path: Path) -> None:
    """Logistic regression by hand on the same draws."""
    ends, edges, _ = laid_out(planted)
    plain = OptimiserConfig(name="sgd", learning_rate=0.1, clip_norm=1e9)
    config = replace(
        QUICK, hidden=0, drawn=1, edges_per_batch=10_000, optimiser=plain, loop=LoopConfig(epochs=2, metric="auc")
    )
    scorer = learned(ends, edges, tmp_path, config)
    edges = edges.chosen(np.lexsort((edges.products, edges.users, edges.times)))
    kept = edges.chosen(np.arange(len(edges) - round(config.held_share * len(edges))))
    draw = Drawing(edges, kept, config.popularity_power)
    real = edge_vectors(kept.users, kept.products, kept.times, ends)
    centre, spread = real.mean(axis=0), real.std(axis=0)
    spread[spread < 1e-6] = 1.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        first = torch.nn.Linear(ends.width, 1)
    w, b = first.weight.detach().numpy()[0].astype(float), float(first.bias.detach())
    for epoch in (1, 2):
        random = np.random.default_rng([0, epoch])
        turned = kept.chosen(random.permutation(len(kept)))
        products, fair = draw(turned, random)
        both = [edge_vectors(turned.users, x, turned.times, ends) for x in (turned.products, products)]
        x = (np.concatenate(both) - centre) / spread
        truth, weight = np.repeat([1.0, 0.0], len(kept)), np.concatenate([fair, fair])
        error = weight * (1 / (1 + np.exp(-(x @ w + b))) - truth) / weight.sum()
        w, b = w - 0.1 * error @ x, b - 0.1 * error.sum()
    last = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]
    assert np.allclose(last["layers.0.weight"][0], w, atol=1e-4)
    assert np.allclose(last["layers.0.bias"], b, atol=1e-4)
    assert len(scorer.curve) == 2


def test_what_cannot_be_scored_is_said(planted: Any, tmp_path: Path) -> None:
    ends, edges, _ = laid_out(planted)
    with pytest.raises(InputError, match="0 purchases at or after the vectors' moment"):
        learned(ends, edges.chosen(np.arange(0)), tmp_path)
    late = replace(ends, moment_ms=int(edges.times.max()) + 1)
    with pytest.raises(InputError, match=f"{len(edges)} edges happened before the moment of the vectors"):
        learned(late, edges, tmp_path)
    broken = ends.products.copy()
    broken[2, 0] = np.inf
    with pytest.raises(InputError, match="1 Product vectors are not finite, the first in row 2"):
        replace(ends, products=broken)
    with pytest.raises(InputError, match="need one width"):
        replace(ends, relation=np.zeros(3))
    with pytest.raises(InputError, match="outside of rows 0 to 23"):
        learned(ends, replace(edges, products=edges.products + 20), tmp_path)
    with pytest.raises(InputError, match="an edge has one of each"):
        edge_vectors(edges.users, edges.products[1:], edges.times, ends)
    scorer = learned(ends, edges, tmp_path)
    narrow = Ends(ends.users[:, :4], ends.products[:, :4], ends.relation[:4], ends.moment_ms)
    with pytest.raises(InputError, match="train it anew"):
        judge_edges(scorer, edges.users, edges.products, edges.times, narrow)
    everything = Purchases(np.repeat(0, 2), np.arange(2), np.array([5, 6]), 1, 2)
    with pytest.raises(InputError, match="bought every product drawn"):
        learned(Ends(np.ones((1, 2)), np.ones((2, 2)), np.zeros(2), 0), everything, tmp_path / "everything")
    with pytest.raises(ConfigurationError, match="odd_share"):
        EdgeConfig(odd_share=1.0)
    with pytest.raises(ConfigurationError, match="drawn"):
        EdgeConfig(drawn=0)
