"""Encoding each text once, in order of length; finished chunks are kept, so that a killed run goes on from there."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shopgraph.text.backbone import readable
from shopgraph.text.compiled import CompiledReader, compiled
from shopgraph.tracking import Progress, silent

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

CHUNK_TEXTS = 1024
STEP = "text: encode"


@dataclass(frozen=True)
class Encoded:
    """Encoded texts, and what it took this time.

    Shapes:
        matrix: (texts, width), float32
    """

    matrix: np.ndarray
    fresh: int
    """Texts that were not kept by an earlier run."""
    seconds: float

    @property
    def texts_per_second(self) -> float:
        return self.fresh / self.seconds if self.fresh else 0.0


def encode_texts(
    model: SentenceTransformer,
    texts: Sequence[Any],
    batch_texts: int = 64,
    folder: Path | None = None,
    progress: Progress = silent,
    *,
    unit: bool = True,
) -> Encoded:
    """Encode texts in single precision: bfloat16 was measured slower on processors without matrix units.

    Args:
        texts: distinct texts, or inputs of a fused model; equal ones would be encoded twice.
        folder: where finished chunks are kept. It must belong to this model and these texts alone.
        unit: whether vectors are scaled to unit length.
    """
    started = time.monotonic()
    order = np.argsort([len(_text(item)) for item in texts], kind="stable")
    chunks = {first: order[first : first + CHUNK_TEXTS] for first in range(0, len(texts), CHUNK_TEXTS)}
    files = {first: folder / f"chunk-{first:07d}.npy" for first in chunks} if folder else {}
    kept = {first for first, file in files.items() if file.exists()}
    fresh = [texts[row] for first in chunks.keys() - kept for row in chunks[first]]
    reader = compiled(model, fresh)
    encoded = np.empty((len(texts), model.get_embedding_dimension() or 0), np.float32)
    for first, rows in chunks.items():
        if first in kept:
            encoded[rows] = np.load(files[first])
        else:
            encoded[rows] = _encode(model, [texts[row] for row in rows], batch_texts, unit, reader)
            if first in files:
                _keep(encoded[rows], files[first])
        progress(STEP, first + len(rows), len(texts))
    return Encoded(encoded, len(fresh), time.monotonic() - started)


def _text(item: Any) -> str:
    return item if isinstance(item, str) else item["text"]


def _encode(
    model: SentenceTransformer, texts: list[Any], batch_texts: int, unit: bool, reader: CompiledReader | None
) -> np.ndarray:
    sound = readable(texts) if isinstance(texts[0], str) else texts
    if reader is None:
        return model.encode(sound, batch_size=batch_texts, show_progress_bar=False, normalize_embeddings=unit)
    found = reader(sound)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12) if unit else found


def _keep(chunk: np.ndarray, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(f".{os.getpid()}")
    with draft.open("wb") as handle:
        np.save(handle, chunk)
    draft.rename(file)
