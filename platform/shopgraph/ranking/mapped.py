"""Arrays in files that processes map rather than read: only what is asked for is loaded, and all share its pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def mapped(path: Path) -> np.ndarray:
    """As a plain array: of numpy's own class for maps, every slice would be made with a Python call."""
    return np.asarray(np.load(path, mmap_mode="r"))
