"""What a model makes of tokens, written as ONNX for onnxruntime to run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from shopgraph.learning.onnx_export import OPSET, quiet

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

EXAMPLE = "an example of a query"
TOKENS, GRAPH, VECTORS = ("input_ids", "attention_mask"), ("graph", "has_graph"), "vectors"


class OfInputs(nn.Module):
    """Stages of a model as a function of tokens and, where it takes them, the graph's vectors."""

    def __init__(self, stages: Iterable[nn.Module]) -> None:
        super().__init__()
        self._stages = nn.ModuleList(stages)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, *graph: torch.Tensor) -> torch.Tensor:
        """
        Shapes:
            input_ids, attention_mask: (texts, tokens), int64
            graph: nothing, or what `TextAndGraph` reads: (texts, graph width), float32, and (texts, 1), bool
            returns: (texts, dimension), float32
        """
        features = {"input_ids": input_ids, "attention_mask": attention_mask}
        features |= dict(zip(GRAPH, graph, strict=False))
        for stage in self._stages:
            features = stage(features)
        return features["sentence_embedding"]


class OfTokens(nn.Module):
    """Stages of a model as a function of tokens alone: the vector of the graph is the learned one that stands in.

    Args:
        graph_width: of the graph vectors that the first stage takes; 0 where it takes none.
    """

    def __init__(self, stages: Iterable[nn.Module], graph_width: int = 0) -> None:
        super().__init__()
        self._of_inputs, self._graph_width = OfInputs(stages), graph_width

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """
        Shapes:
            input_ids, attention_mask: (texts, tokens), int64
            returns: (texts, dimension), float32
        """
        graph = _no_graph(input_ids.shape[0], self._graph_width) if self._graph_width else ()
        return self._of_inputs(input_ids, attention_mask, *graph)


def write_network(
    network: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    max_tokens: int,
    path: Path,
    *,
    fixed_tokens: bool = False,
    graph_width: int = 0,
) -> None:
    """Write a network that takes any number of texts of up to so many tokens, as `TOKENS`; it stays on its device.

    Args:
        fixed_tokens: for texts of exactly so many, where a network reads in segments.
        graph_width: of a network that takes `GRAPH` too; what it does not use of its inputs is no input of the file.

    Raises:
        torch.onnx.OnnxExporterError: it does what ONNX can't say.
    """
    length: dict[str, Any] = {"padding": "max_length", "max_length": max_tokens} if fixed_tokens else {"padding": True}
    examples = [EXAMPLE, f"{EXAMPLE} that is longer"]
    read = tokenizer(examples, return_tensors="pt", **length)
    texts, tokens = torch.export.Dim("texts"), torch.export.Dim("tokens", max=max_tokens)
    of_tokens = {0: texts} if fixed_tokens else {0: texts, 1: tokens}
    graph = _no_graph(len(examples), graph_width) if graph_width else ()
    names = [*TOKENS, *GRAPH] if graph_width else list(TOKENS)
    shapes: list[Any] = [of_tokens, of_tokens]
    with quiet(), _on_a_processor(network):
        torch.onnx.export(
            network.eval(),
            (*(read[name] for name in TOKENS), *graph),
            str(path),
            input_names=names,
            output_names=[VECTORS],
            dynamic_shapes=tuple([*shapes, tuple({0: texts} for _ in graph)] if graph else shapes),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _no_graph(texts: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What `TextAndGraph` reads where there is no vector."""
    return torch.zeros((texts, width)), torch.zeros((texts, 1), dtype=torch.bool)


@contextmanager
def _on_a_processor(network: nn.Module) -> Iterator[None]:
    """Within it a network is on the CPU; its stages are a model's own, which goes on being used where it was."""
    device = next(network.parameters()).device
    network.cpu()
    try:
        yield
    finally:
        network.to(device)
