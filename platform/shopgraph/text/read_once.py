"""A network that stays as it is, in training: its vectors of texts are looked up, and only what is above it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules.input_module import InputModule

from shopgraph.errors import InputError
from shopgraph.text.backbone import UNTRAINED, open_backbone
from shopgraph.text.config import TextConfig
from shopgraph.text.encoding import STEP, encode_texts
from shopgraph.text.features import FrozenEncoder, TextFeaturesConfig
from shopgraph.text.fusion import first_stage
from shopgraph.text.stages import TextAndGraph, stated
from shopgraph.tracking import Progress, silent


class Reading:
    """Reads texts by the backbone of a config; those it read before, in any run, it looks up while nothing was trained.

    Args:
        kept: where vectors are kept from run to run, of all models.
        folder: of this run: a killed one goes on from there.
    """

    def __init__(
        self,
        config: TextConfig,
        kept: Path | None,
        device: str | torch.device,
        seed: int,
        folder: Path,
        progress: Progress = silent,
    ) -> None:
        self._config, self._kept, self._device, self._seed = config, kept, device, seed
        self._folder, self._progress = folder, progress

    def as_it_came(self, texts: Sequence[str]) -> np.ndarray:
        """(texts, width), float32, unit length, by the backbone before any training."""
        config = self._config
        if self._kept is None or config.backbone in UNTRAINED:
            backbone = open_backbone(
                config.backbone, self._device, config.max_tokens, config.backbone_options, self._seed
            )
            return encode_texts(backbone, texts, config.batch_texts).matrix
        features = TextFeaturesConfig(config.backbone, config.max_tokens, batch_texts=config.batch_texts)
        encoder = FrozenEncoder(features, self._kept, str(self._device))
        return encoder(texts, self._folder, lambda _, *said: self._progress(STEP, *said))

    def by(self, model: SentenceTransformer, texts: Sequence[str], characters: float) -> np.ndarray:
        """The same by the network and pooling of a model, as they are now.

        Args:
            characters: how many were added to the vocabulary.
        """
        config = self._config
        if self._kept is not None and not (characters or config.pretraining.steps or config.backbone in UNTRAINED):
            return self.as_it_came(texts)
        network = SentenceTransformer(modules=list(model)[:2], device=str(model.device))
        return encode_texts(network, texts, config.batch_texts, self._folder, self._progress).matrix


class Read:
    """Vectors of texts, looked up.

    Attributes:
        vectors: of the texts that it was made of, in their order, (texts, width), float32
    """

    def __init__(self, texts: Sequence[str], vectors: np.ndarray) -> None:
        self.vectors, self._row_of = vectors, {text: row for row, text in enumerate(texts)}

    def rows(self, texts: Sequence[str]) -> list[int]:
        return [self._row_of[text] for text in texts]

    def of(self, texts: Sequence[str]) -> np.ndarray:
        """(texts, width), float32"""
        return self.vectors[self.rows(texts)]


class ReadTexts(InputModule):
    """In the place of a network and its pooling: the vectors of texts that were read before.

    Args:
        first: whose graph vectors join.
    """

    def __init__(self, first: TextAndGraph, read: Read) -> None:
        super().__init__()
        self._graph_of = first.graph_of
        self._read, self._vectors = read, torch.from_numpy(read.vectors)

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **_: Any) -> dict[str, Any]:
        """The texts' vectors, sentence_embedding: (inputs, width), and the graph's."""
        asked = stated(inputs)
        rows = torch.tensor(self._read.rows([item["text"] for item in asked]))
        return {"sentence_embedding": self._vectors[rows], **self._graph_of(asked)}

    def forward(self, features: dict[str, torch.Tensor], **_: Any) -> dict[str, torch.Tensor]:
        return features

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        raise InputError("texts that were read once are not kept: call save_fused on the model itself")


def reading_once(model: SentenceTransformer, read: Read) -> SentenceTransformer:
    """A model of the same last stages, which train with it, that knows these texts alone.

    Args:
        read: as the model's network and pooling give them.
    """
    stages = [ReadTexts(first_stage(model), read), *list(model)[2:]]
    return SentenceTransformer(modules=stages, device=str(model.device))
