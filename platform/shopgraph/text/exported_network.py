"""What a model makes of tokens alone, written as ONNX for onnxruntime to run."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

OPSET = 18
EXAMPLE = "an example of a query"
INPUTS, VECTORS = ("input_ids", "attention_mask"), "vectors"


class OfTokens(nn.Module):
    """Stages of a model as a function of tokens alone: the vector of the graph is the learned one that stands in.

    Args:
        graph_width: of the graph vectors that the first stage takes; 0 where it takes none.
    """

    def __init__(self, stages: Iterable[nn.Module], graph_width: int = 0) -> None:
        super().__init__()
        self._stages, self._graph_width = nn.ModuleList(stages), graph_width

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """
        Shapes:
            input_ids, attention_mask: (texts, tokens), int64
            returns: (texts, dimension), float32
        """
        features = {"input_ids": input_ids, "attention_mask": attention_mask}
        if self._graph_width:
            features["graph"] = torch.zeros((input_ids.shape[0], self._graph_width))
            features["has_graph"] = torch.zeros((input_ids.shape[0], 1), dtype=torch.bool)
        for stage in self._stages:
            features = stage(features)
        return features["sentence_embedding"]


def write_network(
    network: nn.Module, tokenizer: PreTrainedTokenizerBase, max_tokens: int, path: Path, fixed_tokens: bool = False
) -> None:
    """Write a network of `INPUTS` for any number of texts of up to so many tokens.

    Args:
        fixed_tokens: for texts of exactly so many, where a network reads in segments.

    Raises:
        torch.onnx.OnnxExporterError: it does what ONNX can't say.
    """
    length: dict[str, Any] = {"padding": "max_length", "max_length": max_tokens} if fixed_tokens else {"padding": True}
    read = tokenizer([EXAMPLE, f"{EXAMPLE} that is longer"], return_tensors="pt", **length)
    texts, tokens = torch.export.Dim("texts"), torch.export.Dim("tokens", max=max_tokens)
    moving = {0: texts} if fixed_tokens else {0: texts, 1: tokens}
    with _quiet():
        torch.onnx.export(
            network.cpu().eval(),
            tuple(read[name] for name in INPUTS),
            str(path),
            input_names=list(INPUTS),
            output_names=[VECTORS],
            dynamic_shapes=dict.fromkeys(INPUTS, moving),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


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
