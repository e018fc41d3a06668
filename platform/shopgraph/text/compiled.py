"""A model compiled to read many texts on processors: the same vectors as torch gives, in two thirds of the time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import torch

from shopgraph.text.backbone import architecture_of, network_of
from shopgraph.text.exported_network import OfInputs, write_network
from shopgraph.text.stages import TextAndGraph

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

LEAST_TEXTS = 8_192
"""Fewer don't repay the 13 seconds that compiling takes."""
BATCH_TEXTS = 32
"""Measured on 2 cores: 16 and 64 are a fifth slower."""


class CompiledReader:
    """Reads texts, or texts with the graph vectors that a fused model knows, as the model does.

    Args:
        model: on a processor, with a limit of tokens; what it learns later does not count.

    Raises:
        torch.onnx.OnnxExporterError: its network does what ONNX can't say.
    """

    def __init__(self, model: SentenceTransformer) -> None:
        self._model, first = model, model[0]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
        width = first.graph_width if isinstance(first, TextAndGraph) else 0
        with TemporaryDirectory() as scratch:
            path, max_tokens = Path(scratch) / "network.onnx", model.max_seq_length or 0
            write_network(OfInputs(model), model.tokenizer, max_tokens, path, graph_width=width)
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._inputs = [item.name for item in self._session.get_inputs()]

    def __call__(self, texts: Sequence[Any]) -> np.ndarray:
        """
        Args:
            texts: what the model's `preprocess` takes.

        Shapes:
            returns: (texts, dimension), float32, of the length that the model's last stage gives
        """
        found = []
        for start in range(0, len(texts), BATCH_TEXTS):
            read = self._model.preprocess(list(texts[start : start + BATCH_TEXTS]))
            found.append(self._session.run(None, {name: read[name].numpy() for name in self._inputs})[0])
        return np.concatenate(found)


def compiled(model: SentenceTransformer, texts: Sequence[Any]) -> CompiledReader | None:
    """The model compiled, where that makes reading these texts quicker and can be done."""
    if len(texts) < LEAST_TEXTS or model.device.type != "cpu":
        return None
    if not model.max_seq_length or architecture_of(network_of(model)).segmented:
        return None
    try:
        return CompiledReader(model)
    except torch.onnx.OnnxExporterError:
        return None
