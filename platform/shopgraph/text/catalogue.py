"""A catalogue through a fused model: a text is read once where it can be, however many products share it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from shopgraph.text.encoding import Encoded, encode_texts
from shopgraph.text.fusion import first_stage
from shopgraph.text.stages import ABSENT, TextAndGraph, fused_input
from shopgraph.tracking import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Sequence

HEAD_ROWS = 4096
"""Products whose text and graph meet at once."""


def encode_catalogue(
    model: SentenceTransformer,
    texts: Sequence[str],
    text_of: np.ndarray,
    nodes: np.ndarray,
    batch_texts: int = 64,
    folder: Path | None = None,
    progress: Progress = silent,
) -> Encoded:
    """Vectors of products by their texts and their graph vectors.

    Text and graph that meet late are read apart: a text once, and the gate for every product. A token that joins early
    is read by every layer after it, so that each distinct pair of a text and a graph vector has to be read.

    Args:
        texts: distinct.
        folder: see `encode_texts`.

    Shapes:
        text_of: (products,), int64 rows of `texts`
        nodes: (products,), int64 rows of the model's graph vectors, or ABSENT
        returns: matrix (products, dimension), float32, unit length
    """
    first = first_stage(model)
    if first.config.kind == "early":
        asked, row_of = np.unique(np.stack([text_of, _distinct(first, nodes)], axis=1), axis=0, return_inverse=True)
        inputs = [fused_input(texts[text], node) for text, node in asked.tolist()]
        found = encode_texts(model, inputs, batch_texts, folder, progress)
        return Encoded(found.matrix[row_of.reshape(-1)], found.fresh, found.seconds)
    reading = SentenceTransformer(modules=list(model)[:2], device=str(model.device))
    found = encode_texts(reading, texts, batch_texts, folder, progress, unit=False)
    return Encoded(join_graph(model, found.matrix, text_of, nodes), found.fresh, found.seconds)


def join_graph(model: SentenceTransformer, read: np.ndarray, text_of: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """Vectors of products from those of their texts, as the model's network reads them; of one that is not early.

    Shapes:
        read: (texts, width), float32, of any length
        text_of, nodes: see `encode_catalogue`
        returns: (products, dimension), float32, unit length
    """
    parts = [
        _met(model, read[text_of[rows]], nodes[rows])
        for rows in np.array_split(np.arange(len(nodes)), max(1, -(-len(nodes) // HEAD_ROWS)))
    ]
    return np.concatenate(parts)


@torch.inference_mode()
def _met(model: SentenceTransformer, pooled: np.ndarray, nodes: np.ndarray) -> np.ndarray:
    """What the stages after reading make of texts' own vectors.

    Shapes:
        pooled: (products, width); nodes: (products,)
        returns: (products, dimension)
    """
    first = first_stage(model)
    features = {"sentence_embedding": torch.from_numpy(pooled).to(model.device)}
    if first.graph_width:
        graph, has_graph = first.named(torch.from_numpy(nodes))
        features |= {"graph": graph.to(model.device), "has_graph": has_graph.to(model.device)}
    for stage in list(model)[2:]:
        features = stage(features)
    return features["sentence_embedding"].cpu().numpy()


def _distinct(first: TextAndGraph, nodes: np.ndarray) -> np.ndarray:
    """(products,) int64: of nodes whose vectors are one, to five digits, the same stands for all."""
    if not len(first.nodes):
        return nodes
    _, one, of = np.unique(np.round(first.nodes.numpy(), 5), axis=0, return_index=True, return_inverse=True)
    return np.where(nodes == ABSENT, ABSENT, one[of.reshape(-1)][nodes])


def nodes_of(ids: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """(ids,) int64: where each id stands among the known ones, ABSENT where it does not."""
    row_of = {node: row for row, node in enumerate(known)}
    return np.array([row_of.get(node, ABSENT) for node in ids], np.int64)
