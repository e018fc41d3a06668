"""Every way of passing messages against dense arithmetic, its gradient included."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from shopgraph.embed.adjacency import Adjacency

CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")
WEIGHTS = torch.tensor([[2.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 3.0, 1.0, 0.0]])


@pytest.fixture
def adjacency() -> Adjacency:
    return Adjacency.of(sp.csr_array(WEIGHTS.numpy()))


@pytest.fixture
def x() -> torch.Tensor:
    return torch.tensor([[1.0, -2.0], [0.5, 4.0], [3.0, 0.0], [9.0, 9.0]], requires_grad=True)


def dense(name: str) -> torch.Tensor:
    rows, columns = WEIGHTS.sum(dim=1, keepdim=True), WEIGHTS.sum(dim=0, keepdim=True)
    if name == "total":
        return WEIGHTS
    if name == "mean":
        return torch.where(rows > 0, WEIGHTS / rows, 0.0)
    return torch.where(WEIGHTS > 0, WEIGHTS / torch.sqrt(rows * columns), 0.0)


@pytest.mark.parametrize("name", ["total", "mean", "symmetric"])
def test_linear_passing_is_the_dense_product(name: str, adjacency: Adjacency, x: torch.Tensor) -> None:
    found = getattr(adjacency, name)(x)
    assert torch.allclose(found, dense(name) @ x)
    upstream = torch.tensor([[1.0, 2.0], [5.0, 5.0], [-1.0, 0.5]])
    (gradient,) = torch.autograd.grad(found, x, upstream)
    assert torch.allclose(gradient, dense(name).T @ upstream)


def test_the_maximum_is_taken_column_by_column_and_is_0_without_neighbours(
    adjacency: Adjacency, x: torch.Tensor
) -> None:
    found = adjacency.maximum(x)
    assert found.tolist() == [[3.0, 0.0], [0.0, 0.0], [3.0, 4.0]]
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert gradient.tolist() == [[0.0, 0.0], [0.0, 1.0], [2.0, 1.0], [0.0, 0.0]]


def test_attention_has_gradients_to_both_coefficients_and_rows(adjacency: Adjacency, x: torch.Tensor) -> None:
    attention = torch.tensor([0.5, 2.0, -1.0, 4.0], requires_grad=True)
    upstream = torch.tensor([[1.0, 2.0], [5.0, 5.0], [-1.0, 0.5]])
    found = adjacency.attend(x, attention)
    # edges in order: (0, 0), (0, 2), (2, 1), (2, 2)
    assert found.tolist() == [[0.5 * 1 + 2 * 3, 0.5 * -2], [0.0, 0.0], [-0.5 + 12, -4.0]]
    by_edge, by_row = torch.autograd.grad(found, (attention, x), upstream)
    assert by_edge.tolist() == [1 - 4, 3.0, -0.5 + 2, -3.0]
    assert torch.allclose(by_row[2], 2.0 * upstream[0] + 4.0 * upstream[2])


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=CUDA)])
def test_bf16_around_it_rounds_no_sum_and_leaves_gradients(device: str, adjacency: Adjacency) -> None:
    """257 is no number of bfloat16; what products of matrices bring under bf16 is of that type already."""
    there, attention = adjacency.to(device), torch.ones(4, device=device, requires_grad=True)
    x = torch.tensor([[257.0], [1.0], [0.0], [0.0]], device=device, requires_grad=True)
    with torch.autocast(device, dtype=torch.bfloat16):
        total, attended = there.total(x), there.attend(x.bfloat16(), attention)
    assert (total.dtype, attended.dtype) == (torch.float32, torch.float32)
    assert total[:, 0].tolist() == [2 * 257.0, 0.0, 3.0]
    by_edge, by_row = torch.autograd.grad(attended.sum(), (attention, x))
    assert by_edge.tolist() == [256.0, 0.0, 1.0, 0.0]
    assert by_row[:, 0].tolist() == [1.0, 1.0, 2.0, 0.0]


def test_softmax_sums_to_1_over_the_edges_of_each_target(adjacency: Adjacency) -> None:
    found = adjacency.softmax(torch.tensor([[1.0], [2.0], [500.0], [500.0]]))
    assert found[0].item() == pytest.approx(1 / (1 + np.e))
    assert found[:2].sum().item() == pytest.approx(1.0)
    assert found[2:, 0].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("name", ["total", "mean", "symmetric", "maximum"])
def test_edges_into_some_targets_keep_the_coefficients_of_the_whole(
    name: str, adjacency: Adjacency, x: torch.Tensor
) -> None:
    rows = torch.tensor([2, 1])
    part = adjacency.towards(rows)
    assert part.shape == (2, 4)
    assert torch.allclose(getattr(part, name)(x), getattr(adjacency, name)(x)[rows])
    whole = torch.autograd.grad(getattr(adjacency, name)(x)[rows].sum(), x)[0]
    assert torch.allclose(torch.autograd.grad(getattr(part, name)(x).sum(), x)[0], whole)


def test_reversed_edges_pass_the_other_way(adjacency: Adjacency) -> None:
    y = torch.tensor([[1.0], [10.0], [100.0]])
    assert torch.allclose(adjacency.reversed().total(y), WEIGHTS.T @ y)
    assert torch.allclose(adjacency.reversed().reversed().weight, adjacency.weight)
