"""What holds for every encoder, whatever it has learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from shopgraph.dataset.snapshot import Snapshot
from shopgraph.embed.encoders import ENCODERS, build_encoder
from shopgraph.embed.message_graph import MessageGraph, MessageGraphs
from shopgraph.errors import ConfigurationError

from .conftest import shaken

DIMENSION = 16
VARIANTS = [
    ("gcn", {}),
    ("graphsage", {"aggregation": "sum"}),
    ("graphsage", {"aggregation": "mean"}),
    ("graphsage", {"aggregation": "max"}),
    ("gat", {}),
    ("hgt", {}),
    ("lightgcn", {}),
]
LAYERS = [(name, {**options, "layers": layers}) for name, options in VARIANTS for layers in (1, 2)]
USERS, PRODUCTS = 48, 24


def graphs_of(snapshot: Snapshot, affinity: int = 0) -> MessageGraphs:
    return MessageGraphs(snapshot, DIMENSION - 2 - affinity, half_life_weeks=20.0, seed=7, affinity_width=affinity)


def graph_of(snapshot: Snapshot, affinity: int = 0) -> MessageGraph:
    graphs = graphs_of(snapshot, affinity)
    return graphs.before(graphs.end_ms)


def test_every_encoder_is_tried_here() -> None:
    assert {name for name, _ in VARIANTS} == set(ENCODERS)


@pytest.mark.parametrize("affinity", [0, 4])
@pytest.mark.parametrize(("name", "options"), LAYERS)
def test_vectors_have_length_1(name: str, options: dict[str, object], affinity: int, planted) -> None:
    graph = graph_of(planted()[0], affinity)
    found = shaken(name, options, graph, DIMENSION)(graph)
    assert found["user"].shape == (USERS, DIMENSION)
    for rows in found.values():
        assert torch.allclose(rows.norm(dim=1), torch.ones(len(rows)), atol=1e-5)


@pytest.mark.parametrize("affinity", [0, 4])
@pytest.mark.parametrize(("name", "options"), LAYERS)
def test_asking_for_some_rows_gives_those_of_the_whole(
    name: str, options: dict[str, object], affinity: int, planted
) -> None:
    graph = graph_of(planted()[0], affinity)
    model = shaken(name, options, graph, DIMENSION)
    rows = {"user": torch.tensor([5, 0, 23]), "product": torch.tensor([1, 7, 2, 20])}
    whole, some = model(graph), model(graph, rows)
    for kind, chosen in rows.items():
        assert torch.allclose(some[kind], whole[kind][chosen], atol=1e-6)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_the_order_of_purchases_changes_nothing(name: str, options: dict[str, object], planted) -> None:
    one, other = graph_of(planted()[0]), graph_of(planted(np.random.default_rng(5).permutation(USERS * 8))[0])
    model = shaken(name, options, one, DIMENSION)
    for kind, rows in model(one).items():
        assert torch.allclose(rows, model(other)[kind], atol=1e-5)


@pytest.mark.parametrize("affinity", [0, 4])
@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_moving_rows_moves_vectors_with_them(name: str, options: dict[str, object], affinity: int, planted) -> None:
    """Users and products in another order: the same vectors for the same nodes, positions turned to the same axes."""
    order = np.random.default_rng(9).permutation(PRODUCTS)
    moved = [f"p{place:02}" for place in order]
    graph = graph_of(planted()[0], affinity)
    graphs = graphs_of(planted(products=moved)[0], affinity)
    other = graphs.before(graphs.end_ms, aligned_to=graph)
    model = shaken(name, options, graph, DIMENSION)
    place = torch.from_numpy(order)
    before = model(graph)["product"]
    if name == "lightgcn":
        with torch.no_grad():
            model.first["product"].copy_(model.first["product"][torch.argsort(place)])
    assert torch.allclose(model(other)["product"][place], before, atol=1e-3)


@pytest.mark.parametrize("affinity", [0, 4])
@pytest.mark.parametrize(("name", "options"), LAYERS)
def test_isolated_nodes_and_gradients_are_finite(name: str, options: dict[str, object], affinity: int, planted) -> None:
    graph = graph_of(planted(more=3)[0], affinity)
    model = shaken(name, options, graph, DIMENSION).train()
    found = model(graph)
    sum(rows.square().sum() * torch.arange(len(rows)).sum() + rows.sum() for rows in found.values()).backward()
    for rows in found.values():
        assert torch.isfinite(rows).all()
    for label, parameter in model.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), label


def test_a_user_who_goes_with_the_crowd_entirely_has_finite_gradients(planted) -> None:
    graph = graph_of(planted()[0])
    model = shaken("graphsage", {}, graph, DIMENSION).train()
    with torch.no_grad():
        model.head.crowd[-1].bias.fill_(40.0)
    model(graph)["user"][:, 0].sum().backward()
    for label, parameter in model.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), label


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_a_seed_gives_the_same_parameters(name: str, options: dict[str, object], planted) -> None:
    graph = graph_of(planted()[0])
    one, other = (build_encoder(name, options, graph.shape, DIMENSION, seed=4).state_dict() for _ in range(2))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_neighbour_further_away_is_reached_by_a_second_layer(planted) -> None:
    """A brand's learned vector reaches a user through a product: two rounds, not one."""
    graph = graph_of(planted()[0])
    for layers, reached in ((1, False), (2, True)):
        model = shaken("graphsage", {"layers": layers}, graph, DIMENSION)
        model(graph)["user"][0, :4].sum().backward()
        gradient = model.stem.learned["brand"].grad
        assert (gradient is not None and bool(gradient.abs().max() > 0)) is reached


def test_unknown_names_and_options_are_refused(planted) -> None:
    shape = graph_of(planted()[0]).shape
    for name, options, said in (
        ("transformer", {}, "encoder 'transformer': choose from gcn"),
        ("gcn", {"depth": 3}, "gcn has no option 'depth'"),
        ("graphsage", {"aggregation": "median"}, "aggregation 'median'"),
        ("gat", {"heads": 99}, "heads 99"),
        ("hgt", {"heads": 3}, "must divide the 14 columns"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            build_encoder(name, options, shape, DIMENSION, seed=0)
