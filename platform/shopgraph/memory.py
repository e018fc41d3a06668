"""Gives memory back to the system after large work: a process that waits should not hold what it no longer uses."""

from __future__ import annotations

import ctypes
import gc
import sys

import pyarrow as pa


def give_back() -> None:
    """Collect garbage, then hand freed pages to the system.

    glibc keeps freed memory for the process that freed it; `malloc_trim` returns it. Elsewhere the system's own
    allocator decides.
    """
    gc.collect()
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
