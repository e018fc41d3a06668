"""One of the two places a family's vectors serve from: written without its index, indexed, then checked as stored."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp

from shopgraph.errors import PublishError
from shopgraph.graph.connection import Graph, vector
from shopgraph.lease import Lease
from shopgraph.nearest import nearest, nearest_others
from shopgraph.registry import Vectors
from shopgraph.schema import EmbeddingFamily
from shopgraph.tracking import Progress

LIST_LENGTH = 100
BATCH_ROWS = 1000
INDEX_TIMEOUT_SECONDS = 600.0
NORM_TOLERANCE = 1e-3
SAMPLE = 24
MOST_FOUND = 10_000
LEAST_INDEX_RECALL = 0.8
"""Of the exact 20 nearest; below it an index is broken, not merely approximate."""


def check_vectors(family: EmbeddingFamily, label: str, vectors: Vectors) -> None:
    """Refuse what Neo4j would accept and silently leave out of its index.

    Raises:
        PublishError: wrong length, not finite, zero or not of unit length, or one id twice.
    """
    if vectors.matrix.ndim != 2 or vectors.matrix.shape != (len(vectors.ids), family.dimension):
        raise PublishError(
            f"{family.name} vectors of {label} have shape {vectors.matrix.shape}, "
            f"expected ({len(vectors.ids)}, {family.dimension})"
        )
    norms = np.linalg.norm(vectors.matrix, axis=1)
    for wrong, what in (
        (~np.isfinite(norms), "is not finite"),
        (norms == 0, "is zero"),
        (np.abs(norms - 1) > NORM_TOLERANCE, "is not of unit length"),
    ):
        if wrong.any():
            raise PublishError(f"{family.name} vector of {label} {vectors.ids[int(np.argmax(wrong))]} {what}")
    if len(set(vectors.ids)) != len(vectors.ids):
        raise PublishError(f"{family.name} vectors of {label} name an id twice")


class Slot:
    """Fills and checks one slot of one family; only for the holder of the publish lease.

    Args:
        name: blue or green.
    """

    def __init__(self, graph: Graph, family: EmbeddingFamily, name: str, lease: Lease, progress: Progress) -> None:
        self._graph = graph
        self._family = family
        self._lease = lease
        self._progress = progress
        self.name = name
        self.id = f"{family.name}_{name}"
        self._key = family.vector_property(name)
        self._list = family.list_property(name)
        self._of_newcomers = dict.fromkeys((family.edges_property(name), family.until_property(name)))
        self._index = family.index_name(name)

    def held_version(self) -> str | None:
        """The version this slot was last written with, whole."""
        slots = self._graph.read("slot_contents")[0]["slots"]
        return next((slot["version"] for slot in slots if slot["id"] == self.id), None)

    def mark(self, version: str | None) -> None:
        if not self._graph.write("slot_marked", id=self.id, version=version, **self._lease.fence):
            raise self._lease.lost()

    def fill(self, vectors: Mapping[str, Vectors], owned: Mapping[str, list[str]]) -> None:
        """Write every label's vectors and exact lists, clear what is left of an older version, build the index."""
        self.mark(None)
        self._graph.schema("index_dropped", name=self._index)
        products = vectors["Product"]
        self._write("Product", products, {self._list: self._product_lists(products)})
        if "User" in vectors:
            self._write("User", vectors["User"], self._user_lists(vectors["User"], products, owned))
        for label, entry in vectors.items():
            self._clear_others(label, set(entry.ids))
        self._graph.schema(f"index_{self.id}")
        self._await_index()

    def check(self, vectors: Mapping[str, Vectors]) -> dict[str, float]:
        """Compare the stored slot and its index with the version.

        Raises:
            PublishError: a vector is missing, has the wrong length or norm, or is not in the index.
        """
        for label, entry in vectors.items():
            audit = self._graph.read(f"{label.lower()}_slot_audited", key=self._key, dimension=self._family.dimension)[
                0
            ]
            if audit["count"] != len(entry.ids) or audit["wrong_length"]:
                raise PublishError(
                    f"{self.id}: {audit['count']} {label} vectors stored ({audit['wrong_length']} of a wrong length), "
                    f"expected {len(entry.ids)}"
                )
            if len(entry.ids) and max(abs(audit["least_norm"] - 1), abs(audit["greatest_norm"] - 1)) > NORM_TOLERANCE:
                raise PublishError(
                    f"{self.id}: stored norms of {label} run from {audit['least_norm']} to {audit['greatest_norm']}"
                )
            self._lease.keep()
        return self._check_index(vectors["Product"])

    def _check_index(self, products: Vectors) -> dict[str, float]:
        parts = index_parts(self._graph.wide("slot_parts", key=self._key)["parts"])
        counted = self._graph.read(f"counted_{self.id}", parts=parts, vector=vector(products.matrix[0]))[0]
        self._lease.keep()
        if counted["found"] != counted["expected"]:
            raise PublishError(f"index {self._index} holds {counted['found']} products, expected {counted['expected']}")
        rows = np.linspace(0, len(products.ids) - 1, min(SAMPLE, len(products.ids))).astype(int)
        exact = nearest(products.matrix[rows], products.matrix, 20)
        at = {product: row for row, product in enumerate(products.ids)}
        hits = []
        for row, ranked in zip(rows, exact, strict=True):
            best = ranked[ranked >= 0]
            # identical vectors tie: what counts is being as near as the last of the exact answer
            least = (products.matrix[best] @ products.matrix[row]).min() - 1e-5
            answer = self._search(products.matrix[row], 5 * len(best))[: len(best)]
            hits.append(np.mean(products.matrix[[at[product] for product in answer]] @ products.matrix[row] >= least))
        recall = float(np.mean(hits))
        if recall < LEAST_INDEX_RECALL:
            raise PublishError(f"index {self._index} finds {recall:.2f} of the exact 20 nearest: not published")
        return {"products": len(products.ids), "index_recall@20": round(recall, 4)}

    def _search(self, query: np.ndarray, limit: int) -> list[str]:
        return self._graph.read(f"searched_{self.id}", vector=vector(query), limit=limit)[0]["ids"]

    def _product_lists(self, products: Vectors) -> list[str]:
        lists = nearest_others(products.matrix, LIST_LENGTH, beat=self._beat(f"{self.id}: nearest products"))
        return [_joined(products.ids, rows) for rows in lists]

    def _user_lists(self, users: Vectors, products: Vectors, owned: Mapping[str, list[str]]) -> dict[str, list[str]]:
        column = {product: number for number, product in enumerate(products.ids)}
        pairs = [
            (row, column[product])
            for row, user in enumerate(users.ids)
            for product in owned.get(user, ())
            if product in column
        ]
        rows, columns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        mask = sp.csr_matrix((np.ones(len(pairs), np.int8), (rows, columns)), shape=(len(users.ids), len(products.ids)))
        beat = self._beat(f"{self.id}: users' products")
        every = nearest(users.matrix, products.matrix, LIST_LENGTH, beat=beat)
        new = nearest(users.matrix, products.matrix, LIST_LENGTH, excluded=mask, beat=beat)
        return {
            self._list: [_joined(products.ids, found) for found in every],
            self._family.novel_list_property(self.name): [_joined(products.ids, found) for found in new],
        }

    def _write(self, label: str, entry: Vectors, lists: Mapping[str, list[str]]) -> None:
        rows = (
            {
                "id": node,
                "key": self._key,
                "vector": vector(entry.matrix[i]),
                "lists": {**self._of_newcomers, **{k: v[i] for k, v in lists.items()}},
            }
            for i, node in enumerate(entry.ids)
        )
        self._send(f"{label.lower()}_slot_written", "written", rows, len(entry.ids), label)

    def _clear_others(self, label: str, kept: set[str]) -> None:
        properties = (self._key, self._list, self._family.novel_list_property(self.name))
        empty = {**dict.fromkeys(properties), **self._of_newcomers}
        filled = self._graph.read(f"{label.lower()}_ids", key=self._key)[0]["filled"]
        rows = [{"id": node, "empty": empty} for node in filled if node not in kept]
        self._send(f"{label.lower()}_slot_cleared", "cleared", rows, len(rows), label)

    def _send(self, query: str, column: str, rows: Any, total: int, label: str) -> None:
        sent = 0
        for count, records in self._graph.write_batches(query, rows, batch_size=BATCH_ROWS, **self._lease.fence):
            sent += count
            if records[0][column] != count:
                self._lease.keep()
                raise PublishError(
                    f"{self.id}: {count - records[0][column]} of {count} {label} nodes left the graph meanwhile"
                )
            self._progress(f"{self.id}: {label} {column}", sent, total)

    def _await_index(self) -> None:
        deadline = time.monotonic() + INDEX_TIMEOUT_SECONDS
        while True:
            state = self._graph.wide("index_state", name=self._index)
            self._progress(f"{self.id}: index", int(state["percent"]), 100)
            if state["state"] == "ONLINE":
                return
            if state["state"] == "FAILED" or time.monotonic() > deadline:
                raise PublishError(
                    f"index {self._index} is {state['state']} at {state['percent']:.0f} %: not published"
                )
            self._lease.keep()
            time.sleep(0.25)

    def _beat(self, step: str) -> Any:
        last = time.monotonic()

        def beat(done: int, total: int) -> None:
            nonlocal last
            if time.monotonic() - last > 1 or done == total:
                last = time.monotonic()
                self._lease.keep()
                self._progress(step, done, total)

        return beat


def index_parts(counts: list[list[Any]], most: int = MOST_FOUND) -> list[dict[str, Any]]:
    """Cut (category, brand, number) counts into parts of at most `most` products where brands allow.

    A vector index answers with 10,000 nodes at most, so it is counted part by part; within a filter it is exact.
    """
    parts: list[dict[str, Any]] = []
    for category, brand, number in counts:
        last = parts[-1] if parts else None
        if last and last["category"] == category and last["count"] + number <= most:
            last.update(last=brand, count=last["count"] + number)
        else:
            parts.append({"category": category, "first": brand, "last": brand, "count": min(number, most)})
    return parts


def _joined(ids: list[str], rows: np.ndarray) -> str:
    return "\n".join([ids[row] for row in rows.tolist() if row >= 0])
