"""Message passing along one relation type, as sparse products: a tenth of the time of gathering and scattering."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp
import torch


@dataclass(frozen=True)
class Adjacency:
    """The edges of one relation type, sorted by target, with ways to pass messages along them.

    Shapes:
        target, source: (edges,), int64, rows of the two node types
        weight: (edges,), float32, above 0
        shape: (targets, sources)
        time: (edges,), int64, milliseconds since 1970 UTC; None where edges have none or nobody asked
    """

    target: torch.Tensor
    source: torch.Tensor
    weight: torch.Tensor
    shape: tuple[int, int]
    time: torch.Tensor | None = None
    _kept: dict[str, torch.Tensor] = field(default_factory=dict, repr=False, compare=False)
    """What was computed once: coefficients by name, sparse matrices, orders of the edges."""

    @classmethod
    def of(cls, matrix: sp.csr_array, time: np.ndarray | None = None) -> Adjacency:
        """Of a (targets, sources) matrix of weights, and one time an entry of it, row by row."""
        matrix.sort_indices()
        target = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        weight = torch.from_numpy(matrix.data.astype(np.float32))
        moments = None if time is None else torch.from_numpy(time)
        return cls(_rows(target), _rows(matrix.indices), weight, matrix.shape, moments)

    @classmethod
    def sampled(
        cls,
        target: torch.Tensor,
        source: torch.Tensor,
        weight: torch.Tensor,
        symmetric: torch.Tensor,
        shape: tuple[int, int],
    ) -> Adjacency:
        """Of edges drawn from a whole, in any order, with the whole's symmetric coefficients: degrees don't shrink.

        Means are over what was drawn. Weights and coefficients count for the edges that were not.
        """
        order = torch.argsort(target * shape[1] + source)
        found = cls(target[order], source[order], weight[order], shape)
        found.coefficients()
        found._kept["symmetric"] = symmetric[order]
        return found

    def __len__(self) -> int:
        return len(self.target)

    def reversed(self) -> Adjacency:
        """The same edges with their ends turned round."""
        order = self._transposing()
        time = None if self.time is None else self.time[order]
        shape = (self.shape[1], self.shape[0])
        return Adjacency(self.source[order], self.target[order], self.weight[order], shape, time)

    def towards(self, rows: torch.Tensor) -> Adjacency:
        """The edges into some targets, (rows,) distinct, renumbered in that order; coefficients stay the whole's."""
        starts = self._once("starts", lambda: _starts(self.target, self.shape[0]))
        counts = starts[rows + 1] - starts[rows]
        target = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), counts)
        first = torch.cumsum(counts, 0) - counts
        edges = torch.arange(len(target), device=rows.device) - first[target] + starts[rows][target]
        coefficients = {name: value[edges] for name, value in self.coefficients().items()}
        return Adjacency(target, self.source[edges], self.weight[edges], (len(rows), self.shape[1]), _kept=coefficients)

    def total(self, x: torch.Tensor) -> torch.Tensor:
        """Weighted sum of the sources' rows: (sources, width) -> (targets, width)."""
        return self._product("total", x)

    def mean(self, x: torch.Tensor) -> torch.Tensor:
        """Weighted mean; 0 where a target has no edge."""
        return self._product("mean", x)

    def symmetric(self, x: torch.Tensor) -> torch.Tensor:
        """Each edge divided by the roots of both ends' degrees (Kipf and Welling, 2017)."""
        return self._product("symmetric", x)

    def maximum(self, x: torch.Tensor) -> torch.Tensor:
        """The largest value of each column among the sources; 0 where a target has no edge."""
        sizes = torch.bincount(self.target, minlength=self.shape[0])
        largest = torch.segment_reduce(x[self.source], "max", lengths=sizes, unsafe=True)
        return torch.where((sizes > 0)[:, None], largest, 0.0)

    def attend(self, x: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
        """Sum with a learned coefficient an edge: (sources, width) and (edges,) -> (targets, width)."""
        return _EdgeProduct.apply(self, attention, x)

    def softmax(self, logits: torch.Tensor) -> torch.Tensor:
        """Coefficients that sum to 1 over the edges of each target: (edges, heads) -> (edges, heads)."""
        exponent = torch.exp(logits - target_maximum(self, logits)[self.target])
        total = exponent.new_zeros((self.shape[0], logits.shape[1])).index_add(0, self.target, exponent)
        return exponent / total[self.target]

    def to(self, device: str) -> Adjacency:
        time = None if self.time is None else self.time.to(device)
        return Adjacency(self.target.to(device), self.source.to(device), self.weight.to(device), self.shape, time)

    def matrix(self, values: torch.Tensor) -> torch.Tensor:
        """(targets, sources), sparse CSR, of one value an edge."""
        return _csr(self.target, self.source, values, self.shape)

    def transposed(self, values: torch.Tensor) -> torch.Tensor:
        """(sources, targets), sparse CSR."""
        order = self._transposing()
        return _csr(self.source[order], self.target[order], values[order], (self.shape[1], self.shape[0]))

    def _product(self, name: str, x: torch.Tensor) -> torch.Tensor:
        matrix = self._once(f"{name} matrix", lambda: self.matrix(self.coefficients()[name]))
        transposed = self._once(f"{name} transposed", lambda: self.transposed(self.coefficients()[name]))
        return _SparseProduct.apply(matrix, transposed, x)

    def coefficients(self) -> dict[str, torch.Tensor]:
        """By name of a linear way of passing, (edges,)."""
        if "mean" not in self._kept:
            targets, sources = (
                torch.zeros(size, device=end.device).index_add(0, end, self.weight)[end]
                for end, size in ((self.target, self.shape[0]), (self.source, self.shape[1]))
            )
            self._kept["total"] = self.weight
            self._kept["mean"] = self.weight / targets
            self._kept["symmetric"] = self.weight / torch.sqrt(targets * sources)
        return {name: self._kept[name] for name in ("total", "mean", "symmetric")}

    def _transposing(self) -> torch.Tensor:
        return self._once("order", lambda: torch.argsort(self.source * self.shape[0] + self.target))

    def _once(self, name: str, compute: Callable[[], torch.Tensor]) -> torch.Tensor:
        if name not in self._kept:
            self._kept[name] = compute()
        return self._kept[name]


def target_maximum(adjacency: Adjacency, logits: torch.Tensor) -> torch.Tensor:
    """(edges, heads) -> (targets, heads), without a gradient: it only keeps exponents in range."""
    index = adjacency.target[:, None].expand(-1, logits.shape[1])
    start = logits.new_full((adjacency.shape[0], logits.shape[1]), float("-inf"))
    return start.scatter_reduce(0, index, logits.detach(), "amax", include_self=True)


class _SparseProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx, matrix, transposed, x):
        ctx.transposed = transposed
        return sparse_product(matrix, x)

    @staticmethod
    def backward(ctx, gradient):
        return None, None, sparse_product(ctx.transposed, gradient.contiguous())


class _EdgeProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx, adjacency, values, x):
        ctx.adjacency = adjacency
        ctx.save_for_backward(values, x)
        return sparse_product(adjacency.matrix(values), x)

    @staticmethod
    def backward(ctx, gradient):
        values, x = ctx.saved_tensors
        adjacency, gradient = ctx.adjacency, gradient.contiguous()
        ends = adjacency.matrix(torch.zeros_like(values))
        along = torch.sparse.sampled_addmm(ends, gradient, x.float().T.contiguous(), beta=0.0).values()
        return None, along, sparse_product(adjacency.transposed(values), gradient)


def sparse_product(matrix: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """A CSR matrix by a dense one, in float32; on a CPU torch's reducing kernel takes a quarter of MKL's time."""
    if not x.is_cuda:
        return torch.sparse.mm(matrix, x.float(), "sum")
    with torch.autocast("cuda", enabled=False):  # it would round factors and sums to 8 bits
        return matrix @ x.float()


def _rows(numbers: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(numbers.astype(np.int64))


def _csr(row: torch.Tensor, column: torch.Tensor, values: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Rows must be ascending."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support", UserWarning)
        return torch.sparse_csr_tensor(_starts(row, shape[0]), column, values, shape, check_invariants=False)


def _starts(row: torch.Tensor, size: int) -> torch.Tensor:
    """(size + 1,): where each row's edges begin."""
    starts = torch.zeros(size + 1, dtype=torch.int64, device=row.device)
    starts[1:] = torch.cumsum(torch.bincount(row, minlength=size), 0)
    return starts
