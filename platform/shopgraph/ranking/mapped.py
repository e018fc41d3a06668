"""Arrays in files: mapped, where any entry may be asked for; read in runs of rows, where a few of many are."""

from __future__ import annotations

import math
import os
import weakref
from pathlib import Path

import numpy as np


def mapped(path: Path) -> np.ndarray:
    """As a plain array: of numpy's own class for maps, every slice would be made with a Python call."""
    return np.asarray(np.load(path, mmap_mode="r"))


class Rows:
    """An array of which runs of rows are read whenever they are asked for.

    Pages of a map that were asked for once count as the memory of every process that asked, as long as it lives; what
    is read is forgotten, and the system keeps it for all.

    Raises:
        ValueError: the file holds no array, or not all of it.
    """

    def __init__(self, path: Path) -> None:
        held = np.load(path, mmap_mode="r")
        if not held.flags.c_contiguous:
            raise ValueError(f"{path.name} holds columns one after the other, not rows")
        self.dtype, self.shape, self._start = held.dtype, held.shape, held.offset
        self._row_bytes = held.itemsize * math.prod(held.shape[1:])
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Raises ValueError where the file has been cut since."""
        start, end, step = rows.indices(len(self))
        if step != 1:
            raise ValueError(f"rows are read in runs, not every {step}")
        count = max(0, end - start)
        raw = os.pread(self._file, count * self._row_bytes, self._start + start * self._row_bytes)
        return np.frombuffer(raw, self.dtype).reshape(count, *self.shape[1:])
