"""What newcomers are encoded with, opened once a version: they come all day, and one version serves it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from shopgraph.newcomers import ARTEFACT_FILE
from shopgraph.registry import Registry, Vectors

if TYPE_CHECKING:
    from shopgraph.embed.artefact import EncodingArtefact
    from shopgraph.text.features import TextFeatures
    from shopgraph.text.reader import FusedReader
    from shopgraph.text.shop import GraphVectors


@lru_cache(maxsize=1)
def encoding_of(models: Path, version: str) -> tuple[EncodingArtefact, Vectors]:
    """A version's artefact and its products' vectors."""
    from shopgraph.embed.artefact import open_artefact

    registry = Registry(models)
    return open_artefact(registry.path(version)), registry.vectors(version, "Product")


@lru_cache(maxsize=1)
def fused_of(models: Path, version: str) -> tuple[FusedReader, Vectors]:
    """What a text version reads products with, and its products' vectors."""
    from shopgraph.text.reader import FusedReader

    registry = Registry(models)
    return FusedReader(registry.path(version)), registry.vectors(version, "Product")


@lru_cache(maxsize=1)
def reading_of(models: Path, version: str, kept: Path) -> TextFeatures:
    """What a version reads texts with; kept, since its language model takes seconds to open."""
    from shopgraph.text.features import open_text_features

    return open_text_features(Registry(models).path(version), kept, "cpu")


def graph_vectors_of(version: str, vectors: Mapping[str, Vectors], folder: Path) -> GraphVectors:
    """What text is fused with: products by the catalogue alone, as newcomers are, where the files can tell it.

    Args:
        vectors: by label.
        folder: of the version, or of a training on another snapshot.
    """
    from shopgraph.embed.artefact import open_artefact
    from shopgraph.embed.inductive import encode_unbought
    from shopgraph.text.shop import GraphVectors

    told = encode_unbought(open_artefact(folder)) if (folder / ARTEFACT_FILE).exists() else vectors["Product"]
    return GraphVectors(version, told, vectors["User"])
