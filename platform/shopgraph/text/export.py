"""Exporting the text side of a fused model for serving: ONNX, its weights in 8 bits."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from shopgraph.errors import InputError
from shopgraph.query_encoder import NETWORK, READING, TOKENIZER, QueryEncoder
from shopgraph.text.backbone import architecture_of, network_of
from shopgraph.text.encoding import encode_texts
from shopgraph.text.exported_network import OfTokens, write_network
from shopgraph.text.fusion import graph_width

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def export_queries(model: SentenceTransformer, folder: Path) -> None:
    """Write what `QueryEncoder` reads.

    Networks that read in segments are exported for texts of one length, to which queries are padded.

    Raises:
        InputError: the model's tokenizer is not one of the `tokenizers` package.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    tokenizer = model.tokenizer
    if not tokenizer.is_fast:
        raise InputError("the model's tokenizer can't be exported: it is not one of the tokenizers package")
    folder.mkdir(parents=True, exist_ok=True)
    max_tokens = model.max_seq_length or 64
    fixed = architecture_of(network_of(model)).segmented
    with TemporaryDirectory() as scratch:
        whole = Path(scratch) / NETWORK
        write_network(OfTokens(model, graph_width(model)), tokenizer, max_tokens, whole, fixed_tokens=fixed)
        # an embedding in 8 bits would cost more than it saves; by channel, onnxruntime can't multiply by constants
        quantize_dynamic(
            str(whole),
            str(folder / NETWORK),
            op_types_to_quantize=["MatMul"],
            weight_type=QuantType.QInt8,
            per_channel=not fixed,
        )
    tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))
    reading = {
        "max_tokens": max_tokens,
        "fixed_tokens": fixed,
        "pad_id": tokenizer.pad_token_id,
        "pad_token": tokenizer.pad_token,
        "dimension": model.get_embedding_dimension(),
    }
    (folder / READING).write_text(json.dumps(reading))


def export_error(model: SentenceTransformer, folder: Path, texts: Sequence[str]) -> float:
    """1 minus the mean cosine of what the exported network makes of texts and what the model makes of them."""
    if not texts:
        return 0.0
    exact, served = encode_texts(model, texts).matrix, QueryEncoder(folder)(texts)
    return float(1 - np.mean((exact * served).sum(axis=1)))
