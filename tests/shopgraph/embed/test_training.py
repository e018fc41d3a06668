"""Two tastes, planted: readers buy books, runners buy shoes, and one purchase each is withheld."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from shopgraph.dataset.snapshot import Snapshot, assemble
from shopgraph.dataset.split import HOLDOUT, Holdout
from shopgraph.embed import training
from shopgraph.embed.training import GraphEmbeddingConfig, cut_graphs, train_graph_embedding
from shopgraph.errors import ConfigurationError, InputError
from shopgraph.learning.loop import LoopConfig
from shopgraph.records import NODE_TABLES, RELATION_TABLES

START = datetime(2026, 1, 5, tzinfo=UTC)
WEEKS = 16
END = START + timedelta(weeks=WEEKS)
CONFIG = GraphEmbeddingConfig(
    cuts=3, cut_spacing_weeks=3, supervision_weeks=3, negatives=20, positives_per_user=2, loop=LoopConfig(epochs=4)
)
USERS, PRODUCTS = 24, 24


def nodes(label: str, ids: list[str]) -> pa.Table:
    rows = [{"id": node} for node in ids]
    return pa.Table.from_pylist(rows, schema=NODE_TABLES[label])


def relation(name: str, rows: list[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=RELATION_TABLES[name])


def planted(order: np.ndarray | None = None) -> tuple[Snapshot, Holdout]:
    """Even users buy even products, odd users odd ones, a new one every other week; the last is withheld."""
    random = np.random.default_rng(3)
    lines, withheld = [], []
    for user in range(USERS):
        mine = random.permutation(np.arange(user % 2, PRODUCTS, 2))[:9]
        for turn, product in enumerate(mine):
            at = START + timedelta(days=12 * turn + int(random.integers(0, 10)), hours=user)
            entry = {"start": f"u{user:02}", "end": f"p{product:02}", "at": at, "quantity": 1, "amount": 2.0}
            (lines if turn < 8 else withheld).append(
                {**entry, "line_id": f"{user}-{turn}", "order_id": f"{user}-{turn}"}
            )
    if order is not None:
        lines = [lines[row] for row in order]
    labels = {
        "User": nodes("User", [f"u{user:02}" for user in range(USERS)]),
        "Product": nodes("Product", [f"p{product:02}" for product in range(PRODUCTS)]),
        "Brand": nodes("Brand", ["books", "shoes"]),
    }
    made_by = [{"start": f"p{p:02}", "end": ("books", "shoes")[p % 2]} for p in range(PRODUCTS)]
    tables = {"PURCHASED": relation("PURCHASED", lines), "MADE_BY": relation("MADE_BY", made_by)}
    columns = {"user": [w["start"] for w in withheld], "product": [w["end"] for w in withheld], "at": [END] * USERS}
    return assemble(labels, tables, END), Holdout(pa.table(columns, schema=HOLDOUT))


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_withheld_taste_comes_first(tmp_path: Path) -> None:
    snapshot, holdout = planted()
    trained = train_graph_embedding(snapshot, CONFIG, holdout, "cpu", 7, tmp_path)
    users, products = trained.vectors["User"].matrix, trained.vectors["Product"].matrix
    nearest = np.argsort(-(users @ products.T), axis=1)
    own_kind = (nearest[:, : PRODUCTS // 2] % 2) == (np.arange(USERS) % 2)[:, None]
    assert own_kind[:, :8].all()
    assert trained.metrics["novel.recall@20"] == 1.0
    assert np.allclose(np.linalg.norm(products, axis=1), 1.0, atol=1e-5)
    assert products.shape == (PRODUCTS, 64)


def test_supervision_never_feeds_message_passing() -> None:
    snapshot, _ = planted()
    cuts, whole = cut_graphs(snapshot, CONFIG, seed=7)
    assert len(cuts) == CONFIG.cuts
    for cut in cuts:
        passed = cut.graph.buys.matrix.to_dense() != 0
        users, products = cut.later.keys // PRODUCTS, cut.later.keys % PRODUCTS
        assert len(users)
        assert not passed[users, products].any()
        assert int(passed.sum()) == len(cut.graph.known)
    assert int((whole.buys.matrix.to_dense() != 0).sum()) == len(whole.known)


def test_the_order_of_edges_changes_nothing(tmp_path: Path) -> None:
    snapshot, holdout = planted()
    shuffled, _ = planted(np.random.default_rng(5).permutation(USERS * 8))
    assert shuffled.id == snapshot.id
    first = train_graph_embedding(snapshot, CONFIG, holdout, "cpu", 7, tmp_path / "a")
    second = train_graph_embedding(shuffled, CONFIG, holdout, "cpu", 7, tmp_path / "b")
    assert np.allclose(first.vectors["Product"].matrix, second.vectors["Product"].matrix, atol=1e-5)


def test_a_killed_run_goes_on_with_the_same_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot, holdout = planted()
    unbroken = train_graph_embedding(snapshot, CONFIG, holdout, "cpu", 7, tmp_path / "whole")
    train_epoch = training._train_epoch

    def killed(*arguments):
        if arguments[5] == 3:
            raise KeyboardInterrupt
        return train_epoch(*arguments)

    monkeypatch.setattr(training, "_train_epoch", killed)
    with pytest.raises(KeyboardInterrupt):
        train_graph_embedding(snapshot, CONFIG, holdout, "cpu", 7, tmp_path / "broken")
    monkeypatch.undo()
    resumed = train_graph_embedding(snapshot, CONFIG, holdout, "cpu", 7, tmp_path / "broken")
    assert [record.loss for record in resumed.curves] == pytest.approx([record.loss for record in unbroken.curves])
    assert np.allclose(resumed.vectors["User"].matrix, unbroken.vectors["User"].matrix, atol=1e-6)


def test_a_refit_trains_for_the_epochs_it_is_told(tmp_path: Path) -> None:
    snapshot, _ = planted()
    refit = train_graph_embedding(snapshot, CONFIG, None, "cpu", 7, tmp_path, epochs=2)
    assert [record.epoch for record in refit.curves] == [1, 2]
    assert refit.best_epoch == 2


def test_the_checkpoint_of_another_config_is_refused(tmp_path: Path) -> None:
    snapshot, holdout = planted()
    train_graph_embedding(snapshot, CONFIG, holdout, "cpu", 7, tmp_path)
    with pytest.raises(InputError, match="another config"):
        train_graph_embedding(snapshot, replace(CONFIG, temperature=0.2), holdout, "cpu", 7, tmp_path)


def test_what_can_be_known_before_the_first_step_is_said_before_it(tmp_path: Path) -> None:
    snapshot, holdout = planted()
    none = replace(snapshot, relations={**snapshot.relations, "PURCHASED": snapshot.relations["PURCHASED"].slice(0, 0)})
    one_user = pa.compute.equal(snapshot.relations["PURCHASED"]["start"], 0)
    one = replace(
        snapshot,
        relations={**snapshot.relations, "PURCHASED": snapshot.relations["PURCHASED"].filter(one_user)},
    )
    for wrong, said in ((none, "has no purchases"), (one, "single user")):
        with pytest.raises(InputError, match=said):
            train_graph_embedding(wrong, CONFIG, holdout, "cpu", 7, tmp_path)
    with pytest.raises(ConfigurationError, match="is not there"):
        train_graph_embedding(snapshot, CONFIG, holdout, "cuda:9", 7, tmp_path)
    with pytest.raises(ConfigurationError, match="epochs"):
        train_graph_embedding(snapshot, CONFIG, None, "cpu", 7, tmp_path)
