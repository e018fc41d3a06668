"""What a model is tuned on: who stands for a text, who is a user, and what is never a negative."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from shopgraph.dataset.copurchase import Copurchases
from shopgraph.dataset.corpus import CorpusConfig, read_corpus
from shopgraph.dataset.satisfaction import SatisfactionConfig
from shopgraph.dataset.searches import SearchPairs
from shopgraph.dataset.snapshot import Snapshot, assemble
from shopgraph.records import NODE_TABLES, RELATION_TABLES
from shopgraph.text.examples import ExamplesConfig, Nodes, make_examples, representatives, text_inputs
from shopgraph.text.stages import ABSENT
from shopgraph.text.tuning import BOUGHT, RANKED

TITLES = {"a": "tea", "b": "honey", "c": "tea", "d": "wine"}
BOUGHT_BY = [("x", "c"), ("y", "c"), ("x", "a"), ("y", "b"), ("y", "b")]


def shop() -> Snapshot:
    lines = [
        {"start": user, "end": product, "line_id": str(n), "at": datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=n),
         "quantity": 1, "amount": 1.0, "discount": 0.0, "order_id": str(n)}
        for n, (user, product) in enumerate(BOUGHT_BY)
    ]  # fmt: skip
    titles = [{"id": product, "title": title} for product, title in TITLES.items()]
    return assemble(
        {
            "Product": pa.Table.from_pylist(titles, schema=NODE_TABLES["Product"]),
            "User": pa.Table.from_pylist([{"id": "x"}, {"id": "y"}], schema=NODE_TABLES["User"]),
        },
        {"PURCHASED": pa.Table.from_pylist(lines, schema=RELATION_TABLES["PURCHASED"])},
        datetime(2025, 1, 1, tzinfo=UTC),
    )


NODES = Nodes(np.array([0, 1, 2, ABSENT]), np.array([3, ABSENT]))
TOGETHER = Copurchases(
    np.array([[0, 1]]),
    np.empty((0, 2), np.int64),
    sp.csr_array(np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], bool)),
    np.inf,
)
SEARCHES = SearchPairs("s", ["something hot", "red"], np.array([[0, 0], [0, 2], [1, 3]]), np.ones(3), TOGETHER.holdout)
NO_SEARCHES = SearchPairs("s", [], np.empty((0, 2), np.int64), np.empty(0), TOGETHER.holdout)


def test_the_product_bought_by_most_stands_for_its_text():
    corpus = read_corpus(shop(), CorpusConfig())
    assert corpus.texts == ["honey", "tea", "wine"]
    found = representatives(shop(), corpus)
    assert [shop().ids("Product")[row] for row in found] == ["b", "c", "d"]
    inputs = text_inputs(corpus, found, NODES)
    assert [(item["text"], item["node"]) for item in inputs] == [("honey", 1), ("tea", 2), ("wine", ABSENT)]


def test_each_kind_names_its_items_and_spares_what_belongs_together():
    corpus = read_corpus(shop(), CorpusConfig())
    together, searched, bought = make_examples(shop(), corpus, TOGETHER, SEARCHES, NODES, ExamplesConfig(bought=2.0))
    assert (together.kind, searched.kind, bought.kind) == (RANKED, RANKED, BOUGHT)
    assert (together.share, bought.share) == (1.0, 2.0)

    named = [[searched.items[row]["text"] for row in pair] for pair in searched.pairs.tolist()]
    assert named == [["something hot", "tea"], ["red", "wine"]], "two products of one text are one pair"
    assert [item["node"] for item in searched.items[:2]] == [ABSENT, ABSENT]

    users = [bought.items[user] for user, _ in bought.pairs.tolist()]
    assert {(user["text"], user["node"]) for user in users} == {("", 3)}, "a user without a vector says nothing"
    products = [(bought.items[row]["text"], bought.items[row]["node"]) for _, row in bought.pairs.tolist()]
    assert products == [("tea", 0), ("tea", 2)]
    assert bought.satisfaction.tolist() == [0.5, 0.5]
    for each in (searched, bought):
        linked = each.links.toarray()
        assert linked[tuple(each.pairs.T)].all()
        assert (linked == linked.T).all()
        assert linked.sum() == 2 * len(each.pairs)


def test_kinds_that_are_not_there_or_not_wanted_are_left_out():
    corpus = read_corpus(shop(), CorpusConfig())
    nobody = Nodes(NODES.products, np.full(2, ABSENT))
    assert [e.kind for e in make_examples(shop(), corpus, TOGETHER, NO_SEARCHES, nobody, ExamplesConfig())] == [RANKED]
    config = ExamplesConfig(together=0.0, searched=0.0)
    assert [e.kind for e in make_examples(shop(), corpus, TOGETHER, SEARCHES, NODES, config)] == [BOUGHT]


def test_satisfaction_is_the_configured_one():
    corpus = read_corpus(shop(), CorpusConfig())
    config = ExamplesConfig(0.0, 0.0, satisfaction=SatisfactionConfig(bought=0.25))
    nodes = Nodes(NODES.products, np.array([3, 4]))
    (bought,) = make_examples(shop(), corpus, TOGETHER, SEARCHES, nodes, config)
    assert sorted(bought.satisfaction.tolist()) == [0.25, 0.25, 0.25, 1 - 0.75 * 0.5]
