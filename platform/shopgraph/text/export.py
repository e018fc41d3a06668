"""Exporting the text side of a fused model for serving: ONNX, its weights in 8 bits."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from shopgraph.errors import InputError
from shopgraph.query_encoder import NETWORK, READING, TOKENIZER, QueryEncoder
from shopgraph.text.backbone import architecture_of, network_of
from shopgraph.text.encoding import encode_texts
from shopgraph.text.fusion import graph_width

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

OPSET = 18
EXAMPLE = "an example of a query"


class Queries(nn.Module):
    """A fused model as a function of tokens alone: the vector of the graph is the learned one that stands in."""

    def __init__(self, model: SentenceTransformer) -> None:
        super().__init__()
        self._stages, self._graph_width = nn.ModuleList(model), graph_width(model)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """
        Shapes:
            input_ids, attention_mask: (queries, tokens), int64
            returns: (queries, dimension), float32, unit length
        """
        features = {"input_ids": input_ids, "attention_mask": attention_mask}
        if self._graph_width:
            features["graph"] = torch.zeros((input_ids.shape[0], self._graph_width))
            features["has_graph"] = torch.zeros((input_ids.shape[0], 1), dtype=torch.bool)
        for stage in self._stages:
            features = stage(features)
        return features["sentence_embedding"]


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
    length = {"padding": "max_length", "max_length": max_tokens} if fixed else {}
    read = tokenizer([EXAMPLE, f"{EXAMPLE} that is longer"], return_tensors="pt", **(length or {"padding": True}))
    queries, tokens = torch.export.Dim("queries"), torch.export.Dim("tokens", max=max_tokens)
    moving = {0: queries} if fixed else {0: queries, 1: tokens}
    network = Queries(model).cpu().eval()
    with TemporaryDirectory() as scratch, _quiet():
        whole = Path(scratch) / NETWORK
        torch.onnx.export(
            network,
            (read["input_ids"], read["attention_mask"]),
            str(whole),
            input_names=["input_ids", "attention_mask"],
            output_names=["vectors"],
            dynamic_shapes={"input_ids": moving, "attention_mask": moving},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
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


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporters tell their steps on every logger they have."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "root")]
    were = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, was in zip(loggers, were, strict=True):
            logger.setLevel(was)
