"""A node that came later has the vector that the whole forward pass over the graph with it in it gives.

Held equal on both sides: positions, features and counts of the nodes that were there, what counts are standardised by,
and the mean positions of brands, categories and attributes, which a product without buyers would pull towards 0.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from shopgraph.dataset.purchases import to_ms
from shopgraph.dataset.snapshot import Snapshot, assemble
from shopgraph.embed.artefact import EncodingArtefact, open_artefact, write_artefact
from shopgraph.embed.config import GraphEmbeddingConfig
from shopgraph.embed.encoders import build_encoder
from shopgraph.embed.head import POLES
from shopgraph.embed.inductive import encode_products, encode_unbought, encode_users
from shopgraph.embed.message_graph import MessageGraph, MessageGraphs, described_by
from shopgraph.embed.structure import activity, activity_standard, folded
from shopgraph.embed.training import encode, train_graph_embedding
from shopgraph.errors import InputError
from shopgraph.newcomers import ARTEFACT_FILE, NewProduct, NewUser
from shopgraph.records import NODE_TABLES, RELATION_TABLES

from .conftest import END

WIDTH = 16
LATE_PRODUCT, LATE_USER = "p05x", "u03x"
STATED = {
    "MADE_BY": ["b1"],
    "IN_CATEGORY": ["FOOD > SOUP", "FOOD > BREAD"],
    "HAS_ATTRIBUTE": ["a=1", "a=2"],
}
EVENTS = {
    "PURCHASED": [("p01", 3.0), ("p03", 20.0), ("p03", 1.0), ("p07", 60.0)],
    "VIEWED": [("p09", 2.0)],
    "SEARCHED": [("shoes", 5.0)],
}
SEGMENT = {"age": "25-34"}
MODELS = [
    *((name, {"layers": layers}) for name in ("gcn", "graphsage", "gat", "hgt") for layers in (1, 2)),
    ("graphsage", {"aggregation": "sum"}),
    ("graphsage", {"aggregation": "max"}),
]


def shop(late_product: bool = False, late_user: bool = False) -> Snapshot:
    """Odd users buy odd products, even ones even; two brands, a tree of categories, attributes, segments and views."""
    random = np.random.default_rng(11)
    products = [f"p{number:02}" for number in range(14)]
    users = [f"u{number:02}" for number in range(20)]
    events = [
        ("PURCHASED", user, product, float(random.uniform(0.1, 90)))
        for u, user in enumerate(users)
        for product in random.choice(products[u % 2 :: 2], 5)
    ]
    events += [("VIEWED", user, products[int(random.integers(14))], 7.0) for user in users]
    events += [("SEARCHED", user, ("books", "shoes")[u % 2], 4.0) for u, user in enumerate(users)]
    edges = [("MADE_BY", product, f"b{p % 2}") for p, product in enumerate(products)]
    edges += [("IN_CATEGORY", product, ("FOOD > SOUP", "FOOD > BREAD")[p % 2]) for p, product in enumerate(products)]
    edges += [("HAS_ATTRIBUTE", product, f"a={p % 3}") for p, product in enumerate(products)]
    edges += [("CHILD_OF", category, "FOOD") for category in ("FOOD > SOUP", "FOOD > BREAD")]
    if late_product:
        products.append(LATE_PRODUCT)
        edges += [(name, LATE_PRODUCT, end) for name, ends in STATED.items() for end in ends]
    if late_user:
        users.append(LATE_USER)
        events += [(name, LATE_USER, end, days) for name, did in EVENTS.items() for end, days in did]
    nodes = {
        "User": [{"id": user, "age": ("19-24", "25-34")[u % 2]} for u, user in enumerate(users)],
        "Product": [{"id": product, "package_size": ("1 OZ", "")[p % 2]} for p, product in enumerate(products)],
        **{label: [{"id": node} for node in ids] for label, ids in {
            "Brand": ["b0", "b1"], "Category": ["FOOD", "FOOD > BREAD", "FOOD > SOUP"],
            "Attribute": ["a=0", "a=1", "a=2"], "SearchTerm": ["books", "shoes"]}.items()},
    }  # fmt: skip
    if late_user:
        nodes["User"][-1]["age"] = SEGMENT["age"]
    rows: dict[str, list[dict]] = {name: [] for name in RELATION_TABLES}
    for number, (name, start, end, days) in enumerate(events):
        more = {"quantity": 1, "amount": 2.0 + number % 7, "order_id": str(number)} if name == "PURCHASED" else {}
        rows[name].append(
            {"start": start, "end": end, "at": END - timedelta(days=days), "line_id": str(number), **more}
        )
    for name, start, end in edges:
        rows[name].append({"start": start, "end": end})
    return assemble(
        {label: pa.Table.from_pylist(entries, NODE_TABLES[label]) for label, entries in nodes.items()},
        {name: pa.Table.from_pylist(entries, RELATION_TABLES[name]) for name, entries in rows.items()},
        END,
    )


def graphs_of(snapshot: Snapshot, affinity: int = 0, text: np.ndarray | None = None) -> MessageGraphs:
    return MessageGraphs(snapshot, WIDTH - POLES - affinity, 20.0, 0, text, affinity_width=affinity)


def learned(
    name: str, options: dict, folder: Path, text: np.ndarray | None = None, affinity: int = 0
) -> EncodingArtefact:
    """An encoder whose every parameter says something, kept and opened again."""
    snapshot = shop()
    graphs = graphs_of(snapshot, affinity, text)
    whole = graphs.before(graphs.end_ms)
    model = build_encoder(name, options, whole.shape, WIDTH, 1)
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.5)
    width = 0 if text is None else text.shape[1]
    write_artefact(folder / ARTEFACT_FILE, model, (name, options, WIDTH), whole, graphs, snapshot, width)
    return open_artefact(folder)


def frozen(snapshot: Snapshot, artefact: EncodingArtefact, text: np.ndarray | None = None) -> MessageGraph:
    """The whole graph of a later snapshot; the nodes that were there keep what they were."""
    early = artefact.graph
    shape, width = early.shape, early.position["product"].shape[1]
    graphs = MessageGraphs(snapshot, width, artefact.half_life_weeks, 0, text, affinity_width=shape.affinity)
    late = graphs.before(graphs.end_ms)

    def kept(label: str, was: torch.Tensor, now: torch.Tensor) -> torch.Tensor:
        rows = artefact.vocabulary[label.lower()].known(snapshot.ids(label))
        merged = now.clone()
        merged[torch.from_numpy(rows >= 0)] = was[rows[rows >= 0]]
        return merged

    return replace(
        late,
        pooled=early.pooled,
        position={k: kept(k.title(), early.position[k], late.position[k]) for k in ("user", "product")},
        features={k: kept(k.title(), early.features[k], found) for k, found in late.features.items()},
        popularity=kept("Product", early.popularity, late.popularity),
        activity=kept("User", early.activity, activity(graphs.purchases, graphs.end_ms, artefact.activity)),
        affinity=early.affinity and replace(early.affinity, user=kept("User", early.affinity.user, late.affinity.user)),
    )


def ms(days: float) -> int:
    return to_ms(END - timedelta(days=days))


def new_product() -> NewProduct:
    above = ["FOOD", "FOOD"]  # one way up from each category
    return NewProduct(LATE_PRODUCT, {**STATED, "IN_CATEGORY": [*STATED["IN_CATEGORY"], *above]}, package_size=True)


def new_user(name: str = LATE_USER) -> NewUser:
    return NewUser(name, {name: [(end, ms(days)) for end, days in did] for name, did in EVENTS.items()}, SEGMENT)


@pytest.mark.parametrize("affinity", [0, 4])
@pytest.mark.parametrize(("name", "options"), MODELS)
def test_a_late_product_has_the_vector_of_the_whole_forward_pass(
    name: str, options: dict, affinity: int, tmp_path: Path
) -> None:
    artefact = learned(name, options, tmp_path, affinity=affinity)
    snapshot = shop(late_product=True)
    row = snapshot.ids("Product").index(LATE_PRODUCT)
    whole = frozen(snapshot, artefact)
    assert whole.position["product"][row].abs().max() == 0
    expected = encode(artefact.encoder, whole)["product"][row]
    found = encode_products(artefact, [new_product()])
    assert np.abs(found[0] - expected).max() < 1e-5
    silent = encode_products(artefact, [NewProduct(LATE_PRODUCT, {}, package_size=True)])
    assert np.abs(silent[0] - expected).max() > 1e-2


@pytest.mark.parametrize(("name", "options"), MODELS)
def test_a_known_product_unbought_is_a_newcomer_of_the_same_catalogue(name: str, options: dict, tmp_path: Path) -> None:
    artefact = learned(name, options, tmp_path)
    snapshot = shop()
    found = encode_unbought(artefact, at_once=1)
    assert found.ids == snapshot.ids("Product")
    for row, product in enumerate(found.ids):
        stated = {
            "MADE_BY": [f"b{row % 2}"],
            "IN_CATEGORY": ["FOOD", ("FOOD > SOUP", "FOOD > BREAD")[row % 2]],
            "HAS_ATTRIBUTE": [f"a={row % 3}"],
        }
        expected = encode_products(artefact, [NewProduct(product, stated, package_size=row % 2 == 0)])
        assert np.abs(found.matrix[row] - expected[0]).max() < 1e-5
    bought = encode(artefact.encoder, artefact.graph)["product"]
    assert np.abs(found.matrix - bought).max() > 1e-2
    assert np.allclose(np.linalg.norm(encode_unbought(artefact, at_once=5).matrix, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("affinity", [0, 4])
@pytest.mark.parametrize(("name", "options"), MODELS)
def test_a_late_user_has_the_vector_of_the_whole_forward_pass(
    name: str, options: dict, affinity: int, tmp_path: Path
) -> None:
    artefact = learned(name, options, tmp_path, affinity=affinity)
    snapshot = shop(late_user=True)
    row = snapshot.ids("User").index(LATE_USER)
    whole = frozen(snapshot, artefact)
    graphs = graphs_of(snapshot)
    keys, weight = graphs.purchases.decayed(graphs.end_ms, 20.0)
    weights = graphs.purchases.matrix(keys, np.sqrt(weight))[[row]]
    whole.position["user"][row] = folded(weights, artefact.graph.fold_in)[0]
    if affinity:
        described = described_by(artefact.graph.relations)
        whole.affinity.user[row] = artefact.graph.affinity.folded(weights, described)[0]
    expected = encode(artefact.encoder, whole)["user"][row]
    found = encode_users(artefact, [new_user()])
    assert np.abs(found[0] - expected).max() < 1e-5


@pytest.mark.parametrize(("name", "options"), [("gcn", {"layers": 2}), ("hgt", {"layers": 2})])
def test_a_user_who_was_there_is_taken_out_of_the_graph_first(name: str, options: dict, tmp_path: Path) -> None:
    """Encoded with the same behaviour as in the snapshot, the vector is the snapshot's: no one hears themself twice."""
    artefact, snapshot = learned(name, options, tmp_path), shop()
    user = "u07"
    row = snapshot.ids("User").index(user)
    behaviour = {}
    for relation, label in (("PURCHASED", "Product"), ("VIEWED", "Product"), ("SEARCHED", "SearchTerm")):
        lines = snapshot.relations[relation].to_pylist()
        ends = snapshot.ids(label)
        behaviour[relation] = [(ends[line["end"]], to_ms(line["at"])) for line in lines if line["start"] == row]
    found = encode_users(artefact, [NewUser(user, behaviour, {"age": "25-34"})])
    assert np.abs(found[0] - encode(artefact.encoder, artefact.graph)["user"][row]).max() < 1e-4


def test_folding_in_finds_the_users_who_were_there(tmp_path: Path) -> None:
    graphs = graphs_of(shop(), affinity=3)
    for whole in (graphs.before(graphs.end_ms), graphs.before(graphs.end_ms, graphs.before(ms(40)))):
        keys, weight = graphs.purchases.decayed(graphs.end_ms, 20.0)
        weights = graphs.purchases.matrix(keys, np.sqrt(weight))
        assert torch.allclose(folded(weights, whole.fold_in), whole.position["user"], atol=1e-3)
        places = whole.affinity.folded(weights, described_by(whole.relations))
        assert torch.allclose(places, whole.affinity.user, atol=1e-3)


def test_later_counts_are_standardised_like_those_of_the_snapshot() -> None:
    graphs = graphs_of(shop())
    standard = activity_standard(graphs.purchases, graphs.end_ms)
    one = graphs.purchases.chosen(graphs.purchases.users == 4)
    assert torch.allclose(activity(one, graphs.end_ms, standard)[4], activity(graphs.purchases, graphs.end_ms)[4])


def test_nodes_encoded_together_do_not_hear_of_each_other(tmp_path: Path) -> None:
    artefact = learned("graphsage", {}, tmp_path)
    strange = NewProduct("p99", {"MADE_BY": ["b0", "nobody"], "IN_CATEGORY": ["MOON"]})
    together = encode_products(artefact, [new_product(), strange])
    alone = encode_products(artefact, [replace(strange, stated={"MADE_BY": ["b0"]})])
    assert np.allclose(together[0], encode_products(artefact, [new_product()])[0], atol=1e-6)
    assert np.allclose(together[1], alone[0], atol=1e-6)
    assert encode_products(artefact, []).shape == (0, WIDTH)
    assert encode_users(artefact, []).shape == (0, WIDTH)


def test_text_is_asked_for_where_the_encoder_was_trained_with_it(tmp_path: Path) -> None:
    text = np.random.default_rng(0).normal(size=(14, 5)).astype(np.float32)
    artefact = learned("graphsage", {}, tmp_path, text)
    with pytest.raises(InputError, match="trained with text vectors"):
        encode_products(artefact, [new_product()])
    with pytest.raises(InputError, match=r"shape \(1, 4\), expected \(1, 5\)"):
        encode_products(artefact, [new_product()], np.zeros((1, 4), np.float32))
    said = encode_products(artefact, [new_product()], np.ones((1, 5), np.float32))
    assert not np.allclose(said, encode_products(artefact, [new_product()], -np.ones((1, 5), np.float32)), atol=1e-3)


def test_a_training_keeps_what_later_nodes_are_encoded_with(planted, tmp_path: Path) -> None:
    snapshot, _ = planted()
    config = GraphEmbeddingConfig(encoder="lightgcn", cuts={"by": "folds", "count": 2})
    trained = train_graph_embedding(snapshot, config, None, "cpu", 0, tmp_path / "lightgcn", epochs=1)
    assert list(trained.files) == ["model.pt"]
    with pytest.raises(InputError, match=r"lightgcn can't encode what came after its snapshot"):
        open_artefact(tmp_path / "lightgcn")
    config = replace(config, encoder="graphsage")
    trained = train_graph_embedding(snapshot, config, None, "cpu", 0, tmp_path / "sage", epochs=1)
    artefact = open_artefact(trained.files[ARTEFACT_FILE].parent)
    again = encode(artefact.encoder, artefact.graph)
    assert np.allclose(again["product"], trained.vectors["Product"].matrix, atol=1e-6)
    runner = NewUser("late", {"PURCHASED": [(f"p{number:02}", to_ms(END)) for number in (1, 3, 5)]}, {})
    nearest = np.argsort(-(again["product"] @ encode_users(artefact, [runner])[0]))[:8]
    assert (nearest % 2 == 1).all()
    (tmp_path / "sage" / ARTEFACT_FILE).write_bytes(b"cut short")
    with pytest.raises(InputError, match="is damaged"):
        open_artefact(tmp_path / "sage")


def test_a_product_that_nobody_bought_is_ranked_by_who_buys_its_brand(planted, tmp_path: Path) -> None:
    snapshot, _ = planted()
    config = GraphEmbeddingConfig(dimension=24, affinity_width=8, cuts={"by": "folds", "count": 2})
    trained = train_graph_embedding(snapshot, config, None, "cpu", 0, tmp_path, epochs=1)
    named = [NewProduct(f"new {brand}", {"MADE_BY": [brand]}) for brand in ("books", "shoes")]
    book, shoe = encode_products(open_artefact(tmp_path), named)
    users = trained.vectors["User"].matrix
    reads = np.arange(len(users)) % 2 == 0
    assert ((users @ book > users @ shoe) == reads).all()
