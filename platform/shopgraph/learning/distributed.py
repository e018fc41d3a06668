"""Data-parallel training: replicas of one model in processes that torchrun starts, with one gradient between them.

Each replica works on its share of a batch; gradients are averaged before the optimiser moves, so that all take the same
step and stay equal. They are reduced here and not by DistributedDataParallel's hooks: a step may hold several forward
passes, micro-batches and shares of unequal size, and exchanges its gradient once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from shopgraph.errors import InputError, ServiceError

Found = TypeVar("Found")
Items = TypeVar("Items", bound="Sequence[Any] | torch.Tensor")


@dataclass(frozen=True)
class Replica:
    """One process's place among those that train together."""

    rank: int = 0
    world: int = 1
    """How many they are."""
    device: str = "cpu"
    """Where this one computes."""

    @property
    def first(self) -> bool:
        """Whether it is the one that judges, reports and writes."""
        return self.rank == 0


ALONE = Replica()


@contextmanager
def process_group(device: str = "cpu", timeout_seconds: float = 600.0) -> Iterator[Replica]:
    """Join the processes that torchrun started together, and leave them at the end; without torchrun, train alone.

    Args:
        device: cpu joins by gloo; cuda by nccl, each process of a machine with a device of its own.
        timeout_seconds: longest wait for the others: to come, to take part in a step, or for the first to judge.

    Raises:
        ServiceError: not all came in time.
    """
    if "WORLD_SIZE" not in os.environ:
        yield Replica(device=device)
        return
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    cuda = device.startswith("cuda")
    if cuda:
        device = f"cuda:{os.environ.get('LOCAL_RANK', rank)}"
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(seconds=timeout_seconds))
    except RuntimeError as error:
        said = str(error).splitlines()[0]
        raise ServiceError(f"not all {world} training processes came within {timeout_seconds:g} s: {said}") from None
    try:
        yield Replica(rank, world, device)
    finally:
        dist.destroy_process_group()


def share(items: Items, rank: int, world: int) -> Items:
    """The part of a batch that one replica works on; the parts follow each other and differ by at most one item.

    Args:
        items: anything with a length and slices.

    Raises:
        InputError: a replica would have nothing to do.
    """
    if len(items) < world:
        raise InputError(f"a batch of {len(items)} cannot be shared by {world} processes: take a larger one")
    return items[len(items) * rank // world : len(items) * (rank + 1) // world]  # type: ignore[return-value]


def average_gradients(model: nn.Module, replica: Replica, weight: float = 1.0) -> None:
    """Give every replica the mean of their gradients; all must call it, or the others wait for their timeout.

    A parameter that took part in no replica's loss keeps no gradient, as it would in a single process.

    Args:
        weight: of this replica's gradient in the mean: the size of its share, where shares differ and losses are means.

    Raises:
        ServiceError: another replica is gone or silent.
    """
    if replica.world == 1:
        return
    parameters = [item for item in model.parameters() if item.requires_grad]
    gradients = [torch.zeros_like(item) if item.grad is None else item.grad for item in parameters]
    taking_part = [float(item.grad is not None) for item in parameters]
    flat = torch.cat([*(item.flatten() for item in gradients), gradients[0].new_tensor([1.0])]).mul_(weight)
    flags = flat.new_tensor(taking_part)
    with _answered(replica):
        dist.all_reduce(flat)
        dist.all_reduce(flags)
    means = (flat[:-1] / flat[-1]).split([item.numel() for item in parameters])
    for parameter, mean, taken in zip(parameters, means, flags.tolist(), strict=True):
        parameter.grad = mean.view_as(parameter).to(parameter.dtype) if taken else None


def mean_of(value: float, replica: Replica, weight: float = 1.0) -> float:
    """The weighted mean of one figure over the replicas, the same for all; all must call it."""
    if replica.world == 1:
        return value
    # nccl reduces nothing that lies outside its device
    sums = torch.tensor([value * weight, weight], dtype=torch.float64, device=replica.device)
    with _answered(replica):
        dist.all_reduce(sums)
    return float(sums[0] / sums[1])


def from_first(find: Callable[[], Found], replica: Replica) -> Found:
    """What the first replica finds, told to all; only the first looks, and all must call it."""
    if replica.world == 1:
        return find()
    told = [find() if replica.first else None]
    with _answered(replica):
        dist.broadcast_object_list(told, src=0, device=torch.device(replica.device))
    return told[0]  # type: ignore[return-value]


def synchronise(model: nn.Module, replica: Replica) -> None:
    """Give every replica the parameters and buffers of the first; all must call it."""
    if replica.world == 1:
        return
    with _answered(replica):
        for tensor in model.state_dict().values():
            dist.broadcast(tensor, src=0)


@contextmanager
def _answered(replica: Replica) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        said = str(error).splitlines()[0]
        raise ServiceError(
            f"process {replica.rank} of {replica.world} waited for another that ended or fell silent; "
            f"what that one says is the cause ({said})"
        ) from error
