"""A model of text and graph, whole: built on a backbone, given the graph's vectors, kept and opened again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
from torch import nn

from shopgraph.errors import InputError
from shopgraph.text.alignment import Alignment
from shopgraph.text.backbone import architecture_of, open_encoder, save_encoder
from shopgraph.text.layers import embedded, through
from shopgraph.text.stages import FusionConfig, GatedFusion, GraphToken, TextAndGraph

_BACKBONE, _SHAPE, _WEIGHTS = "backbone", "fusion.json", "fusion.safetensors"


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
