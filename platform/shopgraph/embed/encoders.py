"""The encoders by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import nn

from shopgraph.embed.gat import GATConfig, gat
from shopgraph.embed.gcn import GCNConfig, gcn
from shopgraph.embed.graphsage import GraphSAGEConfig, graphsage
from shopgraph.embed.hgt import HGTConfig, hgt
from shopgraph.embed.lightgcn import LightGCN, LightGCNConfig
from shopgraph.embed.message_graph import GraphShape
from shopgraph.errors import ConfigurationError

ENCODERS: dict[str, tuple[type, Callable[..., nn.Module]]] = {
    "gcn": (GCNConfig, gcn),
    "graphsage": (GraphSAGEConfig, graphsage),
    "gat": (GATConfig, gat),
    "hgt": (HGTConfig, hgt),
    "lightgcn": (LightGCNConfig, LightGCN),
}
"""Each name's config and what builds it from a shape, a dimension and that config."""


def build_encoder(name: str, options: Mapping[str, Any], shape: GraphShape, dimension: int, seed: int) -> nn.Module:
    """An untrained encoder; the same seed gives the same parameters.

    Args:
        options: fields of the encoder's config; what is left out keeps its default.

    Raises:
        ConfigurationError: an unknown encoder or option.
    """
    config = encoder_config(name, options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ENCODERS[name][1](shape, dimension, config)


def encoder_config(name: str, options: Mapping[str, Any]) -> Any:
    """The encoder's own config; what is left out of the options keeps its default.

    Raises:
        ConfigurationError: an unknown encoder or option.
    """
    if name not in ENCODERS:
        raise ConfigurationError(f"encoder {name!r}: choose from {', '.join(ENCODERS)}")
    kind = ENCODERS[name][0]
    known = {item.name for item in fields(kind)}
    if unknown := sorted(set(options) - known):
        raise ConfigurationError(f"{name} has no option {unknown[0]!r}: it knows {', '.join(sorted(known))}")
    return kind(**options)
