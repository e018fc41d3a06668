"""Transformer-XL: a causal decoder that reads a text in segments and remembers the segments before.

What every layer was given for earlier segments is kept, cut off from the gradient, and attended to beside the segment's
own; positions enter as distances alone, so that a remembered token needs no absolute place.

Source: Dai et al., Transformer-XL: attentive language models beyond a fixed-length context (2019), section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.utils import ModelOutput

MODEL_TYPE = "transformer-xl"
UNLABELLED = -100
"""Label of a token that the loss leaves out, as transformers' collators write it."""


class TransformerXLConfig(PreTrainedConfig):
    """Sizes of the network, by transformers' names for them."""

    model_type = MODEL_TYPE

    vocab_size: int = 30_522
    hidden_size: int = 384
    num_hidden_layers: int = 6
    num_attention_heads: int = 12
    intermediate_size: int = 1536
    segment_tokens: int = 32
    """Tokens read at once."""
    memory_tokens: int = 64
    """Tokens before a segment that its layers remember."""
    dropout: float = 0.1
    initializer_range: float = 0.02
    max_position_embeddings: int = 512
    """Tokens of a text that are read; distances have no table that would end there."""
    tie_word_embeddings: bool = True
    pad_token_id: int | None = 0


@dataclass
class Remembered(ModelOutput):
    """What the network makes of texts.

    Shapes:
        last_hidden_state: (texts, tokens, width)
        memory: a layer (texts, at most memory_tokens, width), detached
        memory_mask: (texts, at most memory_tokens), int64, 0 where a text had padding
    """

    last_hidden_state: torch.Tensor | None = None
    memory: tuple[torch.Tensor, ...] | None = None
    memory_mask: torch.Tensor | None = None


@dataclass
class Predicted(ModelOutput):
    """Shapes: loss: (); logits: (texts, tokens, vocabulary); memory and its mask as in `Remembered`."""

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    memory: tuple[torch.Tensor, ...] | None = None
    memory_mask: torch.Tensor | None = None


def distance_encoding(distances: torch.Tensor, width: int) -> torch.Tensor:
    """Sinusoids R of distances (Vaswani et al. 2017): first the sines of all wavelengths, then the cosines.

    Shapes:
        distances: (n,)
        returns: (n, width), float32
    """
    wavelengths = 10_000 ** (torch.arange(0, width, 2, device=distances.device) / width)
    angles = distances[:, None].float() / wavelengths
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[:, :width]


class RelativeAttention(nn.Module):
    """Attention of a segment to its memory and itself, with the four terms of equation (3) of the paper:

    score(i, j) = q_i k_j + q_i r_{i-j} + u k_j + v r_{i-j}, by the root of a head's width.
    """

    def __init__(self, config: TransformerXLConfig) -> None:
        super().__init__()
        self.heads, width = config.num_attention_heads, config.hidden_size
        if width % self.heads:
            raise ValueError(f"hidden_size={width} is no multiple of num_attention_heads={self.heads}")
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.distance = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.content_bias = nn.Parameter(torch.zeros(self.heads, width // self.heads))
        self.distance_bias = nn.Parameter(torch.zeros(self.heads, width // self.heads))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, segment: torch.Tensor, memory: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
        """
        Shapes:
            segment: (texts, tokens, width)
            memory: (texts, remembered, width)
            allowed: (texts, tokens, remembered + tokens), bool
            returns: (texts, tokens, width)
        """
        context = torch.cat([memory, segment], dim=1)
        tokens, span = segment.shape[1], context.shape[1]
        # (texts, heads, tokens, width of a head)
        query, key, value = (
            self._heads(linear(states))
            for linear, states in ((self.query, segment), (self.key, context), (self.value, context))
        )
        behind = torch.arange(span, device=segment.device)
        # (heads, span, width of a head), row d of distance d
        distance = self._heads(self.distance(distance_encoding(behind, context.shape[-1]).to(segment.dtype))[None])[0]
        by_content = (query + self.content_bias[:, None]) @ key.mT
        by_distance = (query + self.distance_bias[:, None]) @ distance.mT
        away = (torch.arange(span - tokens, span, device=segment.device)[:, None] - behind).clamp(min=0)
        scores = by_content + by_distance.gather(-1, away.expand_as(by_content))
        scores = (scores / query.shape[-1] ** 0.5).masked_fill(~allowed[:, None], float("-inf"))
        mixed = self.dropout(scores.softmax(dim=-1)) @ value
        return self.output(mixed.transpose(1, 2).flatten(2))

    def _heads(self, states: torch.Tensor) -> torch.Tensor:
        return states.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class TransformerXLLayer(GradientCheckpointingLayer):
    """Attention and a feed-forward network, each added to its input and normalised after."""

    def __init__(self, config: TransformerXLConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.attention = RelativeAttention(config)
        self.attention_norm = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, config.intermediate_size),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.intermediate_size, width),
        )
        self.feed_forward_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, segment: torch.Tensor, memory: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
        """Shapes: as in `RelativeAttention`."""
        attended = self.attention_norm(segment + self.dropout(self.attention(segment, memory, allowed)))
        return self.feed_forward_norm(attended + self.dropout(self.feed_forward(attended)))


class _TransformerXL(PreTrainedModel):
    config_class = TransformerXLConfig
    base_model_prefix = "network"
    supports_gradient_checkpointing = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, RelativeAttention):
            for bias in (module.content_bias, module.distance_bias):
                nn.init.normal_(bias, std=self.config.initializer_range)


class TransformerXLModel(_TransformerXL):
    """The network without a head."""

    def __init__(self, config: TransformerXLConfig) -> None:
        super().__init__(config)
        self.embeddings = nn.Embedding(config.vocab_size, config.hidden_size, config.pad_token_id)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(TransformerXLLayer(config) for _ in range(config.num_hidden_layers))
        self.gradient_checkpointing = False
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.embeddings = value  # type: ignore[assignment]

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        memory: Sequence[torch.Tensor] | None = None,
        memory_mask: torch.Tensor | None = None,
        return_dict: bool = True,
    ) -> Remembered:
        """Read texts segment by segment.

        Args:
            memory: of the tokens before these, as an earlier call gave it.
            return_dict: transformers asks for it; there is no other way.

        Shapes:
            input_ids: (texts, tokens), or inputs_embeds: (texts, tokens, width)
            attention_mask: (texts, tokens), 0 at padding, which stands at the end
        """
        embedded = self.embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        mask = torch.ones_like(embedded[..., 0]) if attention_mask is None else attention_mask
        return self.read(self.dropout(embedded), mask, slice(None), memory, memory_mask)

    def read(
        self,
        states: torch.Tensor,
        mask: torch.Tensor,
        part: slice,
        memory: Sequence[torch.Tensor] | None = None,
        memory_mask: torch.Tensor | None = None,
    ) -> Remembered:
        """Pass what a layer is given through it and those above, segment by segment.

        Args:
            part: the layers; `memory` is theirs.
        """
        layers = self.layers[part]
        if memory is None or memory_mask is None:
            memory = [states.new_empty(states.shape[0], 0, states.shape[-1])] * len(layers)
            memory_mask = mask.new_empty(states.shape[0], 0)
        read = []
        size = self.config.segment_tokens
        for segment, present in zip(states.split(size, 1), mask.long().split(size, 1), strict=True):
            allowed = _allowed(present, memory_mask.long())
            kept, heard = [], segment
            for layer, remembered in zip(layers, memory, strict=True):
                kept.append(self._newest(remembered, heard.detach()))
                heard = layer(heard, remembered, allowed)
            memory, memory_mask = kept, self._newest(memory_mask.long(), present)
            read.append(heard)
        return Remembered(torch.cat(read, dim=1), tuple(memory), memory_mask)

    def _newest(self, remembered: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
        joined = torch.cat([remembered, read], dim=1)
        return joined[:, max(0, joined.shape[1] - self.config.memory_tokens) :]


class TransformerXLForCausalLM(_TransformerXL):
    """The network with a head that predicts the next token, its weights those of the word embeddings."""

    _tied_weights_keys = {"lm_head.weight": "network.embeddings.weight"}  # noqa: RUF012 - declared so by transformers

    def __init__(self, config: TransformerXLConfig) -> None:
        super().__init__(config)
        self.network = TransformerXLModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.network.embeddings

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        memory: Sequence[torch.Tensor] | None = None,
        memory_mask: torch.Tensor | None = None,
        return_dict: bool = True,
    ) -> Predicted:
        """
        Args:
            labels: the tokens themselves; -100 where none is to be predicted.

        Shapes:
            labels: (texts, tokens), int64; otherwise as in `TransformerXLModel`
        """
        read = self.network(input_ids, attention_mask, memory=memory, memory_mask=memory_mask)
        logits = self.lm_head(read.last_hidden_state)
        loss = None
        if labels is not None:
            loss = functional.cross_entropy(
                logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=UNLABELLED
            )
        return Predicted(loss, logits, read.memory, read.memory_mask)


def _allowed(present: torch.Tensor, remembered: torch.Tensor) -> torch.Tensor:
    """What each token may attend to: what is not padding and not after it; itself always, so that no row is empty.

    Shapes:
        present: (texts, tokens), remembered: (texts, remembered)
        returns: (texts, tokens, remembered + tokens), bool
    """
    tokens, before = present.shape[1], remembered.shape[1]
    keys = torch.cat([remembered, present], dim=1).bool()[:, None]
    itself = torch.arange(tokens, device=present.device)[:, None] + before
    key = torch.arange(before + tokens, device=present.device)
    return (keys & (key <= itself)) | (key == itself)


AutoConfig.register(MODEL_TYPE, TransformerXLConfig)
AutoModel.register(TransformerXLConfig, TransformerXLModel)
AutoModelForCausalLM.register(TransformerXLConfig, TransformerXLForCausalLM)
