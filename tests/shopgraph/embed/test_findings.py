"""Withheld brands are suggested, planted false purchases are the oddest; another snapshot is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from shopgraph.dataset.hetero import NODE_KINDS
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.embed.artefact import EncodingArtefact, open_artefact
from shopgraph.embed.config import GraphEmbeddingConfig
from shopgraph.embed.cuts import CutsConfig
from shopgraph.embed.edge import EdgeConfig
from shopgraph.embed.findings import missing_statements, odd_purchases
from shopgraph.embed.negatives import NegativesConfig
from shopgraph.embed.relation import RelationConfig
from shopgraph.embed.training import train_graph_embedding
from shopgraph.errors import InputError
from shopgraph.learning.loop import LoopConfig
from shopgraph.learning.optimiser import OptimiserConfig

GRAPH = GraphEmbeddingConfig(
    cuts=CutsConfig(count=2, spacing_weeks=3, supervision_weeks=3),
    negatives=NegativesConfig(count=20),
    dimension=16,
    affinity_width=0,
    loop=LoopConfig(epochs=6),
)
RELATION = RelationConfig(triples_per_batch=2, held_share=0.25, loop=LoopConfig(epochs=12, patience=12, metric="mrr"))
EDGE = EdgeConfig(
    hidden=8,
    edges_per_batch=16,
    optimiser=OptimiserConfig(learning_rate=0.02),
    loop=LoopConfig(epochs=20, patience=20, metric="auc"),
)
WITHHELD = np.array([1, 3, 5, 7, 8, 10])
"""Four shoes and two books: books are the most frequent brand of the rest."""


def trained(snapshot: Snapshot, folder: Path, epochs: int = 2, text: np.ndarray | None = None) -> EncodingArtefact:
    config = replace(GRAPH, text_features=text is not None)
    found = train_graph_embedding(snapshot, config, None, "cpu", 7, folder, epochs=epochs, text=text)
    assert "inductive.pt" in found.files
    return open_artefact(folder)


def test_brands_withheld_from_products_are_suggested(planted: Any, tmp_path: Path) -> None:
    whole = planted()[0]
    made_by = whole.relations["MADE_BY"]
    kept = made_by.filter(~np.isin(made_by["start"].to_numpy(), WITHHELD))
    snapshot = replace(whole, relations={**whole.relations, "MADE_BY": kept})
    artefact = trained(snapshot, tmp_path)
    told = missing_statements(artefact, snapshot, "MADE_BY", RELATION, tmp_path / "relation", seed=7)
    brands = {f"p{row:02}": ("books", "shoes")[row % 2] for row in WITHHELD.tolist()}
    assert {item.product: item.tail for item in told.found} == brands
    chances = [item.probability for item in told.found]
    assert chances == sorted(chances, reverse=True)
    assert told.metrics["mrr"] > told.metrics["frequent.mrr"]
    few = missing_statements(artefact, snapshot, "MADE_BY", RELATION, tmp_path / "few", seed=7, limit=2, depth=2)
    assert [item.product for item in few.found] == [item.product for item in told.found[:2] for _ in range(2)]


def with_false_purchases(snapshot: Snapshot) -> tuple[Snapshot, set[tuple[str, str]]]:
    """The last twelve purchases a day before the end; the first four of them, told by user and product, are false."""
    lines = snapshot.relations["PURCHASED"].sort_by("at")
    earlier, last = lines.slice(0, lines.num_rows - 12), lines.slice(lines.num_rows - 12)
    products = last["end"].to_numpy() ^ (np.arange(12) < 4)  # the first four get a product of the other taste
    day_before_end = pa.array([snapshot.before - timedelta(days=1)] * 12, lines.schema.field("at").type)
    for name, column in (("end", pa.array(products, lines.schema.field("end").type)), ("at", day_before_end)):
        last = last.set_column(lines.schema.get_field_index(name), lines.schema.field(name), column)
    shop = replace(snapshot, relations={**snapshot.relations, "PURCHASED": pa.concat_tables([earlier, last])})
    user_ids, product_ids = snapshot.ids("User"), snapshot.ids("Product")
    false = zip(last["start"].to_pylist()[:4], products[:4].tolist(), strict=True)
    return shop, {(user_ids[user], product_ids[product]) for user, product in false}


def test_purchases_of_the_other_taste_are_the_oddest(planted: Any, tmp_path: Path) -> None:
    snapshot = planted()[0]
    artefact = trained(snapshot, tmp_path, epochs=6)
    shop, false = with_false_purchases(snapshot)
    odd = odd_purchases(artefact, shop, EDGE, tmp_path / "odd", seed=7, limit=4)
    assert {(item.user, item.product) for item in odd.found} == false
    assert odd.judged == 12
    assert odd.found[0].at == snapshot.before - timedelta(days=1)
    assert odd.metrics["auc"] > odd.metrics["cosine.auc"]


def test_an_encoder_that_reads_texts_finds_odd_purchases_too(planted: Any, tmp_path: Path) -> None:
    snapshot = planted()[0]
    artefact = trained(snapshot, tmp_path, epochs=6, text=np.eye(2, dtype=np.float32)[np.arange(24) % 2])
    shop, false = with_false_purchases(snapshot)
    odd = odd_purchases(artefact, shop, EDGE, tmp_path / "odd", seed=7, limit=4)
    assert len({(item.user, item.product) for item in odd.found} & false) >= 3


def test_no_text_gives_a_statement_away(planted: Any, tmp_path: Path) -> None:
    """The texts say the brand, as real ones do: what is suggested is the same whichever product says which."""
    whole = planted()[0]
    made_by = whole.relations["MADE_BY"]
    kept = made_by.filter(~np.isin(made_by["start"].to_numpy(), WITHHELD))
    snapshot = replace(whole, relations={**whole.relations, "MADE_BY": kept})
    text = np.eye(2, dtype=np.float32)[np.arange(24) % 2]
    artefact = trained(snapshot, tmp_path, text=text)
    assert np.array_equal(artefact.text, text)
    product = artefact.graph.features["product"]
    mixed = torch.cat([product[:, :-2], product[:, -2:].flip(0)], dim=1)
    lying = replace(artefact, graph=replace(artefact.graph, features={"product": mixed}))
    told, lied = (
        missing_statements(known, snapshot, "MADE_BY", RELATION, tmp_path / name, seed=7)
        for known, name in ((artefact, "told"), (lying, "lied"))
    )
    assert [(item.product, item.tail) for item in told.found] == [(item.product, item.tail) for item in lied.found]
    assert told.metrics == pytest.approx(lied.metrics)
    assert len(told.found) == len(WITHHELD)


def test_what_cannot_be_learned_is_refused(planted: Any, tmp_path: Path) -> None:
    snapshot = planted()[0]
    artefact = trained(snapshot, tmp_path)
    assert missing_statements(artefact, snapshot, "MADE_BY", RELATION, tmp_path / "none", seed=7).found == []
    assert not (tmp_path / "none").exists()  # where all is stated nothing is learned
    with pytest.raises(InputError, match="BOUGHT is no relation of products in the catalogue: choose from MADE_BY"):
        missing_statements(artefact, snapshot, "BOUGHT", RELATION, tmp_path / "a", seed=7)
    other = planted(more=2)[0]
    with pytest.raises(InputError, match=r"knows 24 nodes of Product, snapshot .* has 26"):
        odd_purchases(artefact, other, EDGE, tmp_path / "b", seed=7)
    quiet = snapshot.relations["PURCHASED"].sort_by("at").slice(0, 200)
    without = replace(snapshot, relations={**snapshot.relations, "PURCHASED": quiet})
    with pytest.raises(InputError, match="no purchase in its last week"):
        odd_purchases(artefact, without, EDGE, tmp_path / "c", seed=7)
    assert set(NODE_KINDS.values()) == set(artefact.vocabulary)
