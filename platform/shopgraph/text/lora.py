"""Low-rank adapters: a few weights beside each attention instead of all weights (Hu et al. 2022), by peft."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shopgraph.errors import ConfigurationError, InputError
from shopgraph.text.backbone import architecture_of

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import nn
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class LoraConfig:
    """How large adapters are.

    Raises:
        ConfigurationError: a number out of its range.
    """

    rank: int = 0
    """Rank r of each adapter; 0 trains the network's own weights."""
    alpha: int = 32
    """What an adapter adds is multiplied by alpha / r."""
    dropout: float = 0.0
    """Of an adapter's input."""

    def __post_init__(self) -> None:
        if self.rank < 0 or self.alpha <= 0 or not 0 <= self.dropout < 1:
            raise ConfigurationError(f"{self}: rank must be at least 0, alpha above 0, dropout from 0 to below 1")


def adapt(network: PreTrainedModel, config: LoraConfig, seed: int) -> PeftModel:
    """Put adapters into a network, in place; all else of it is frozen.

    Returns:
        what saves and merges them; the network itself goes on being used.
    """
    import torch
    from peft import LoraConfig as PeftLoraConfig
    from peft import get_peft_model

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return get_peft_model(
            network,
            PeftLoraConfig(
                r=config.rank,
                lora_alpha=config.alpha,
                lora_dropout=config.dropout,
                target_modules=list(architecture_of(network).adapted),
                fan_in_fan_out=network.config.model_type == "gpt2",
            ),
        )


def merge(adapters: PeftModel) -> None:
    """Add adapters into the weights they stand beside; the network is an ordinary one again."""
    adapters.merge_and_unload()
    for parameter in adapters.parameters():
        parameter.requires_grad_(True)


def save_adapters(adapters: PeftModel, folder: Path) -> None:
    """Write the adapters alone, for `load_adapters`."""
    adapters.save_pretrained(str(folder), save_embedding_layers=False)


def load_adapters(network: PreTrainedModel, folder: Path) -> PeftModel:
    """Put saved adapters into the network that they were trained for, in place.

    Raises:
        InputError: the folder holds none, or those of another network.
    """
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(network, str(folder), local_files_only=True)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise InputError(f"{folder}: no adapters for this network can be read there ({error})") from error


def trained_share(model: nn.Module) -> float:
    """Share of a model's weights that training moves."""
    counts = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return sum(count for count, moves in counts if moves) / sum(count for count, _ in counts)
