"""The exported text side is the model's, of any length and company, and runs where there is no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from shopgraph.errors import InputError
from shopgraph.query_encoder import NETWORK, READING, QueryEncoder
from shopgraph.text.alignment import Alignment
from shopgraph.text.export import export_error, export_queries
from shopgraph.text.exported_network import OfTokens, write_network
from shopgraph.text.fusion import aligned_width, fuse, with_nodes
from shopgraph.text.stages import FusionConfig

QUERIES = ["tea", "a longer query about green tea of the first harvest", "", "\ud800", "红葡萄酒", "wine " * 500]


def fused(backbone: SentenceTransformer, kind: str) -> SentenceTransformer:
    random, config = np.random.default_rng(0), FusionConfig(kind)
    read = aligned_width(config, backbone.get_embedding_dimension(), 6)
    basis = np.linalg.qr(random.normal(size=(read, 8)))[0].astype(np.float32)
    model = fuse(backbone, config, 6, Alignment(np.zeros(read, np.float32), basis, 1.0)).eval()
    with_nodes(model, random.normal(size=(3, 6)).astype(np.float32))
    return model


def test_what_is_served_is_what_the_model_says(each_tiny: Callable[[], SentenceTransformer], tmp_path: Path):
    agree(fused(each_tiny(), "late"), tmp_path)


@pytest.mark.parametrize("kind", ["none", "early"])
def test_whatever_the_way_text_and_graph_meet(tiny: Callable[[], SentenceTransformer], kind: str, tmp_path: Path):
    agree(fused(tiny(), kind), tmp_path)


def agree(model: SentenceTransformer, tmp_path: Path) -> None:
    export_queries(model, tmp_path)
    encoder = QueryEncoder(tmp_path)
    served, exact = encoder(QUERIES), model.encode(QUERIES)
    assert served.dtype == np.float32
    assert (served * exact).sum(axis=1).min() > 0.95, "8 bits cost a network this small and random the most"
    assert np.allclose(np.linalg.norm(served, axis=1), 1, atol=1e-4)
    alone = np.concatenate([encoder([query]) for query in QUERIES])
    assert (served * alone).sum(axis=1).min() > 0.95
    assert encoder([]).shape == (0, 8)
    assert 0 <= export_error(model, tmp_path, ["tea", "wine"]) < 0.05


def test_it_runs_without_torch(tiny: Callable[[], SentenceTransformer], tmp_path: Path):
    export_queries(fused(tiny(), "late"), tmp_path)
    code = (
        "import sys; from pathlib import Path; from shopgraph.query_encoder import QueryEncoder;"
        "loaded = {'torch', 'transformers'} & set(sys.modules);"
        "print(QueryEncoder(Path(sys.argv[1]))(['tea']).shape, sorted(loaded))"
    )
    told = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert told.stdout == "(1, 8) []\n"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")
def test_a_model_stays_on_its_device(tiny: Callable[[], SentenceTransformer], tmp_path: Path):
    """Its whole catalogue is encoded after it was exported."""
    model = fused(tiny(), "late").to("cuda")
    write_network(OfTokens(model, 6), model.tokenizer, 32, tmp_path / NETWORK)
    assert {parameter.device.type for parameter in model.parameters()} == {"cuda"}


def test_a_folder_that_holds_no_whole_export_is_named(tiny: Callable[[], SentenceTransformer], tmp_path: Path):
    with pytest.raises(InputError, match="no query encoder can be read there"):
        QueryEncoder(tmp_path)
    export_queries(fused(tiny(), "none"), tmp_path)
    reading = json.loads((tmp_path / READING).read_text())
    (tmp_path / READING).write_text(json.dumps({k: v for k, v in reading.items() if k != "max_tokens"}))
    with pytest.raises(InputError, match="no query encoder"):
        QueryEncoder(tmp_path)
    (tmp_path / READING).write_text(json.dumps(reading))
    (tmp_path / NETWORK).write_bytes((tmp_path / NETWORK).read_bytes()[:1000])
    with pytest.raises(InputError, match="no query encoder"):
        QueryEncoder(tmp_path)
