"""Product texts as features of the graph embedding: vectors of a language model that stays as it is, made narrow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shopgraph.dataset.corpus import CorpusConfig, ProductWords, product_texts, read_corpus
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.errors import InputError
from shopgraph.text.backbone import DEFAULT, backbone_path, open_encoder
from shopgraph.text.encoding import encode_texts
from shopgraph.text.kept_vectors import KeptVectors, text_key
from shopgraph.text.projection import Projection, fit_projection
from shopgraph.tracking import Progress, silent

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

FEATURES = "text-features"
"""In the folder of a version: with what it reads the texts of products that come later."""
STEP = "graph embedding: texts"
_PROJECTION, _READING = "projection.npz", "reading.json"


@dataclass(frozen=True)
class TextFeaturesConfig:
    """How texts become features."""

    backbone: str = DEFAULT
    """A name that `backbone_path` knows, or a folder; never trained here."""
    max_tokens: int = 64
    """Tokens of a text that are read."""
    columns: int = 64
    """Width of the features at most; a shop of fewer texts has one column a text."""
    batch_texts: int = 64
    """Texts encoded at once."""
    corpus: CorpusConfig = field(default_factory=CorpusConfig)


class FrozenEncoder:
    """A language model as it came; a text that it has read before is looked up.

    Args:
        kept: where vectors are kept, of all models.
    """

    def __init__(self, config: TextFeaturesConfig, kept: Path, device: str) -> None:
        self._config, self._kept, self._device = config, kept, device

    @cached_property
    def name(self) -> str:
        """What the model is known by: 16 hexadecimal digits of its files' bytes, and where it cuts a text."""
        digest = hashlib.sha256()
        folder = backbone_path(self._config.backbone)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            digest.update(f"{path.relative_to(folder).as_posix()} {path.stat().st_size}\n".encode())
            with path.open("rb") as handle:
                digest.update(hashlib.file_digest(handle, "sha256").digest())
        return f"{digest.hexdigest()[:16]}-{self._config.max_tokens}"

    @cached_property
    def _model(self) -> SentenceTransformer:
        return open_encoder(backbone_path(self._config.backbone), self._device, self._config.max_tokens)

    def __call__(self, texts: Sequence[str], folder: Path | None = None, progress: Progress = silent) -> np.ndarray:
        """The model's vectors of texts.

        Args:
            texts: distinct, at least one.
            folder: of one run: what it encoded before it was killed is found there.

        Shapes:
            returns: (texts, width), float32, unit length
        """
        cache = KeptVectors(self._kept / self.name)
        keys = [text_key(text) for text in texts]
        found = cache.find(keys)
        missing = [row for row, key in enumerate(keys) if key not in found]
        progress(STEP, 0, len(missing), f"{len(texts) - len(missing)} of {len(texts)} texts are known")
        if missing:
            asked = hashlib.sha256("".join(keys[row] for row in missing).encode()).hexdigest()[:16]
            chunks = None if folder is None else folder / f"encoded-{self.name}-{asked}"
            fresh = encode_texts(
                self._model,
                [texts[row] for row in missing],
                self._config.batch_texts,
                chunks,
                lambda _, done, total, message="": progress(STEP, done, total, message),
            )
            new = {keys[row]: vector for row, vector in zip(missing, fresh.matrix, strict=True)}
            cache.keep(new)
            found |= new
        return np.stack([found[key] for key in keys])


@dataclass(frozen=True)
class TextFeatures:
    """Turns texts into features, the same for a snapshot's products and for those that come after it."""

    encoder: FrozenEncoder
    projection: Projection
    config: TextFeaturesConfig

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """Features of texts, equal ones encoded once.

        Shapes:
            returns: (texts, columns), float32, unit length
        """
        if not texts:
            return np.empty((0, self.projection.basis.shape[1]), np.float32)
        distinct = sorted(set(texts))
        row_of = {text: row for row, text in enumerate(distinct)}
        return self.projection(self.encoder(distinct))[[row_of[text] for text in texts]]

    def of(self, products: Iterable[ProductWords], brands: Iterable[str]) -> np.ndarray:
        """Features of products by what their texts are made of, and the names of all brands: (products, columns)."""
        return self(product_texts(products, brands, self.config.corpus))

    def write(self, folder: Path) -> None:
        """Keep what reads later texts, for `open_text_features`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.projection.write(folder / _PROJECTION)
        (folder / _READING).write_text(json.dumps({"model": self.encoder.name, "config": asdict(self.config)}))


def learn_text_features(
    snapshot: Snapshot,
    config: TextFeaturesConfig,
    kept: Path,
    folder: Path,
    device: str,
    progress: Progress = silent,
) -> np.ndarray:
    """Encode a snapshot's texts, each once, and fit the projection that makes them narrow.

    Args:
        kept: where vectors of texts are kept from run to run.
        folder: of this run: a killed one goes on from there, and what reads later texts is left in its `FEATURES`.

    Shapes:
        returns: (products, columns), float32, unit length, rows in the snapshot's order

    Raises:
        InputError: the snapshot has no products, or no such model.
    """
    corpus = read_corpus(snapshot, config.corpus)
    if not corpus.texts:
        raise InputError(f"snapshot {snapshot.id} has no products: there are no texts to read")
    encoder = FrozenEncoder(config, kept, device)
    encoded = encoder(corpus.texts, folder, progress)
    # more columns than texts would be directions that no text has, and noise in them would be learned
    projection = fit_projection(encoded, min(config.columns, *encoded.shape))
    TextFeatures(encoder, projection, config).write(folder / FEATURES)
    return projection(encoded)[corpus.text_of]


def open_text_features(version_folder: Path, kept: Path, device: str) -> TextFeatures:
    """What a version reads texts with.

    Raises:
        InputError: the version keeps none, they are damaged, or the language model is no longer the same.
    """
    folder = version_folder / FEATURES
    projection = Projection.read(folder / _PROJECTION)
    try:
        reading = json.loads((folder / _READING).read_text())
        stated = {**reading["config"], "corpus": CorpusConfig(**reading["config"]["corpus"])}
        config, model = TextFeaturesConfig(**stated), reading["model"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder} can't be read ({error}): retrain, or publish another version") from None
    encoder = FrozenEncoder(config, kept, device)
    if encoder.name != model:
        raise InputError(
            f"version {version_folder.name} read texts with another {config.backbone} than there is now: retrain"
        )
    return TextFeatures(encoder, projection, config)
