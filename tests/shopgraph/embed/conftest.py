"""Two tastes, planted: readers buy books, runners buy shoes, and one purchase each is withheld."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

from shopgraph.dataset.snapshot import Snapshot, assemble
from shopgraph.dataset.split import HOLDOUT, Holdout
from shopgraph.embed import training
from shopgraph.embed.encoders import build_encoder
from shopgraph.embed.message_graph import MessageGraph
from shopgraph.learning.trained import TrainedEmbedding
from shopgraph.records import NODE_TABLES, RELATION_TABLES

START = datetime(2026, 1, 5, tzinfo=UTC)
END = START + timedelta(weeks=16)
USERS, PRODUCTS = 48, 24

Planted = Callable[..., tuple[Snapshot, Holdout]]


def nodes(label: str, ids: list[str]) -> pa.Table:
    return pa.Table.from_pylist([{"id": node} for node in ids], schema=NODE_TABLES[label])


def relation(name: str, rows: list[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=RELATION_TABLES[name])


@pytest.fixture
def planted() -> Planted:
    return make_planted


def make_planted(
    order: np.ndarray | None = None, users: list[str] | None = None, products: list[str] | None = None, more: int = 0
) -> tuple[Snapshot, Holdout]:
    """Even users buy even products, odd users odd ones, a new one every other week; the last is withheld.

    Args:
        order: of the purchases in their table.
        users, products: ids by number; by default in the order of the numbers.
        more: products, users and brands that no edge touches.
    """
    users = users or [f"u{user:02}" for user in range(USERS)]
    products = products or [f"p{product:02}" for product in range(PRODUCTS)]
    random = np.random.default_rng(3)
    lines, withheld = [], []
    for user in range(USERS):
        mine = random.permutation(np.arange(user % 2, PRODUCTS, 2))[:9]
        for turn, product in enumerate(mine):
            at = START + timedelta(days=12 * turn + int(random.integers(0, 10)), hours=user)
            entry = {
                "start": users[user],
                "end": products[product],
                "at": at,
                "quantity": 1,
                "amount": 2.0 + product + turn,
            }
            (lines if turn < 8 else withheld).append(
                {**entry, "line_id": f"{user}-{turn}", "order_id": f"{user}-{turn}"}
            )
    if order is not None:
        lines = [lines[row] for row in order]
    lonely = [f"zz{number}" for number in range(more)]
    labels = {
        "User": nodes("User", users + lonely),
        "Product": nodes("Product", products + lonely),
        "Brand": nodes("Brand", ["books", "shoes", *lonely]),
    }
    made_by = [{"start": product, "end": ("books", "shoes")[p % 2]} for p, product in enumerate(products)]
    tables = {"PURCHASED": relation("PURCHASED", lines), "MADE_BY": relation("MADE_BY", made_by)}
    columns = {"user": [w["start"] for w in withheld], "product": [w["end"] for w in withheld], "at": [END] * USERS}
    return assemble(labels, tables, END), Holdout(pa.table(columns, schema=HOLDOUT))


def shaken(name: str, options: dict[str, object], graph: MessageGraph, dimension: int) -> nn.Module:
    """Every parameter moved off its start, so that nothing holds by being 0."""
    model = build_encoder(name, options, graph.shape, dimension, seed=3)
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def killed_and_resumed(
    train: Callable[[], TrainedEmbedding], epoch: int, monkeypatch: pytest.MonkeyPatch
) -> TrainedEmbedding:
    """A training that ends before an epoch, and the same training begun again in its folder."""
    train_epoch = training.train_epoch

    def killed(*arguments):
        if arguments[6] == epoch:
            raise KeyboardInterrupt
        return train_epoch(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(training, "train_epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            train()
    return train()


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
