"""Vectors of texts kept on disk by the text's hash, so that an unchanged text is never encoded again."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

KEY_CHARACTERS = 32
"""Of a SHA-256 in hexadecimal, 128 bits: two texts of one key are not to be expected."""
_SHARD_CHARACTERS = 2


def text_key(text: str) -> str:
    """What a text's vector is kept under."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:KEY_CHARACTERS]


class KeptVectors:
    """The vectors of one model, a file for each first byte of a key, so that a new text rewrites a part of them.

    A file is written aside and renamed. One that is damaged counts as empty, and is made anew with the next text in it.
    Of two processes that add to one file at once the later one's stays; what it lacks is encoded once more some day.

    Args:
        folder: of one model alone.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, keys: Sequence[str]) -> dict[str, np.ndarray]:
        """The vectors that are kept of these keys: (width,), float32."""
        found: dict[str, np.ndarray] = {}
        for shard, wanted in _by_shard(keys):
            kept = self._read(shard)
            found |= {key: kept[key] for key in wanted if key in kept}
        return found

    def keep(self, vectors: Mapping[str, np.ndarray]) -> None:
        """Add vectors by key."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for shard, keys in _by_shard(list(vectors)):
            kept = {**self._read(shard), **{key: vectors[key] for key in keys}}
            draft = self._folder / f".{shard}-{secrets.token_hex(4)}"
            try:
                with draft.open("wb") as handle:
                    np.savez(handle, keys=np.array(list(kept), f"S{KEY_CHARACTERS}"), matrix=np.stack([*kept.values()]))
                draft.replace(self._path(shard))
            finally:
                draft.unlink(missing_ok=True)

    def _read(self, shard: str) -> dict[str, np.ndarray]:
        """What a file holds; nothing where it is missing or damaged, which the zip's own checksums tell."""
        try:
            # opened here: np.load leaves a file open that it finds to be no archive
            with self._path(shard).open("rb") as handle, np.load(handle, allow_pickle=False) as kept:
                keys, matrix = kept["keys"], kept["matrix"]
            return {key.decode(): row for key, row in zip(keys.tolist(), matrix, strict=True)}
        except (OSError, EOFError, KeyError, ValueError, TypeError, AttributeError, BadZipFile):
            return {}

    def _path(self, shard: str) -> Path:
        return self._folder / f"{shard}.npz"


def _by_shard(keys: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    for shard, of_one in groupby(sorted(keys), key=lambda key: key[:_SHARD_CHARACTERS]):
        yield shard, list(of_one)
