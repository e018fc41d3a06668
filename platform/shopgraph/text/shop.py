"""What a text model learns from: a snapshot's texts, purchases and searches, and the vectors of a graph version."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from shopgraph.dataset.copurchase import Copurchases, read_copurchases
from shopgraph.dataset.corpus import Corpus, read_corpus
from shopgraph.dataset.names import Names, read_names
from shopgraph.dataset.purchases import Purchases
from shopgraph.dataset.searches import SearchPairs, read_search_pairs
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.dataset.statements import read_statements
from shopgraph.registry import Vectors
from shopgraph.text.catalogue import nodes_of
from shopgraph.text.config import TextConfig
from shopgraph.text.examples import Nodes, make_examples, representatives, text_inputs
from shopgraph.text.stages import ABSENT, FusionConfig


@dataclass(frozen=True)
class GraphVectors:
    """The vectors that text is fused with, of one version of the graph embedding.

    Products are best given as the catalogue alone places them (see `encode_unbought`), which is how newcomers will be.
    """

    version: str
    products: Vectors
    users: Vectors

    def matrix(self) -> np.ndarray:
        """(products + users, dimension), products first."""
        return np.concatenate([self.products.matrix, self.users.matrix])

    def nodes(self, snapshot: Snapshot) -> Nodes:
        """Where a snapshot's products and users stand in the matrix."""
        users = nodes_of(snapshot.ids("User"), self.users.ids)
        users[users != ABSENT] += len(self.products.ids)
        return Nodes(nodes_of(snapshot.ids("Product"), self.products.ids), users)


class Shop:
    """What training reads of a snapshot, and of a version of the graph embedding.

    Attributes:
        queries: what people searched for, then names
        texts: all that are read: first the corpus's, then queries, and what stands for a user
        representatives: (texts,), int64: of each text the row of the product that stands for it
    """

    def __init__(
        self, snapshot: Snapshot, config: TextConfig, graph: GraphVectors | None, searches: SearchPairs | None
    ) -> None:
        self.snapshot, self.graph = snapshot, graph
        self.corpus: Corpus = read_corpus(snapshot, config.corpus)
        self.copurchases: Copurchases = read_copurchases(snapshot, self.corpus, config.copurchase)
        self.searches = searches or read_search_pairs(snapshot, config.searches)
        self.names: Names = read_names(snapshot, config.corpus, config.named_most if config.named else 0)
        self.queries = [*self.searches.queries, *self.names.names]
        self.texts = list(dict.fromkeys([*self.corpus.texts, *self.queries, ""]))
        self.representatives = representatives(snapshot, self.corpus)
        self.nodes = graph.nodes(snapshot) if graph is not None else _no_nodes(snapshot)
        self.inputs = text_inputs(self.corpus, self.representatives, self.nodes)
        self.examples = make_examples(
            snapshot, self.corpus, self.copurchases, self.searches, self.nodes, config.examples
        )

    def bought(self) -> sp.csr_array:
        """(users, products): 1 where a user bought a product before the baskets that judge."""
        return Purchases.of(self.snapshot).before(self.copurchases.until).binary()

    def found(self) -> sp.csr_array:
        """(queries, products): 1 where a search led to a product."""
        ends = self.searches.train.T
        shape = (len(self.searches.queries), len(self.corpus.products))
        return sp.csr_array((np.ones(ends.shape[1], np.float32), tuple(ends)), shape=shape)

    def sentences(self, config: TextConfig) -> list[str]:
        """What pre-training reads: products, the catalogue's triples, and what people search for; each once."""
        statements = read_statements(self.snapshot, config.corpus).sentences
        return sorted({*self.corpus.texts, *statements, *self.searches.queries})

    def fusion(self, config: TextConfig) -> tuple[FusionConfig, int]:
        """How text and graph meet, and the graph's width; a shop without graph vectors reads texts alone."""
        if self.graph is None:
            return replace(config.fusion, kind="none"), 0
        return config.fusion, self.graph.products.matrix.shape[1]


def _no_nodes(snapshot: Snapshot) -> Nodes:
    return Nodes(*(np.full(snapshot.nodes[label].num_rows, ABSENT) for label in ("Product", "User")))
