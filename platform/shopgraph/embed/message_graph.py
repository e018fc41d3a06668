"""What the encoder may see at a moment: purchases before it, the catalogue, and features made of those alone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch_geometric.data import HeteroData

from shopgraph.dataset.purchases import WEEK_MS, Purchases

CATALOGUE_EDGES = (
    ("product", "made_by", "brand"),
    ("product", "written_by", "author"),
    ("product", "in_category", "category"),
    ("product", "has_attribute", "attribute"),
)
OVERSAMPLING = 16
POSITION_DEGREE_POWER = 0.25
"""Power of a product's degree that divides its column before the singular vectors are taken; 0.5 would be symmetric.
Chosen by the validation weeks of the Complete Journey among 0, .15, .25, .35 and .5."""
POWER_ITERATIONS = 4


@dataclass(frozen=True)
class Adjacency:
    """A sparse matrix with its transpose, so that its product has a cheap backward pass.

    One sparse product over a whole relation takes a tenth of the time of gathering and scattering messages.
    """

    matrix: torch.Tensor
    transposed: torch.Tensor

    @classmethod
    def of(cls, matrix: sp.csr_array) -> Adjacency:
        return cls(_to_torch(matrix), _to_torch(sp.csr_array(matrix.T)))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """(rows, columns) @ (columns, width) -> (rows, width)."""
        return _SparseProduct.apply(self.matrix, self.transposed, x)

    def to(self, device: str) -> Adjacency:
        return Adjacency(self.matrix.to(device), self.transposed.to(device))


class _SparseProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx, matrix, transposed, x):
        ctx.transposed = transposed
        return matrix @ x

    @staticmethod
    def backward(ctx, gradient):
        return None, None, ctx.transposed @ gradient.contiguous()


@dataclass(frozen=True)
class MessageGraph:
    """Everything an encoder's forward pass takes; made of nothing that happened at or after its moment.

    Shapes:
        buys: (users, products), each purchase weighted by age and degree; its transpose carries messages back
        describes: (products, catalogue nodes), rows sum to 1 (to 0 where nothing is stated)
        user_position, product_position: (users, width), (products, width), singular vectors of the same purchases,
            popular products damped less
        popularity: (products, 3), standardised logs of buyers lately, decayed purchases, buyers ever
        known: ascending keys of the pairs bought before the moment
    """

    buys: Adjacency
    bought_by: Adjacency
    describes: Adjacency
    user_position: torch.Tensor
    product_position: torch.Tensor
    popularity: torch.Tensor
    known: np.ndarray

    def to(self, device: str) -> MessageGraph:
        moved = {
            name: getattr(self, name).to(device)
            for name in ("buys", "bought_by", "describes", "user_position", "product_position", "popularity")
        }
        return MessageGraph(known=self.known, **moved)


def message_graph(
    purchases: Purchases,
    catalogue: sp.csr_array,
    moment_ms: int,
    width: int,
    half_life_weeks: float,
    seed: int,
    aligned_to: MessageGraph | None = None,
) -> MessageGraph:
    """Build the graph as it was before a moment.

    Args:
        catalogue: (products, catalogue nodes), see `catalogue_matrix`.
        aligned_to: an earlier graph whose axes the positions are turned to (orthogonal Procrustes; Schönemann 1966):
            singular vectors are known only up to rotation.
    """
    past = purchases.before(moment_ms)
    known, weight = past.decayed(moment_ms, half_life_weeks)
    weight = np.sqrt(weight)  # a habit counts more than a try, but not tenfold
    buys = _normalised(known, weight, past.shape, product_power=0.5)
    damped = _normalised(known, weight, past.shape, POSITION_DEGREE_POWER)
    user_position, product_position = _positions(damped, width, seed)
    if aligned_to is not None:
        left, _, right = torch.linalg.svd(user_position.T @ aligned_to.user_position)
        user_position, product_position = user_position @ left @ right, product_position @ left @ right
    forward = Adjacency.of(buys)
    return MessageGraph(
        buys=forward,
        bought_by=Adjacency(forward.transposed, forward.matrix),
        describes=Adjacency.of(catalogue),
        user_position=_unit_rows(user_position),
        product_position=_shrunk(product_position, known % purchases.product_count),
        popularity=_popularity(past, moment_ms, known, weight),
        known=known,
    )


def catalogue_matrix(data: HeteroData) -> sp.csr_array:
    """(products, brands + authors + categories with their ancestors + attributes), rows averaged."""
    blocks = []
    for edge in CATALOGUE_EDGES:
        index = data[edge].edge_index.numpy()
        shape = (data["product"].num_nodes, data[edge[2]].num_nodes)
        block = sp.csr_array((np.ones(index.shape[1], dtype=np.float32), (index[0], index[1])), shape=shape)
        blocks.append(_with_ancestors(block, data) if edge[2] == "category" else block)
    whole = sp.csr_array(sp.hstack(blocks))
    return sp.csr_array(sp.diags_array(1.0 / np.maximum(whole.sum(axis=1), 1.0)) @ whole).astype(np.float32)


def _with_ancestors(block: sp.csr_array, data: HeteroData) -> sp.csr_array:
    child, parent = data["category", "child_of", "category"].edge_index.numpy()
    size = data["category"].num_nodes
    up = sp.csr_array((np.ones(len(child), dtype=np.float32), (child, parent)), shape=(size, size))
    total, step = block, block
    while (step := sp.csr_array(step @ up)).nnz and total.nnz < block.nnz * 16:
        total = sp.csr_array(total + step)
    return total


def _normalised(known: np.ndarray, weight: np.ndarray, shape: tuple[int, int], product_power: float) -> sp.csr_array:
    """D^-1/2 A D^-power, users on the left; 0.5 is the symmetric normalisation of Kipf and Welling (2017)."""
    users, products = known // shape[1], known % shape[1]
    user_degree = np.bincount(users, weight, shape[0])[users]
    product_degree = np.bincount(products, weight, shape[1])[products]
    values = weight / (user_degree**0.5 * product_degree**product_power)
    return sp.csr_array((values.astype(np.float32), (users, products)), shape=shape)


def _positions(buys: sp.csr_array, width: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Left and right singular vectors of the `width` largest singular values, zero-padded on a small graph.

    Source: Halko, Martinsson and Tropp, Finding structure with randomness (2011).
    """
    random, transposed = np.random.default_rng(seed), sp.csr_array(buys.T)
    size = min(width + OVERSAMPLING, *buys.shape)
    basis = random.normal(size=(buys.shape[0], size)).astype(np.float32)
    for _ in range(POWER_ITERATIONS):
        basis = np.linalg.qr(buys @ (transposed @ basis))[0].astype(np.float32)
    projected = transposed @ basis
    turn, values, _ = np.linalg.svd(projected.T @ projected)
    kept = min(width, size)
    scale = np.maximum(values[:kept], 1e-6) ** 0.25
    left, right = (basis @ turn)[:, :kept] * scale, (projected @ turn)[:, :kept] / scale
    return _padded(left, width), _padded(right, width)


def _padded(side: np.ndarray, width: int) -> torch.Tensor:
    return torch.from_numpy(np.pad(side, ((0, 0), (0, width - side.shape[1]))).astype(np.float32))


SHRINKAGE_BUYERS = 5.0


def _shrunk(position: torch.Tensor, products: np.ndarray) -> torch.Tensor:
    """Directions whose length grows with the number of buyers up to 1: few buyers tell little about a product."""
    buyers = torch.from_numpy(np.bincount(products, minlength=len(position)).astype(np.float32))
    return _unit_rows(position) * (buyers / SHRINKAGE_BUYERS).clamp(max=1.0)[:, None]


def _unit_rows(matrix: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(matrix, dim=1, eps=1e-9)


def _popularity(past: Purchases, moment_ms: int, known: np.ndarray, weight: np.ndarray) -> torch.Tensor:
    count = past.product_count
    columns: Sequence[np.ndarray] = (
        past.since(moment_ms - 4 * WEEK_MS).buyers(),
        np.bincount(known % count, weight, count),
        np.bincount(known % count, minlength=count),
    )
    logs = np.log1p(np.stack(columns, axis=1))
    return torch.from_numpy(((logs - logs.mean(axis=0)) / np.maximum(logs.std(axis=0), 1e-6)).astype(np.float32))


def _to_torch(matrix: sp.csr_array) -> torch.Tensor:
    matrix.sort_indices()
    rows, columns = (torch.from_numpy(part.astype(np.int64)) for part in (matrix.indptr, matrix.indices))
    values = torch.from_numpy(matrix.data.astype(np.float32))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support", UserWarning)
        return torch.sparse_csr_tensor(rows, columns, values, matrix.shape, check_invariants=False)
