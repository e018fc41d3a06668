"""Vectors of texts are found again, whatever befell the file that they were kept in."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from shopgraph.text.kept_vectors import KeptVectors, text_key

KEYS = [text_key(f"text {number}") for number in range(40)]
VECTORS = {key: np.full(3, number, np.float32) for number, key in enumerate(KEYS)}


def equal(found: dict[str, np.ndarray], keys: list[str]) -> bool:
    return found.keys() == set(keys) and all(np.array_equal(found[key], VECTORS[key]) for key in keys)


def keep_each(folder: Path, keys: list[str]) -> None:
    for key in keys:
        KeptVectors(folder).keep({key: VECTORS[key]})


def test_what_is_kept_is_found_and_nothing_else(tmp_path: Path):
    kept = KeptVectors(tmp_path / "model")
    assert kept.find(KEYS) == {}
    kept.keep({key: VECTORS[key] for key in KEYS[:20]})
    assert equal(kept.find(KEYS), KEYS[:20])
    kept.keep({key: VECTORS[key] for key in KEYS[20:]})
    assert equal(KeptVectors(tmp_path / "model").find(KEYS), KEYS)
    assert kept.find(KEYS)[KEYS[0]].dtype == np.float32
    assert not [path for path in (tmp_path / "model").iterdir() if path.suffix != ".npz"]


@pytest.mark.parametrize("damage", ["cut", "emptied", "overwritten", "one byte"])
def test_a_damaged_file_counts_as_empty_and_is_made_anew(damage: str, tmp_path: Path):
    kept = KeptVectors(tmp_path)
    kept.keep(VECTORS)
    file = tmp_path / f"{KEYS[7][:2]}.npz"
    whole = bytearray(file.read_bytes())
    whole[whole.index(VECTORS[KEYS[7]].tobytes())] ^= 1
    broken = {"cut": whole[:100], "emptied": b"", "overwritten": b"no archive", "one byte": whole}
    file.write_bytes(broken[damage])
    others = [key for key in KEYS if key[:2] != KEYS[7][:2]]
    assert equal(kept.find(KEYS), others)
    kept.keep({KEYS[7]: VECTORS[KEYS[7]]})
    assert equal(kept.find(KEYS), [*others, KEYS[7]])


def test_two_processes_at_once_do_no_harm(tmp_path: Path):
    """The same texts in both: whichever writes last, what is found is right, and no draft stays."""
    spawned = multiprocessing.get_context("spawn")
    workers = [spawned.Process(target=keep_each, args=(tmp_path, keys)) for keys in (KEYS, KEYS[::-1])]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0]
    found = KeptVectors(tmp_path).find(KEYS)
    assert equal(found, list(found))
    assert len(found) > len(KEYS) / 2
    assert {path.suffix for path in tmp_path.iterdir()} == {".npz"}
