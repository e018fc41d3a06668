"""A network's layers in two goes, for a token that joins the others on the way."""

from __future__ import annotations

from typing import Any

import torch
from transformers.masking_utils import create_bidirectional_mask, create_causal_mask

from shopgraph.text.backbone import layers_of

Network = Any
"""A PreTrainedModel, whose parts have the names that its architecture gives them."""


def embedded(network: Network, input_ids: torch.Tensor) -> torch.Tensor:
    """What the first layer is given.

    Shapes:
        input_ids: (texts, tokens), int64
        returns: (texts, tokens, width)
    """
    kind = network.config.model_type
    if kind == "gpt2":
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        return network.drop(network.wte(input_ids) + network.wpe(places))
    states = network.embeddings(input_ids)
    return network.dropout(states) if kind == "transformer-xl" else states


def through(
    network: Network, states: torch.Tensor, attention_mask: torch.Tensor, first: int = 0, end: int | None = None
) -> torch.Tensor:
    """Pass through the layers from `first` to before `end`, by default all that are left.

    Shapes:
        states: (texts, tokens, width)
        attention_mask: (texts, tokens), int64, 0 at padding
        returns: as states
    """
    stack = layers_of(network)
    end = len(stack) if end is None else end
    if first >= end:
        return states
    kind = network.config.model_type
    if kind == "transformer-xl":
        return network.read(states, attention_mask, slice(first, end)).last_hidden_state
    asked = {"config": network.config, "inputs_embeds": states, "attention_mask": attention_mask}
    mask = create_causal_mask(**asked, past_key_values=None) if kind == "gpt2" else create_bidirectional_mask(**asked)
    for layer in stack[first:end]:
        states = layer(states, attention_mask=mask)
    return network.ln_f(states) if kind == "gpt2" and end == len(stack) else states
