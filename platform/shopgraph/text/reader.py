"""Kept text versions that read what came after their snapshots."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shopgraph.dataset.corpus import CorpusConfig, ProductWords, product_texts, read_corpus
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.errors import InputError
from shopgraph.registry import CARD
from shopgraph.text.catalogue import encode_catalogue
from shopgraph.text.fusion import open_fused, with_nodes
from shopgraph.text.stages import ABSENT

if TYPE_CHECKING:
    import torch

MODEL = "model"
"""In the folder of a text version."""


class FusedReader:
    """A kept text version that reads products which came after its snapshot.

    Args:
        version_folder: the registry's folder of a text version.

    Raises:
        InputError: the folder is not that of a text version.
    """

    def __init__(self, version_folder: Path, device: str | torch.device = "cpu") -> None:
        self._model = open_fused(version_folder / MODEL, device)
        stated = json.loads((version_folder / CARD).read_text())["config"]["corpus"]
        self._corpus = CorpusConfig(**stated)

    def of(
        self, products: Sequence[ProductWords], brands: Iterable[str | None], graph: np.ndarray | None = None
    ) -> np.ndarray:
        """Vectors of products by what their texts are made of; for the rest see `encode`.

        Args:
            brands: names of all brands of the catalogue.
        """
        return self.encode(product_texts(products, brands, self._corpus), graph)

    def encode(self, texts: Sequence[str], graph: np.ndarray | None = None) -> np.ndarray:
        """Vectors of products by their texts.

        Args:
            graph: vectors of the version's own graph version, e.g. inductive ones; None where products have none yet.

        Shapes:
            graph: (texts, graph width)
            returns: (texts, dimension), float32, unit length

        Raises:
            InputError: the graph vectors are of another width, or not all numbers.
        """
        nodes = np.full(len(texts), ABSENT)
        if graph is not None:
            with_nodes(self._model, graph)
            nodes = np.arange(len(texts))
        row_of = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        text_of = np.array([row_of[text] for text in texts], np.int64)
        return encode_catalogue(self._model, list(row_of), text_of, nodes).matrix


def newcomer_encoder(
    version_folder: Path, snapshot: Snapshot, device: str | torch.device = "cpu"
) -> Callable[[list[str]], np.ndarray]:
    """What a publish calls for the products that came after a version's snapshot; they have no graph vectors yet.

    Args:
        version_folder: the registry's folder of a text version.
        snapshot: a later one, which holds the newcomers.

    Returns:
        a function from product ids to (ids, dimension), float32, unit length; it raises InputError for an id that the
        snapshot does not hold.
    """
    config = json.loads((version_folder / CARD).read_text())["config"]["corpus"]
    corpus = read_corpus(snapshot, CorpusConfig(**config))
    text_of = dict(zip(corpus.products, corpus.text_of.tolist(), strict=True))

    def encode(ids: list[str]) -> np.ndarray:
        missing = next((product for product in ids if product not in text_of), None)
        if missing is not None:
            raise InputError(f"product {missing!r} is not in snapshot {snapshot.id}: export a newer one")
        return FusedReader(version_folder, device).encode([corpus.texts[text_of[product]] for product in ids])

    return encode
