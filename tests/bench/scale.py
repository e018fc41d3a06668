"""`make bench-scale`: training steps on a generated shop of 10 million purchase edges, by neighbour sampling.

Activity and popularity follow power laws; each step tells pairs bought after the graph's moment from chance pairs.
Positions are random directions (singular vectors of such a graph cost more than the steps), so the figures are of speed
and memory alone: nothing here is learned that could be judged.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from machine import PeakMemory, write
from torch.nn.functional import binary_cross_entropy_with_logits, normalize

from shopgraph.embed.encoders import build_encoder
from shopgraph.embed.message_graph import PURCHASED, MessageGraph, both_ways
from shopgraph.embed.sampled_graph import Neighbourhoods
from shopgraph.embed.sampling import SamplingConfig
from shopgraph.embed.structure import ACTIVITY_FEATURES, POPULARITY_FEATURES
from shopgraph.memory import kept_pages

EDGES, BATCHES, SEEDS = 10_000_000, 1_000, 4_096
EDGES_PER_USER, EDGES_PER_PRODUCT = 10, 50
ACTIVITY_POWER, POPULARITY_POWER = 0.4, 0.8
YEAR_MS = 365 * 24 * 3600 * 1000
DIMENSION = 64
SAMPLING = SamplingConfig((10, 5))
SEED = 7


@dataclass(frozen=True)
class Shop:
    """A message graph at a moment, and the pairs bought after it.

    Shapes:
        later: (2, pairs), users and products
    """

    graph: MessageGraph
    later: torch.Tensor


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--edges", type=int, default=EDGES, help="purchase edges of the graph")
    options.add_argument("--batches", type=int, default=BATCHES, help=f"steps of {SEEDS} seeds each")
    asked = options.parse_args()
    with PeakMemory(os.getpid()) as memory, kept_pages():
        started = time.perf_counter()
        shop = generated(asked.edges)
        generated_s = time.perf_counter() - started
        neighbourhoods = Neighbourhoods(shop.graph, SAMPLING, "cpu")
        prepared_s = time.perf_counter() - started - generated_s
        nodes = list(steps(shop, neighbourhoods, asked.batches))
    steps_s = time.perf_counter() - started - generated_s - prepared_s
    name = f"scale.edges_{asked.edges // 1_000_000}m" if asked.edges % 1_000_000 == 0 else f"scale.edges_{asked.edges}"
    figures = {
        f"{name}.batches_per_s": asked.batches / steps_s,
        f"{name}.peak_gib": memory.peak_bytes / 2**30,
        f"{name}.batches": asked.batches,
        f"{name}.nodes_per_batch": float(np.mean(nodes)),
        f"{name}.generate_s": generated_s,
        f"{name}.prepare_s": prepared_s,
    }
    path = write("scale", figures, {})
    for key, value in figures.items():
        print(f"{key} {value:,.2f}")
    print(f"written to {path}")


def generated(edges: int) -> Shop:
    """A year of distinct pairs, and a tenth as many that come after the moment."""
    random = np.random.default_rng(SEED)
    users, products = max(2, edges // EDGES_PER_USER), max(2, edges // EDGES_PER_PRODUCT)
    wanted = edges + edges // 10
    # popular rows lie anywhere, as a shop's do
    user_at, product_at = random.permutation(users), random.permutation(products)
    keys = np.zeros(0, np.int64)
    while len(keys) < wanted:
        missing = int(1.2 * (wanted - len(keys))) + 1
        user = user_at[power_law(users, ACTIVITY_POWER, missing, random)]
        product = product_at[power_law(products, POPULARITY_POWER, missing, random)]
        keys = np.union1d(keys, user * products + product)
    random.shuffle(keys)
    past, later = np.sort(keys[:edges]), keys[edges:wanted]
    relations = both_ways(PURCHASED, weights(past, (users, products), random), random.integers(0, YEAR_MS, edges))
    generator = torch.Generator().manual_seed(SEED)

    def drawn(rows: int, columns: int) -> torch.Tensor:
        return torch.randn((rows, columns), generator=generator)

    graph = MessageGraph(
        relations=relations,
        features={},
        position={
            "user": normalize(drawn(users, DIMENSION - 2), dim=1),
            "product": normalize(drawn(products, DIMENSION - 2), dim=1),
        },
        fold_in=torch.zeros((products, DIMENSION - 2)),
        pooled={},
        popularity=drawn(products, POPULARITY_FEATURES),
        activity=drawn(users, ACTIVITY_FEATURES),
        sizes={"user": users, "product": products},
        known=past,
        moment_ms=YEAR_MS,
    )
    return Shop(graph, torch.from_numpy(np.stack([later // products, later % products])))


def power_law(size: int, power: float, count: int, random: np.random.Generator) -> np.ndarray:
    """(count,) numbers below a size, number n drawn in proportion to (n + 1)^-power, by the inverse of its integral."""
    share = random.random(count)
    drawn = (((size + 1) ** (1 - power) - 1) * share + 1) ** (1 / (1 - power)) - 1
    return np.minimum(drawn.astype(np.int64), size - 1)


def weights(keys: np.ndarray, shape: tuple[int, int], random: np.random.Generator) -> sp.csr_array:
    values = random.random(len(keys), dtype=np.float32) + 0.5
    return sp.csr_array((values, (keys // shape[1], keys % shape[1])), shape=shape)


def steps(shop: Shop, neighbourhoods: Neighbourhoods, count: int) -> Iterator[int]:
    """Forward, backward and Adam, half a batch's seeds being users, half products; the nodes of each sub-graph."""
    random = np.random.default_rng(SEED)
    model = build_encoder("graphsage", {"layers": len(SAMPLING.num_neighbors)}, shop.graph.shape, DIMENSION, SEED)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    sizes = shop.graph.sizes
    half = min(SEEDS // 2, *sizes.values())
    for number in range(count):
        user, product = shop.later[:, random.integers(0, shop.later.shape[1], half)]
        users, row = torch.unique(user, return_inverse=True)
        chance = torch.from_numpy(random.integers(0, sizes["product"], half))
        products, column = torch.unique(torch.cat([product, chance]), return_inverse=True)
        part, places = neighbourhoods.around({"user": users, "product": products}, number)
        found = model(part, places)
        real, false = column.split(half)
        logits = torch.cat([(found["user"][row] * found["product"][each]).sum(dim=1) for each in (real, false)])
        labels = torch.cat([torch.ones(half), torch.zeros(half)])
        loss = binary_cross_entropy_with_logits(logits * model.scale, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        yield sum(part.sizes.values())


if __name__ == "__main__":
    main()
