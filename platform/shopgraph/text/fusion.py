"""Text and graph in one vector: a product's vector of the graph is one more token beside the words of its text.

Early, it joins the tokens at the network's input or midway, and every token attends to it; late, it meets the text's
own vector at the end, and a gate says how much of each is taken. Where there is no such vector a learned one stands in,
which training gets used to by dropping vectors at random.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules.input_module import InputModule
from sentence_transformers.base.modules.module import Module
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
from torch import nn
from torch.nn import functional

from shopgraph.errors import ConfigurationError, InputError
from shopgraph.text.alignment import Alignment
from shopgraph.text.backbone import architecture_of, layers_of, open_encoder, readable, save_encoder
from shopgraph.text.layers import embedded, through

KINDS = ("none", "early", "late")
ABSENT = -1
"""Node of an input that has no vector of the graph: a query, or a product that has none yet."""
_BACKBONE, _SHAPE, _WEIGHTS = "backbone", "fusion.json", "fusion.safetensors"


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


def fuse(
    backbone: SentenceTransformer, config: FusionConfig, graph_width: int, start: Alignment
) -> SentenceTransformer:
    """A model that reads `fused_input`s, or bare texts as queries, and gives unit vectors of one width.

    Args:
        backbone: its network becomes the model's own.
        start: see `projected`.

    Shapes:
        its encode(inputs): (inputs, dimension), float32, unit length

    Raises:
        ConfigurationError: a token would join after the last layer.
    """
    return projected(read_together(backbone, config, graph_width), start)


def read_together(backbone: SentenceTransformer, config: FusionConfig, graph_width: int) -> SentenceTransformer:
    """A model's network and pooling alone: what its last projection reads, a graph's vector that joins late apart.

    Shapes:
        its encode(inputs): (inputs, width), float32

    Raises:
        ConfigurationError: a token would join after the last layer.
    """
    transformer = next(module for module in backbone.modules() if isinstance(module, Transformer))
    first = TextAndGraph(transformer, graph_width, config)
    if first.token is not None:
        _like_the_states(first, first.token)
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode=architecture_of(transformer.model).pooling)
    return SentenceTransformer(modules=[first, pooling], device=str(backbone.device))


def projected(reading: SentenceTransformer, start: Alignment) -> SentenceTransformer:
    """A model whole: what it reads together, then the projection.

    Args:
        start: where the projection starts, of the text's unit vector and, of late fusion, of the graph's vector beside
            it (see `aligned_width`); it is learned on.
    """
    first, dimension = first_stage(reading), start.basis.shape[1]
    width = first.get_embedding_dimension()
    if aligned_width(first.config, width, first.graph_width) > width:
        gated = GatedFusion(width, first.graph_width, dimension, first.config.dropped)
        _begin(gated.text, start.mean[:width], start.basis[:width])
        _begin(gated.graph.project, start.mean[width:], start.basis[width:])
        stages: list[nn.Module] = [gated]
    else:
        dense = Dense(width, dimension, activation_function=nn.Identity())
        _begin(dense.linear, start.mean, start.basis)
        stages = [Normalize(), dense]
    return SentenceTransformer(modules=[*list(reading), *stages, Normalize()], device=str(reading.device))


def aligned_width(config: FusionConfig, width: int, graph_width: int) -> int:
    """Width of what the last projection reads: a text's vector, and of late fusion the graph's beside it."""
    return width + graph_width if config.kind == "late" else width


@torch.no_grad()
def _begin(linear: nn.Linear, mean: np.ndarray, basis: np.ndarray) -> None:
    linear.weight.copy_(torch.from_numpy(np.ascontiguousarray(basis.T)))
    linear.bias.copy_(torch.from_numpy(-mean @ basis))


def with_nodes(model: SentenceTransformer, vectors: np.ndarray) -> None:
    """Give a fused model the graph vectors that its inputs name.

    Shapes:
        vectors: (nodes, graph width), float32

    Raises:
        InputError: they are of another width, or not all of them are numbers.
    """
    first = first_stage(model)
    if not first.graph_width:
        return
    if vectors.ndim != 2 or vectors.shape[1] != first.graph_width:
        raise InputError(f"graph vectors have shape {vectors.shape}, expected (nodes, {first.graph_width})")
    wrong = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(wrong):
        raise InputError(f"graph vector {wrong[0]} is not all numbers, and {len(wrong) - 1} more are not")
    first.nodes = torch.from_numpy(np.ascontiguousarray(vectors, np.float32))


def graph_width(model: SentenceTransformer) -> int:
    """Width of the graph vectors that a fused model takes; 0 for one that takes none."""
    return first_stage(model).graph_width


def save_fused(model: SentenceTransformer, folder: Path) -> None:
    """Write a fused model into a folder, for `open_fused`."""
    from safetensors.torch import save_file

    first = first_stage(model)
    backbone = SentenceTransformer(modules=[first.transformer], device=str(model.device))
    save_encoder(backbone, folder / _BACKBONE)
    own = {name: value.contiguous() for name, value in model.state_dict().items() if not _is_backbone(name)}
    save_file(own, folder / _WEIGHTS)
    shape = {
        "fusion": asdict(first.config),
        "graph_width": first.graph_width,
        "dimension": model.get_embedding_dimension(),
    }
    (folder / _SHAPE).write_text(json.dumps(shape))


def open_fused(folder: Path, device: str | torch.device) -> SentenceTransformer:
    """Read a fused model; it knows no nodes yet.

    Raises:
        InputError: the folder holds none, or a damaged one.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        shape = json.loads((folder / _SHAPE).read_text())
        config = FusionConfig(**shape["fusion"])
        own = load_file(folder / _WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise InputError(f"{folder}: no fused model can be read there ({error})") from error
    backbone = open_encoder(folder / _BACKBONE, device)
    width = backbone.get_embedding_dimension() or 0
    read = aligned_width(config, width, shape["graph_width"])
    blank = Alignment(np.zeros(read, np.float32), np.zeros((read, shape["dimension"]), np.float32), 0.0)
    model = fuse(backbone, config, shape["graph_width"], blank)
    try:
        lacking = model.load_state_dict(own, strict=False)
    except RuntimeError as error:  # of other sizes
        raise InputError(f"{folder}: its weights are of another model: {error}") from error
    missing = [name for name in lacking.missing_keys if not _is_backbone(name)]
    if missing or lacking.unexpected_keys:
        raise InputError(f"{folder}: its weights are of another model: {[*missing, *lacking.unexpected_keys][0]}")
    return model.eval()


def first_stage(model: SentenceTransformer) -> TextAndGraph:
    """Raises InputError where a model was never fused."""
    first = model[0]
    if not isinstance(first, TextAndGraph):
        raise InputError("the model reads texts alone: it was never fused")
    return first


def _is_backbone(name: str) -> bool:
    return name.startswith("0.transformer.")


@torch.no_grad()
def _like_the_states(first: TextAndGraph, token: GraphToken) -> None:
    """Tokens start as long as those they join: a louder one would drown the text, a fainter one would not be heard."""
    network = first.transformer.model
    read = first.transformer.preprocess(["a text"])
    was = network.training
    network.eval()
    states = embedded(network, read["input_ids"].to(network.device))
    states = through(network, states, read["attention_mask"].to(network.device), 0, first.config.joins)
    network.train(was)
    nn.init.constant_(token.norm.get_parameter("weight"), float(states.std()))
