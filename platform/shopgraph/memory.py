"""When memory goes back to the system: not between steps that will want it again, and at once when the work is done."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt(3)."""
KEPT = {TRIM_THRESHOLD: -1, MMAP_THRESHOLD: 1 << 30}
USUAL = {TRIM_THRESHOLD: 64 << 20, MMAP_THRESHOLD: 32 << 20}
"""What glibc's own thresholds grow to in a process that frees large arrays."""


@contextmanager
def kept_pages() -> Iterator[None]:
    """Within it memory that is freed stays with the process, then goes back.

    A step of training makes and drops arrays of 20 to 400 MB. glibc maps each anew and the system clears its pages one
    by one, which took 65 of 150 CPU seconds of three epochs. Not to be nested.
    """
    _set(KEPT)
    try:
        yield
    finally:
        _set(USUAL)
        give_back()


def give_back() -> None:
    """Collect garbage, then hand freed pages to the system.

    glibc keeps freed memory for the process that freed it; `malloc_trim` returns it. Elsewhere the system's own
    allocator decides.
    """
    gc.collect()
    pa.default_memory_pool().release_unused()
    if trim := _glibc("malloc_trim"):
        trim(0)


def _set(thresholds: dict[int, int]) -> None:
    if mallopt := _glibc("mallopt"):
        for parameter, value in thresholds.items():
            mallopt(parameter, value)


def _glibc(name: str) -> ctypes._NamedFuncPointer | None:
    """A function of glibc; None where another C library allocates."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
