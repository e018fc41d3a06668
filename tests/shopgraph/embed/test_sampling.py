"""What the sampler draws: never the future, never too much, every neighbour as likely as the next."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch_geometric.typing
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import HeteroData
from torch_geometric.loader import LinkLoader, NodeLoader
from torch_geometric.sampler import NodeSamplerInput

from shopgraph.embed.sampling import (
    PygLibSampler,
    SamplingConfig,
    TemporalSampler,
    admitted,
    neighbour_sampler,
    sampling_config,
    without_replacement,
)
from shopgraph.errors import ConfigurationError, InputError

BOUGHT, BUYS, MADE = ("user", "purchased", "product"), ("product", "rev_purchased", "user"), ("product", "by", "brand")
MAKES = ("brand", "rev_by", "product")
SIZES = {"user": 7, "product": 6, "brand": 2}


def shop(users: list[int], products: list[int], times: list[int], brands: list[int]) -> HeteroData:
    data = HeteroData()
    for kind, size in SIZES.items():
        data[kind].num_nodes = size
    bought = torch.tensor([users, products], dtype=torch.int64).reshape(2, -1)
    made = torch.stack([torch.arange(len(brands)), torch.tensor(brands, dtype=torch.int64)])
    for forward, backward, index in ((BOUGHT, BUYS, bought), (MADE, MAKES, made)):
        data[forward].edge_index, data[backward].edge_index = index, index.flip(0)
    data[BOUGHT].edge_time = data[BUYS].edge_time = torch.tensor(times, dtype=torch.int64)
    return data


def star(neighbours: int, times: torch.Tensor | None = None) -> HeteroData:
    """One product that everybody bought."""
    data = HeteroData()
    data["user"].num_nodes, data["product"].num_nodes = neighbours, 1
    data[BOUGHT].edge_index = torch.stack([torch.arange(neighbours), torch.zeros(neighbours, dtype=torch.int64)])
    if times is not None:
        data[BOUGHT].edge_time = times
    return data


@st.composite
def shops(draw: st.DrawFn) -> HeteroData:
    size = draw(st.integers(0, 40))

    def numbers(below: int) -> list[int]:
        return draw(st.lists(st.integers(0, below - 1), min_size=size, max_size=size))

    brands = draw(st.lists(st.integers(0, 1), max_size=SIZES["product"]))
    return shop(numbers(SIZES["user"]), numbers(SIZES["product"]), numbers(10), brands)


SEEDS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 5), st.integers(0, 11)), min_size=1, max_size=6)
HOPS = st.lists(st.sampled_from([-1, 1, 2, 3]), min_size=1, max_size=3)


@settings(max_examples=150, deadline=None)
@given(shops(), SEEDS, HOPS, st.sampled_from(["uniform", "last"]))
def test_no_future_edge_is_ever_seen_and_no_more_than_was_asked_for(data, seeds, hops, strategy) -> None:
    users, products, times = torch.tensor(seeds).T
    sampler = TemporalSampler(data, hops, strategy)
    loader = LinkLoader(data, sampler, (BOUGHT, torch.stack([users, products])), edge_label_time=times)
    found = loader(torch.arange(len(seeds)))
    moments = torch.unique(times)
    for edge in data.edge_types:
        source, target = found[edge].edge_index
        number = found[edge].e_id
        assert torch.equal(found[edge[0]].n_id[source], data[edge].edge_index[0, number])
        assert torch.equal(found[edge[2]].n_id[target], data[edge].edge_index[1, number])
        # both ends belong to the neighbourhood of one time, which all of it is older than
        assert torch.equal(found[edge[0]].batch[source], found[edge[2]].batch[target])
        if "edge_time" in data[edge]:
            assert (data[edge].edge_time[number] < moments[found[edge[2]].batch[target]]).all()
        pairs = torch.stack([target, number])
        assert torch.unique(pairs, dim=1).shape == pairs.shape
        for node, drawn in enumerate(torch.bincount(target, minlength=len(found[edge[2]].n_id)).tolist()):
            allowed = allowed_edges(data, edge, found[edge[2]].n_id[node], moments[found[edge[2]].batch[node]])
            assert drawn in {len(allowed) if number == -1 else min(len(allowed), number) for number in hops} | {0}
    ends = found[BOUGHT].edge_label_index
    for kind, row, stated in (("user", 0, users), ("product", 1, products)):
        assert torch.equal(found[kind].n_id[ends[row]], stated)
        assert torch.equal(moments[found[kind].batch[ends[row]]], times)
        keys = torch.stack([found[kind].n_id, found[kind].batch])
        assert torch.unique(keys, dim=1).shape == keys.shape


def allowed_edges(data: HeteroData, edge: tuple[str, str, str], node: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
    into = data[edge].edge_index[1] == node
    return torch.nonzero(into & (data[edge].edge_time < time) if "edge_time" in data[edge] else into).flatten()


@settings(max_examples=60, deadline=None)
@given(shops(), st.lists(st.integers(0, 6), min_size=1, max_size=5, unique=True), st.integers(0, 11), st.integers(1, 3))
def test_all_neighbours_are_the_walk_back_in_time(data, seeds, time, hops) -> None:
    """Against sets grown edge by edge: what is reachable by edges before the time, and every edge into it."""
    loader = NodeLoader(
        data,
        TemporalSampler(data, [-1] * hops),
        ("user", torch.tensor(seeds)),
        torch.full((len(seeds),), time),
        batch_size=len(seeds),
    )
    found = next(iter(loader))
    reached = {kind: set(seeds) if kind == "user" else set() for kind in SIZES}
    edges: dict[tuple[str, str, str], set[int]] = {edge: set() for edge in data.edge_types}
    for _ in range(hops):
        drawn = {
            edge: {e for n in reached[edge[2]] for e in allowed_edges(data, edge, n, time).tolist()} for edge in edges
        }
        for edge, numbers in drawn.items():
            edges[edge] |= numbers
            reached[edge[0]] = reached[edge[0]] | {int(data[edge].edge_index[0, e]) for e in numbers}
    assert {kind: set(found[kind].n_id.tolist()) for kind in SIZES} == reached
    assert {edge: set(found[edge].e_id.tolist()) for edge in edges} == edges
    assert found["user"].n_id[: len(seeds)].tolist() == seeds
    assert found["user"].batch_size == len(seeds)


def test_every_neighbour_is_as_likely_as_the_next_and_every_pair_too() -> None:
    """1,000 seeds draw 3 of 8: each neighbour 375 times, each pair 107; bounds of one in a million."""
    torch.manual_seed(5)
    data = star(8, torch.arange(8))
    times = torch.arange(100, 1100)
    seeds = NodeSamplerInput(None, torch.zeros(1000, dtype=torch.int64), times, "product")
    found = TemporalSampler(data, [3]).sample_from_nodes(seeds)
    drawn = found.node["user"][found.row[BOUGHT]]
    sets = torch.zeros(1000, 8).index_put((found.col[BOUGHT], drawn), torch.tensor(1.0))
    together = (sets.T @ sets).numpy()
    assert (sets.sum(dim=1) == 3).all()
    assert chi_square(np.diag(together), 375.0) < 41  # 7 degrees of freedom, variance below that of independent draws
    assert chi_square(together[np.triu_indices(8, 1)], 3000 / 28) < 80  # 27 degrees


def chi_square(seen: np.ndarray, expected: float) -> float:
    return float(((seen - expected) ** 2 / expected).sum())


def test_subsets_are_uniform() -> None:
    """Every 2 of 4 as often as every other: 6 of them in 6,000 draws."""
    torch.manual_seed(2)
    first, second = torch.sort(without_replacement(torch.full((6000,), 4), 2), dim=0).values
    seen = np.bincount((first * 4 + second).numpy(), minlength=16)
    assert (seen > 0).sum() == 6
    assert chi_square(seen[seen > 0], 1000.0) < 36  # 5 degrees of freedom


def test_the_last_are_the_newest_before_the_seed() -> None:
    data = star(6, torch.tensor([50, 10, 40, 20, 30, 60]))
    found = TemporalSampler(data, [2], "last").sample_from_nodes(
        NodeSamplerInput(None, torch.tensor([0, 0]), torch.tensor([50, 25]), "product")
    )
    drawn = found.node["user"][found.row[BOUGHT]]
    assert sorted(drawn[found.col[BOUGHT] == 0].tolist()) == [2, 4]
    assert sorted(drawn[found.col[BOUGHT] == 1].tolist()) == [1, 3]


def test_the_same_seed_draws_the_same() -> None:
    data = star(50, torch.arange(50))
    seeds = NodeSamplerInput(None, torch.zeros(4, dtype=torch.int64), torch.tensor([50, 51, 52, 53]), "product")

    def drawn(seed: int) -> list[int]:
        torch.manual_seed(seed)
        return TemporalSampler(data, [5]).sample_from_nodes(seeds).edge[BOUGHT].tolist()

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)


def test_nodes_without_edges_and_relations_without_any_are_no_trouble() -> None:
    data = shop([0, 0], [1, 2], [3, 4], [])
    for hops in ([2], [2, 2], [-1, -1, -1]):
        found = next(
            iter(
                NodeLoader(
                    data,
                    TemporalSampler(data, hops),
                    ("user", torch.tensor([6, 0])),
                    torch.tensor([9, 9]),
                    batch_size=2,
                )
            )
        )
        assert found["user"].n_id[:2].tolist() == [6, 0]
        assert found[BUYS].num_edges == 2
        assert found[MADE].num_edges == 0
        assert len(found["brand"].n_id) == 0


def test_edges_without_times_need_no_seed_time() -> None:
    found = TemporalSampler(star(3), [-1]).sample_from_nodes(NodeSamplerInput(None, torch.tensor([0]), None, "product"))
    assert found.node["user"].tolist() == [0, 1, 2]
    assert found.batch is None


def test_seeds_without_a_time_would_see_the_future() -> None:
    sampler = TemporalSampler(star(3, torch.arange(3)), [2])
    with pytest.raises(InputError, match="seeds have none"):
        sampler.sample_from_nodes(NodeSamplerInput(None, torch.tensor([0]), None, "product"))
    with pytest.raises(InputError, match="2 times of 3 edges"):
        TemporalSampler(star(3, torch.arange(2)), [2])


def test_a_loader_that_asks_for_negatives_is_refused() -> None:
    ends = torch.tensor([[0], [0]])
    loader = LinkLoader(star(3), TemporalSampler(star(3), [2]), (BOUGHT, ends), neg_sampling="binary")
    with pytest.raises(ConfigurationError, match="negatives come from a Supervision"):
        loader(torch.tensor([0]))


def test_keys_are_numbered_as_they_come() -> None:
    new, local = admitted(torch.tensor([5, 3]), torch.tensor([9, 3, 7, 9, 5]))
    assert new.tolist() == [9, 7]
    assert local.tolist() == [2, 1, 3, 2, 0]


def test_pyg_lib_samples_where_it_is_installed() -> None:
    here = torch_geometric.typing.WITH_PYG_LIB and torch_geometric.typing.WITH_EDGE_TIME_NEIGHBOR_SAMPLE
    found = neighbour_sampler(star(3, torch.arange(3)), SamplingConfig((2,)))
    assert isinstance(found, PygLibSampler if here else TemporalSampler)


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({"num_neighbors": []}, "num_neighbors"),
        ({"num_neighbors": [4, 0]}, "at least 1"),
        ({"temporal_strategy": "first"}, "uniform, last"),
        ({"neighbours": 3}, "sampling has no neighbours"),
    ],
)
def test_a_config_that_means_nothing_is_refused(stated: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        sampling_config(stated)
