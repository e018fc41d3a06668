"""Temporal neighbour sampling: what PyG's loaders draw around their seeds where pyg-lib is not installed.

Source: Hamilton, Ying and Leskovec, Inductive representation learning on large graphs (2017), for the sampling; the
rule that no neighbour may be newer than the seed is that of PyG's temporal `NeighborSampler`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import torch
import torch_geometric.typing
from torch_geometric.data import HeteroData
from torch_geometric.sampler import (
    BaseSampler,
    EdgeSamplerInput,
    HeteroSamplerOutput,
    NegativeSampling,
    NeighborSampler,
    NodeSamplerInput,
)

from shopgraph.dataset.hetero import EdgeType
from shopgraph.errors import ConfigurationError, InputError

Seeds = TypeVar("Seeds", NodeSamplerInput, EdgeSamplerInput)

STRATEGIES = ("uniform", "last")
NOTHING = torch.zeros(0, dtype=torch.int64)
TIME = "edge_time"
"""The attribute of an edge that says when it came to be; an edge type without it was always there."""


@dataclass(frozen=True)
class SamplingConfig:
    """How much of its neighbourhood a batch sees."""

    num_neighbors: tuple[int, ...] = (16,)
    """Drawn for a node along each relation, by hop, as many hops as the encoder has layers; -1 takes all."""
    temporal_strategy: str = "uniform"
    """uniform, without replacement, or last: the newest ones; edges without a time are newer the later they stand."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "num_neighbors", tuple(self.num_neighbors))
        if not self.num_neighbors or any(number != -1 and number < 1 for number in self.num_neighbors):
            raise ConfigurationError(f"num_neighbors {list(self.num_neighbors)}: a hop takes at least 1, or -1 for all")
        if self.temporal_strategy not in STRATEGIES:
            raise ConfigurationError(
                f"temporal_strategy {self.temporal_strategy!r}: choose from {', '.join(STRATEGIES)}"
            )


def sampling_config(stated: Mapping[str, Any]) -> SamplingConfig:
    """Of what a card or a command states; raises ConfigurationError where a field is none of its own."""
    known = [item.name for item in fields(SamplingConfig)]
    if unknown := sorted(set(stated) - set(known)):
        raise ConfigurationError(f"sampling has no {', '.join(unknown)}: it has {', '.join(known)}")
    return SamplingConfig(**stated)


class TemporalSampler(BaseSampler):
    """Draws, hop by hop, at most so many of the edges into each node that came before its seed's time.

    A sampled node is a (node, time) pair: seeds of one time share what is drawn around them, those of another time
    never do, and every pair keeps its seed's time, so that a deeper hop sees no later than the first. With one time
    for all seeds a batch holds each node once; with a time a seed it holds disjoint neighbourhoods. Draws come from
    torch's global CPU generator, as those of PyG's own samplers do.

    Args:
        data: its `edge_index`, and `edge_time` where an edge type has times; held by target, and by time within one.
        num_neighbors: along each relation, by hop; -1 takes all.
        temporal_strategy: uniform (without replacement) or last.

    Shapes:
        batch[kind] of what is sampled: (nodes,), which of the ascending distinct times of the seeds a node has

    Raises:
        InputError: an edge type's times are not as many as its edges.
    """

    def __init__(self, data: HeteroData, num_neighbors: Sequence[int], temporal_strategy: str = "uniform") -> None:
        self.config = SamplingConfig(tuple(num_neighbors), temporal_strategy)
        self._sizes = {kind: data[kind].num_nodes for kind in data.node_types}
        self._columns = {edge: _Columns.of(edge, data) for edge in data.edge_types}

    def sample_from_nodes(self, inputs: NodeSamplerInput) -> HeteroSamplerOutput:
        """Around seeds of one kind, which are the first of that kind's nodes, as they came.

        Raises:
            InputError: seeds without a time where edges have one.
        """
        moments, group = self._moments(inputs.time, len(inputs.node))
        found = self._sampled({inputs.input_type: group * self._sizes[inputs.input_type] + inputs.node}, moments)
        found.metadata = (inputs.input_id, inputs.time)
        return found

    def sample_from_edges(
        self, inputs: EdgeSamplerInput, neg_sampling: NegativeSampling | None = None
    ) -> HeteroSamplerOutput:
        """Around both ends of links; an end that several links of one time share is one seed.

        Raises:
            InputError: links without a time where edges have one.
            ConfigurationError: the loader asks for negatives of its own; those are a `Supervision`'s to draw.
        """
        if neg_sampling is not None:
            raise ConfigurationError("negatives come from a Supervision: leave neg_sampling out of the loader")
        source, _, target = inputs.input_type
        moments, group = self._moments(inputs.time, len(inputs.row))
        ends = {source: NOTHING, target: NOTHING}
        rows = []
        for kind, nodes in ((source, inputs.row), (target, inputs.col)):
            new, local = admitted(ends[kind], group * self._sizes[kind] + nodes)
            ends[kind] = torch.cat([ends[kind], new])
            rows.append(local)
        found = self._sampled(ends, moments)
        found.metadata = (inputs.input_id, torch.stack(rows), inputs.label, inputs.time)
        return found

    def _moments(self, times: torch.Tensor | None, seeds: int) -> tuple[torch.Tensor | None, torch.Tensor]:
        """The ascending distinct times, and which of them each seed has."""
        if times is not None:
            return torch.unique(times, return_inverse=True)
        if any(columns.moments is not None for columns in self._columns.values()):
            raise InputError("edges have times and the seeds have none: say what each seed may see (input_time)")
        return None, torch.zeros(seeds, dtype=torch.int64)

    def _sampled(self, seeds: Mapping[str, torch.Tensor], moments: torch.Tensor | None) -> HeteroSamplerOutput:
        """Around seeds given as (node, time) keys: time's number * nodes of the kind + node."""
        keys = {kind: [seeds.get(kind, NOTHING)] for kind in self._sizes}
        ends = {edge: [torch.stack([NOTHING] * 3)] for edge in self._columns}
        for number in self.config.num_neighbors:
            first = {kind: sum(map(len, hops[:-1])) for kind, hops in keys.items()}
            drawn = {edge: self._hop(edge, keys[edge[2]][-1], number, moments) for edge in self._columns}
            for kind, hops in keys.items():
                edges = [edge for edge in drawn if edge[0] == kind]
                met = [drawn[edge][1] for edge in edges]
                new, local = admitted(torch.cat(hops), torch.cat([NOTHING, *met]))
                hops.append(new)
                for edge, source in zip(edges, local.split([len(each) for each in met]), strict=True):
                    target, _, number_of_edge = drawn[edge]
                    ends[edge].append(torch.stack([source, target + first[edge[2]], number_of_edge]))
        return self._output(keys, ends, moments is not None)

    def _hop(
        self, edge: EdgeType, keys: torch.Tensor, number: int, moments: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The edges drawn into some nodes: which of them each leads to, the source's key, the edge's number."""
        columns, size = self._columns[edge], max(1, self._sizes[edge[2]])
        node, group = keys % size, keys // size
        time = None if moments is None else moments[group]
        row, position = columns.drawn(node, time, number, self.config.temporal_strategy)
        return row, group[row] * self._sizes[edge[0]] + columns.source[position], columns.edge[position]

    def _output(
        self, keys: dict[str, list[torch.Tensor]], ends: dict[EdgeType, list[torch.Tensor]], timed: bool
    ) -> HeteroSamplerOutput:
        whole = {kind: torch.cat(hops) for kind, hops in keys.items()}
        edges = {edge: torch.cat(hops, dim=1) for edge, hops in ends.items()}
        sizes = {kind: max(1, size) for kind, size in self._sizes.items()}
        return HeteroSamplerOutput(
            node={kind: key % sizes[kind] for kind, key in whole.items()},
            row={edge: found[0] for edge, found in edges.items()},
            col={edge: found[1] for edge, found in edges.items()},
            edge={edge: found[2] for edge, found in edges.items()},
            batch={kind: key // sizes[kind] for kind, key in whole.items()} if timed else None,
            num_sampled_nodes={kind: [len(hop) for hop in hops] for kind, hops in keys.items()},
            num_sampled_edges={edge: [hop.shape[1] for hop in hops[1:]] for edge, hops in ends.items()},
        )


@dataclass(frozen=True)
class _Columns:
    """The edges of one type by target, and by time within one.

    Shapes:
        starts: (targets + 1,), where each target's edges begin
        source, edge: (edges,), row of the source, and number in the data's `edge_index`
        moments: (distinct times,), ascending; None where edges have no time
        place: (edges,), ascending: target * distinct times + which of them, so that one search finds a cut-off
    """

    starts: torch.Tensor
    source: torch.Tensor
    edge: torch.Tensor
    moments: torch.Tensor | None
    place: torch.Tensor | None

    @classmethod
    def of(cls, edge: EdgeType, data: HeteroData) -> _Columns:
        source, target = data[edge].edge_index
        starts = torch.zeros(data[edge[2]].num_nodes + 1, dtype=torch.int64)
        starts[1:] = torch.cumsum(torch.bincount(target, minlength=len(starts) - 1), 0)
        if TIME not in data[edge]:
            order = torch.argsort(target, stable=True)
            return cls(starts, source[order], order, None, None)
        times = data[edge][TIME]
        if times.shape != target.shape:
            raise InputError(f"{len(times)} times of {len(target)} edges {edge}: one an edge")
        moments, rank = torch.unique(times, return_inverse=True)
        place, order = torch.sort(target * len(moments) + rank, stable=True)
        return cls(starts, source[order], order, moments, place)

    def drawn(
        self, node: torch.Tensor, time: torch.Tensor | None, number: int, strategy: str
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Positions among these edges drawn into each node before its time, and which of the nodes each leads to."""
        first, last = self.starts[node], self.starts[node + 1]
        if time is not None and self.moments is not None and self.place is not None:
            last = torch.searchsorted(
                self.place, node * len(self.moments) + torch.searchsorted(self.moments, time.contiguous())
            )
        allowed = last - first
        if number == -1:
            return _ranges(first, allowed)
        if strategy == "last":
            kept = allowed.clamp(max=number)
            return _ranges(last - kept, kept)
        row, position = _ranges(first, allowed.masked_fill(allowed > number, 0))
        crowded = torch.nonzero(allowed > number).flatten()
        chosen = first[crowded] + without_replacement(allowed[crowded], number)
        return torch.cat([row, crowded.repeat(number)]), torch.cat([position, chosen.flatten()])


def without_replacement(population: torch.Tensor, number: int) -> torch.Tensor:
    """Uniform subsets of range(population), each of `number` distinct ones: (rows,) above it -> (number, rows).

    Source: Bentley and Floyd, Programming pearls: a sample of brilliance (1987), all rows at once.
    """
    chosen = torch.empty((number, len(population)), dtype=torch.int64)
    for turn in range(number):
        largest = population - number + turn
        guess = (torch.rand(len(population), dtype=torch.float64) * (largest + 1)).long()
        chosen[turn] = torch.where((chosen[:turn] == guess).any(dim=0), largest, guess)
    return chosen


def admitted(known: torch.Tensor, met: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The distinct keys of `met` that are not among `known`, as they come, and where in both together each of `met` is.

    Shapes:
        known: (k,); met: (m,); returns: (new,) and (m,), below k + new
    """
    everything = torch.cat([known, met])
    distinct, inverse = torch.unique(everything, return_inverse=True)
    places = torch.arange(len(everything))
    first = torch.full((len(distinct),), len(everything)).scatter_reduce(0, inverse, places, "amin")
    fresh, order = torch.sort(first[first >= len(known)])
    local = first.clone()
    local[torch.nonzero(first >= len(known)).flatten()[order]] = len(known) + torch.arange(len(fresh))
    return everything[fresh], local[inverse[len(known) :]]


def _ranges(first: torch.Tensor, count: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """first[i], first[i] + 1, ... count[i] of them, for each i: the i, and the numbers."""
    row = torch.repeat_interleave(torch.arange(len(first)), count)
    return row, torch.arange(len(row)) + (first - torch.cumsum(count, 0) + count)[row]


def neighbour_sampler(data: HeteroData, config: SamplingConfig) -> BaseSampler:
    """PyG's own sampler where pyg-lib is installed, else `TemporalSampler`; both draw from before a seed's time.

    PyG's draws a disjoint neighbourhood a seed wherever edges have times.
    """
    installed = torch_geometric.typing.WITH_PYG_LIB and torch_geometric.typing.WITH_EDGE_TIME_NEIGHBOR_SAMPLE
    if not installed:
        return TemporalSampler(data, config.num_neighbors, config.temporal_strategy)
    timed = any(TIME in store for store in data.edge_stores)
    return PygLibSampler(
        data,
        list(config.num_neighbors),
        temporal_strategy=config.temporal_strategy,
        time_attr=TIME if timed else None,
    )


class PygLibSampler(NeighborSampler):
    """PyG's sampler, which lets edges of the seed's own millisecond in; here those are future."""

    def sample_from_nodes(self, inputs: NodeSamplerInput) -> HeteroSamplerOutput:
        return super().sample_from_nodes(_a_millisecond_before(inputs))

    def sample_from_edges(
        self, inputs: EdgeSamplerInput, neg_sampling: NegativeSampling | None = None
    ) -> HeteroSamplerOutput:
        return super().sample_from_edges(_a_millisecond_before(inputs), neg_sampling)


def _a_millisecond_before(inputs: Seeds) -> Seeds:
    found = copy.copy(inputs)
    found.time = None if inputs.time is None else inputs.time - 1
    return found
