"""Text and graph in one vector: a product's vector of the graph is one more token beside the words of its text.

Early, it joins the tokens at the network's input or midway, and every token attends to it; late, it meets the text's
own vector at the end, and a gate says how much of each is taken. Where there is no such vector a learned one stands in,
which training gets used to by dropping vectors at random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from sentence_transformers.base.modules.input_module import InputModule
from sentence_transformers.base.modules.module import Module
from sentence_transformers.sentence_transformer.modules import Transformer
from torch import nn
from torch.nn import functional

from shopgraph.errors import ConfigurationError, InputError
from shopgraph.text.backbone import layers_of, readable
from shopgraph.text.layers import embedded, through

KINDS = ("none", "early", "late")
ABSENT = -1
"""Node of an input that has no vector of the graph: a query, or a product that has none yet."""


@dataclass(frozen=True)
class FusionConfig:
    """How text and graph meet.

    Raises:
        ConfigurationError: a kind that is not known, or a share out of its range.
    """

    kind: str = "late"
    """none (text alone), early (a token among the text's) or late (gated)."""
    joins: int = 0
    """Layers that a text passes before an early token joins it; 0 is the network's input."""
    dropped: float = 0.25
    """Share of the graph vectors that a learned one stands in for while training."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigurationError(f"fusion {self.kind!r}: choose from {', '.join(KINDS)}")
        if not 0 <= self.dropped < 1:
            raise ConfigurationError(f"dropped={self.dropped}: must be from 0 to below 1")
        if self.joins < 0:
            raise ConfigurationError(f"joins={self.joins}: must be at least 0")


Input = Mapping[str, Any]
"""`text`, and `node`: a row of the graph vectors, or `ABSENT`."""


def fused_input(text: str, node: int = ABSENT) -> Input:
    return {"text": text, "node": node}


def stated(inputs: Sequence[Any]) -> list[Input]:
    """Inputs of a fused model, of which bare texts have no node."""
    return [fused_input(item) if isinstance(item, str) else item for item in inputs]


class GraphToken(nn.Module):
    """What stands for an input's graph: its vector projected, or a learned one where there is none.

    Args:
        dropped: share of the vectors that the learned one stands in for while training.
        normed: scaled to one length, which is learned.
    """

    def __init__(self, graph_width: int, width: int, dropped: float, normed: bool = False) -> None:
        super().__init__()
        self.project = nn.Linear(graph_width, width)
        self.norm = nn.LayerNorm(width) if normed else nn.Identity()
        self.absent = nn.Parameter(torch.zeros(width))
        self._dropped = dropped

    def forward(self, graph: torch.Tensor, has_graph: torch.Tensor) -> torch.Tensor:
        """Shapes: graph: (inputs, graph width); has_graph: (inputs, 1), bool; returns: (inputs, width)"""
        if self.training and self._dropped:
            has_graph = has_graph & (torch.rand_like(has_graph, dtype=torch.float32) >= self._dropped)
        return torch.where(has_graph, self.norm(self.project(graph)), self.absent)


class TextAndGraph(InputModule):
    """A network that reads texts, each with a graph vector or without.

    Attributes:
        nodes: (nodes, graph width), the vectors that inputs name; not part of the weights
    """

    def __init__(self, transformer: Transformer, graph_width: int, config: FusionConfig) -> None:
        super().__init__()
        depth = len(layers_of(transformer.model))
        if config.kind == "early" and config.joins >= depth:
            raise ConfigurationError(
                f"joins={config.joins}: the backbone has {depth} layers, one must be left to attend"
            )
        self.transformer, self.config = transformer, config
        self.graph_width = 0 if config.kind == "none" else graph_width
        self.nodes = torch.empty((0, self.graph_width))
        self.token = None
        if self.graph_width and config.kind == "early":
            self.token = GraphToken(
                self.graph_width, transformer.get_embedding_dimension(), config.dropped, normed=True
            )

    @property
    def tokenizer(self) -> Any:  # type: ignore[override]
        return self.transformer.tokenizer

    @property
    def max_seq_length(self) -> int | None:
        return self.transformer.max_seq_length

    @max_seq_length.setter
    def max_seq_length(self, value: int | None) -> None:
        self.transformer.max_seq_length = value

    def get_embedding_dimension(self) -> int:
        return self.transformer.get_embedding_dimension()

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **_: Any) -> dict[str, Any]:
        """Tokens of the texts, and their graph vectors: graph (inputs, graph width), has_graph (inputs, 1) bool."""
        asked = stated(inputs)
        read = self.transformer.preprocess(readable([item["text"] for item in asked]), prompt=prompt)
        return {**{name: read[name] for name in ("input_ids", "attention_mask")}, **self.graph_of(asked)}

    def graph_of(self, inputs: Sequence[Input]) -> dict[str, torch.Tensor]:
        """Graph vectors of inputs as `preprocess` gives them; nothing of a model that takes none."""
        if not self.graph_width:
            return {}
        graph, has_graph = self.named(torch.tensor([item["node"] for item in inputs]))
        return {"graph": graph, "has_graph": has_graph}

    def named(self, nodes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The graph vectors of nodes, zeros where there is none, and whether there is one.

        Shapes:
            nodes: (inputs,), int64
            returns: (inputs, graph width), (inputs, 1) bool
        """
        has_graph = nodes != ABSENT
        graph = torch.zeros((len(nodes), self.graph_width))
        graph[has_graph] = self.nodes[nodes[has_graph]]
        return graph, has_graph[:, None]

    def forward(self, features: dict[str, torch.Tensor], **_: Any) -> dict[str, torch.Tensor]:
        """Adds token_embeddings: (inputs, tokens, width), the graph's first where it joins early."""
        network, mask = self.transformer.model, features["attention_mask"]
        joins = self.config.joins if self.token is not None else None
        states = through(network, embedded(network, features["input_ids"]), mask, 0, joins)
        if self.token is not None:
            token = self.token(features["graph"], features["has_graph"])
            states = torch.cat([token[:, None].to(states.dtype), states], dim=1)
            mask = torch.cat([torch.ones_like(mask[:, :1]), mask], dim=1)
            states = through(network, states, mask, self.config.joins)
        features |= {"token_embeddings": states, "attention_mask": mask}
        return features

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        raise InputError("a fused model is kept whole: call save_fused")


class GatedFusion(Module):
    """g * text + (1 - g) * graph, both projected to the published width, with a gate a coordinate that sees both.

    The gate starts half open, so that what is published starts as the projection of text and graph beside each other.

    Source: gated multimodal units (Arevalo et al. 2017).
    """

    def __init__(self, width: int, graph_width: int, dimension: int, dropped: float) -> None:
        super().__init__()
        self.text = nn.Linear(width, dimension)
        self.graph = GraphToken(graph_width, dimension, dropped)
        self.gate = nn.Linear(2 * dimension, dimension)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, features: dict[str, torch.Tensor], **_: Any) -> dict[str, torch.Tensor]:
        """Shapes: sentence_embedding: (inputs, width), then (inputs, dimension); graph: (inputs, graph width)"""
        text = self.text(functional.normalize(features["sentence_embedding"], dim=-1))
        graph = self.graph(features["graph"], features["has_graph"])
        share = torch.sigmoid(self.gate(torch.cat([text, graph], dim=-1)))
        features["sentence_embedding"] = share * text + (1 - share) * graph
        return features

    def get_embedding_dimension(self) -> int:
        return self.text.out_features

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        raise InputError("a fused model is kept whole: call save_fused")
