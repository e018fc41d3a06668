"""A catalogue reads each text once where it can, and gives what the model gives product by product."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from shopgraph.text.alignment import Alignment
from shopgraph.text.catalogue import encode_catalogue, nodes_of
from shopgraph.text.encoding import STEP
from shopgraph.text.fusion import aligned_width, fuse, with_nodes
from shopgraph.text.stages import ABSENT, FusionConfig, fused_input

TEXTS = ["dog food", "green tea", "tea"]
TEXT_OF = np.array([2, 0, 2, 1, 2])
NODES = np.array([0, 1, 2, ABSENT, 0])
READ = {"none": 3, "late": 3, "early": 4}
"""Inputs that the network reads: products 0 and 4 share a text and a graph vector."""


@pytest.mark.parametrize("kind", READ)
def test_it_is_what_the_model_gives_one_by_one(each_tiny: Callable[[], SentenceTransformer], kind: str, tmp_path: Path):
    backbone = each_tiny()
    random, config = np.random.default_rng(0), FusionConfig(kind)
    read = aligned_width(config, backbone.get_embedding_dimension(), 6)
    start = Alignment(*(random.normal(size=size).astype(np.float32) for size in (read, (read, 8))), kept=1.0)
    model = fuse(backbone, config, 6, start).eval()
    with_nodes(model, random.normal(size=(3, 6)).astype(np.float32))
    told: list[tuple[str, int, int]] = []
    found = encode_catalogue(
        model,
        TEXTS,
        TEXT_OF,
        NODES,
        2,
        tmp_path,
        lambda step, done, total, message="": told.append((step, done, total)),
    )
    one_by_one = model.encode(
        [fused_input(TEXTS[text], node) for text, node in zip(TEXT_OF.tolist(), NODES.tolist(), strict=True)]
    )
    assert np.allclose(found.matrix, one_by_one, atol=1e-5)
    assert found.fresh == READ[kind]
    assert told[-1] == (STEP, READ[kind], READ[kind])
    again = encode_catalogue(model, TEXTS, TEXT_OF, NODES, 2, tmp_path)
    assert again.fresh == 0
    assert np.array_equal(again.matrix, found.matrix)


def test_graph_vectors_that_are_one_are_read_once(tiny: Callable[[], SentenceTransformer]):
    backbone, config = tiny(), FusionConfig("early")
    start = Alignment(np.zeros(32, np.float32), np.eye(32, 8, dtype=np.float32), 1.0)
    model = fuse(backbone, config, 6, start).eval()
    vectors = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    vectors[2] = vectors[0] + 1e-8
    with_nodes(model, vectors)
    found = encode_catalogue(model, TEXTS, np.array([0, 0, 0, 0]), np.array([0, 1, 2, ABSENT]))
    assert found.fresh == 3
    assert np.array_equal(found.matrix[0], found.matrix[2])
    assert not np.allclose(found.matrix[0], found.matrix[3])


def test_ids_are_found_among_the_known():
    assert nodes_of(["b", "x", "a"], ["a", "b"]).tolist() == [1, ABSENT, 0]
    assert nodes_of([], ["a"]).tolist() == []
