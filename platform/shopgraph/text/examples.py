"""What a fused model is tuned on: pairs of products bought together, of searches and what they led to, of users and
what they bought, all of one snapshot."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp

from shopgraph.dataset.copurchase import Copurchases
from shopgraph.dataset.corpus import Corpus
from shopgraph.dataset.purchases import Purchases
from shopgraph.dataset.satisfaction import SatisfactionConfig, read_satisfaction
from shopgraph.dataset.searches import SearchPairs
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.text.stages import Input, fused_input
from shopgraph.text.tuning import BOUGHT, RANKED, Examples


@dataclass(frozen=True)
class ExamplesConfig:
    """How many of the steps each kind of pair gets, in proportion; a kind that the shop has none of gets none."""

    together: float = 1.0
    """Products bought together."""
    searched: float = 1.0
    """Queries and the products they led to."""
    bought: float = 1.0
    """Users and the products they bought; only with vectors of the graph, which stand for the users."""
    satisfaction: SatisfactionConfig = field(default_factory=SatisfactionConfig)


@dataclass(frozen=True)
class Nodes:
    """Where a snapshot's products and users stand among a model's graph vectors.

    Shapes:
        products, users: (products,), (users,) int64, ABSENT where a node has no vector
    """

    products: np.ndarray
    users: np.ndarray


def representatives(snapshot: Snapshot, corpus: Corpus) -> np.ndarray:
    """Of each text the product that the most users bought, the first of equals: (texts,), int64 product rows."""
    buyers = Purchases.of(snapshot).buyers()
    order = np.lexsort((np.arange(len(buyers)), -buyers, corpus.text_of))
    first = np.searchsorted(corpus.text_of[order], np.arange(len(corpus.texts)))
    return order[first]


def text_inputs(corpus: Corpus, products: np.ndarray, nodes: Nodes) -> list[Input]:
    """An input for each text, with the graph vector of the product that represents it."""
    return [fused_input(text, int(nodes.products[row])) for text, row in zip(corpus.texts, products, strict=True)]


def make_examples(
    snapshot: Snapshot,
    corpus: Corpus,
    copurchases: Copurchases,
    searches: SearchPairs,
    nodes: Nodes,
    config: ExamplesConfig,
) -> list[Examples]:
    """Kinds of pairs that the shop has and that get a share of the steps."""
    texts = text_inputs(corpus, representatives(snapshot, corpus), nodes)
    found = []
    if config.together and len(copurchases.train):
        found.append(Examples(RANKED, texts, copurchases.train, copurchases.links, config.together))
    if config.searched and len(searches.train):
        found.append(_searched(corpus, texts, searches, config.searched))
    if config.bought and (nodes.users >= 0).any():
        found.append(_bought(snapshot, corpus, nodes, config))
    return [each for each in found if len(each.pairs)]


def _searched(corpus: Corpus, texts: list[Input], searches: SearchPairs, share: float) -> Examples:
    """Queries first, then texts: a query's product is known by its text."""
    queries = [fused_input(query) for query in searches.queries]
    led_to = np.stack([searches.train[:, 0], len(queries) + corpus.text_of[searches.train[:, 1]]], axis=1)
    pairs = np.unique(led_to, axis=0)
    return Examples(RANKED, [*queries, *texts], pairs, _links(pairs, len(queries) + len(texts)), share)


def _bought(snapshot: Snapshot, corpus: Corpus, nodes: Nodes, config: ExamplesConfig) -> Examples:
    """Users first, a user being an empty text with a vector of the graph; then products, each by its own vector."""
    liked = read_satisfaction(snapshot, config.satisfaction)
    known = nodes.users[liked.users] >= 0
    pairs = np.stack([liked.users[known], len(nodes.users) + liked.products[known]], axis=1)
    users = [fused_input("", int(node)) for node in nodes.users]
    products = [
        fused_input(corpus.texts[text], int(node))
        for text, node in zip(corpus.text_of.tolist(), nodes.products.tolist(), strict=True)
    ]
    links = _links(pairs, len(users) + len(products))
    return Examples(BOUGHT, [*users, *products], pairs, links, config.bought, liked.values[known])


def _links(pairs: np.ndarray, items: int) -> sp.csr_array:
    both = np.concatenate([pairs, pairs[:, ::-1]])
    return sp.csr_array((np.ones(len(both), bool), (both[:, 0], both[:, 1])), shape=(items, items))
