"""A sub-graph with all neighbours gives the whole graph's vectors, losses and gradients; fewer estimate them."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from shopgraph.dataset.purchases import WEEK_MS
from shopgraph.embed.config import GraphEmbeddingConfig
from shopgraph.embed.cuts import CutsConfig
from shopgraph.embed.message_graph import PURCHASED, MessageGraph, MessageGraphs
from shopgraph.embed.negatives import NegativesConfig
from shopgraph.embed.sampled_graph import Neighbourhoods
from shopgraph.embed.sampling import SamplingConfig
from shopgraph.embed.training import train_graph_embedding
from shopgraph.errors import ConfigurationError
from shopgraph.learning.loop import LoopConfig
from shopgraph.learning.optimiser import OptimiserConfig

from .conftest import killed_and_resumed, shaken

DIMENSION = 16
USERS, PRODUCTS = 48, 24
VARIANTS = [
    ("gcn", {}),
    ("graphsage", {"aggregation": "sum"}),
    ("graphsage", {"aggregation": "mean"}),
    ("graphsage", {"aggregation": "max"}),
    ("gat", {}),
    ("hgt", {}),
]
LAYERS = [(name, {**options, "layers": layers}) for name, options in VARIANTS for layers in (1, 2)]
ROWS = {"user": torch.tensor([5, 0, 23, 48]), "product": torch.tensor([1, 24, 7, 2, 20, 3])}
CONFIG = GraphEmbeddingConfig(
    dimension=DIMENSION,
    affinity_width=0,
    sampling=SamplingConfig((4,)),
    cuts=CutsConfig(count=3, spacing_weeks=3, supervision_weeks=3),
    negatives=NegativesConfig(count=20),
    positives_per_user=2,
    users_per_batch=10,
    optimiser=OptimiserConfig(learning_rate=0.01),
    loop=LoopConfig(epochs=6),
)


def graph_of(planted, weeks_back: int = 0, affinity: int = 0) -> MessageGraph:
    width = DIMENSION - 2 - affinity
    graphs = MessageGraphs(planted(more=2)[0], width, half_life_weeks=20.0, seed=7, timed=True, affinity_width=affinity)
    return graphs.before(graphs.end_ms - weeks_back * WEEK_MS)


@pytest.mark.parametrize("affinity", [0, 4])
@pytest.mark.parametrize(("name", "options"), LAYERS)
def test_all_neighbours_give_the_vectors_of_the_whole(
    name: str, options: dict[str, object], affinity: int, planted
) -> None:
    graph = graph_of(planted, weeks_back=4, affinity=affinity)
    model = shaken(name, options, graph, DIMENSION)
    every = Neighbourhoods(graph, SamplingConfig((-1,) * int(options["layers"])), "cpu")  # type: ignore[call-overload]
    part, places = every.around(ROWS, seed=1)
    found, whole = model(part, places), model(graph, ROWS)
    for kind, rows in ROWS.items():
        assert torch.equal(part.nodes[kind][places[kind]], rows)
        assert torch.allclose(found[kind], whole[kind], atol=1e-5)


def test_a_sub_graph_holds_no_more_than_its_batch_asks_for(planted) -> None:
    graph = graph_of(planted)
    part, _ = Neighbourhoods(graph, SamplingConfig((3,)), "cpu").around(ROWS, seed=1)
    assert len(part.relations[PURCHASED]) <= 3 * len(ROWS["product"])
    assert part.position["user"].shape[0] <= len(ROWS["user"]) + 3 * len(ROWS["product"])
    assert len(part.relations[PURCHASED]) < len(graph.relations[PURCHASED])


def test_what_is_drawn_stands_for_what_is_not(planted) -> None:
    """The mean over many draws is the whole graph's message: of sums exactly, weights being scaled by n / k."""
    graph = graph_of(planted)
    x = torch.randn((graph.sizes["user"], 5), generator=torch.Generator().manual_seed(1))
    neighbourhoods = Neighbourhoods(graph, SamplingConfig((5,)), "cpu")
    passings = ("total", "symmetric", "mean")
    draws: dict[str, list[torch.Tensor]] = {passing: [] for passing in passings}
    for seed in range(300):
        part, places = neighbourhoods.around(ROWS, seed)
        for passing in passings:
            brought = getattr(part.relations[PURCHASED], passing)(x[part.nodes["user"]])
            draws[passing].append(brought[places["product"]])
    for passing in passings:
        whole, drawn = getattr(graph.relations[PURCHASED], passing)(x)[ROWS["product"]], torch.stack(draws[passing])
        # 4.5 deviations of the mean of 300; a ratio of few neighbours is biased a little
        allowed = 4.5 * drawn.std(dim=0) / 300**0.5 + (0.03 if passing == "mean" else 1e-5)
        assert ((drawn.mean(dim=0) - whole).abs() <= allowed).all()
        assert drawn.std(dim=0).max() > 0.05


def test_one_seed_is_one_draw_and_leaves_the_generator_alone(planted) -> None:
    neighbourhoods = Neighbourhoods(graph_of(planted), SamplingConfig((2,)), "cpu")
    torch.manual_seed(4)
    before = torch.get_rng_state()
    one, other, third = (neighbourhoods.around(ROWS, seed)[0].relations[PURCHASED] for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(one.source, other.source)
    assert not torch.equal(one.source, third.source)


def test_the_newest_are_drawn_where_they_are_asked_for(planted) -> None:
    graph = graph_of(planted)
    part, places = Neighbourhoods(graph, SamplingConfig((2,), "last"), "cpu").around(ROWS, seed=1)
    whole, drawn = graph.relations[PURCHASED], part.relations[PURCHASED]
    for row, product in zip(places["product"].tolist(), ROWS["product"].tolist(), strict=True):
        into = whole.target == product
        newest = whole.source[into][torch.argsort(whole.time[into])[-2:]]
        assert sorted(part.nodes["user"][drawn.source[drawn.target == row]].tolist()) == sorted(newest.tolist())


def test_edges_carry_the_newest_time_of_their_pair_before_the_moment(planted) -> None:
    snapshot = planted()[0]
    graphs = MessageGraphs(snapshot, DIMENSION - 2, 20.0, seed=7, timed=True)
    graph = graphs.before(graphs.end_ms - 4 * WEEK_MS)
    lines = graphs.purchases.before(graph.moment_ms)
    stated = {
        (u, p): t for u, p, t in sorted(zip(lines.users, lines.products, lines.times, strict=True), key=lambda x: x[2])
    }
    for edge in (PURCHASED, (PURCHASED[2], "rev_purchased", PURCHASED[0])):
        relation = graph.relations[edge]
        ends = (relation.source, relation.target) if edge == PURCHASED else (relation.target, relation.source)
        found = zip(*(end.tolist() for end in ends), relation.time.tolist(), strict=True)
        assert {(u, p): t for u, p, t in found} == stated


@pytest.mark.parametrize(("encoder", "layers"), [("graphsage", 1), ("graphsage", 2), ("gcn", 1), ("hgt", 2)])
def test_training_on_all_neighbours_is_training_on_the_whole(
    encoder: str, layers: int, planted, tmp_path: Path
) -> None:
    snapshot, holdout = planted()
    config = replace(CONFIG, encoder=encoder, options={"layers": layers}, loop=LoopConfig(epochs=2), sampling=None)
    sampled = replace(config, sampling=SamplingConfig((-1,) * layers))
    whole = train_graph_embedding(snapshot, config, holdout, "cpu", 7, tmp_path / "whole")
    found = train_graph_embedding(snapshot, sampled, holdout, "cpu", 7, tmp_path / "sampled")
    assert [each.loss for each in found.curves] == pytest.approx([each.loss for each in whole.curves], abs=1e-5)
    assert np.allclose(found.vectors["User"].matrix, whole.vectors["User"].matrix, atol=1e-4)


@pytest.mark.parametrize(
    ("encoder", "numbers", "strategy"),
    [("graphsage", (4,), "uniform"), ("graphsage", (4, 2), "last"), ("gcn", (4,), "uniform"), ("hgt", (4,), "uniform")],
)
def test_the_withheld_taste_comes_first(
    encoder: str, numbers: tuple[int, ...], strategy: str, planted, tmp_path: Path
) -> None:
    snapshot, holdout = planted()
    sampling = SamplingConfig(numbers, strategy)
    config = replace(CONFIG, encoder=encoder, options={"layers": len(numbers)}, sampling=sampling)
    trained = train_graph_embedding(snapshot, config, holdout, "cpu", 7, tmp_path)
    users, products = trained.vectors["User"].matrix, trained.vectors["Product"].matrix
    nearest = np.argsort(-(users @ products.T), axis=1)
    own_kind = (nearest[:, : PRODUCTS // 2] % 2) == (np.arange(USERS) % 2)[:, None]
    assert own_kind[:, :8].all()
    assert trained.metrics["novel.recall@20"] == 1.0


def test_a_killed_run_draws_on_as_it_would_have(planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot, holdout = planted()
    unbroken = train_graph_embedding(snapshot, CONFIG, holdout, "cpu", 7, tmp_path / "whole")
    train = partial(train_graph_embedding, snapshot, CONFIG, holdout, "cpu", 7, tmp_path / "broken")
    resumed = killed_and_resumed(train, 3, monkeypatch)
    assert [record.loss for record in resumed.curves] == pytest.approx([record.loss for record in unbroken.curves])


def test_sampling_that_does_not_fit_the_encoder_is_refused_before_the_first_step(planted, tmp_path: Path) -> None:
    snapshot, holdout = planted()
    for wrong, said in (
        (replace(CONFIG, encoder="lightgcn"), "lightgcn"),
        (replace(CONFIG, options={"layers": 2}), "1 for 2 layers of graphsage"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            train_graph_embedding(snapshot, wrong, holdout, "cpu", 7, tmp_path)


def test_a_config_from_a_card_is_the_same_config() -> None:
    assert GraphEmbeddingConfig(**asdict(CONFIG)) == CONFIG
