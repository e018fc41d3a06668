"""What lies in the folder of a model version, opened once for all threads of a process."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from pathlib import Path
from threading import Lock
from typing import TypeVar

Opened = TypeVar("Opened")
VERSIONS = 2
"""Kept open: the one that serves, and the one before while requests that it answers are still under way; or
the two that an experiment compares."""


def opened_once(open_folder: Callable[[Path], Opened]) -> Callable[[Path], Opened]:
    """Of threads that ask for a folder at once, one opens it and the others wait.

    `lru_cache` alone lets each open a copy; all but one are dropped, and their memory stays with the process.
    """
    kept, one_at_a_time = lru_cache(maxsize=VERSIONS)(open_folder), Lock()

    @wraps(open_folder)
    def opened(folder: Path) -> Opened:
        with one_at_a_time:
            return kept(folder)

    return opened
