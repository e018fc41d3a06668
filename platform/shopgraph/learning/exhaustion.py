"""What is said when memory runs out in training: what to lower, and what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import clear_frames

from shopgraph.errors import ResourceError


@contextmanager
def memory_explained(checkpoint: Path, epoch: int) -> Iterator[None]:
    """Turn what torch, numpy and Python say when memory runs out into what to lower and what is kept.

    Args:
        epoch: that the checkpoint holds; 0 before the first.

    Raises:
        ResourceError: in place of any out-of-memory error.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        clear_frames(error.__traceback__)  # they hold on to what filled the memory
        said = (str(error).splitlines() or [type(error).__name__])[0]
        kept = f"epoch {epoch} is kept in {checkpoint}" if epoch else "no epoch was finished, so none is kept"
        raise ResourceError(
            f"memory ran out in epoch {epoch + 1}: lower the batch (or the negatives) or the dimension; {kept} ({said})"
        ) from None


def _out_of_memory(error: BaseException) -> bool:
    """By class, or by words alone where torch has none: on the CPU, and in libraries of the GPU."""
    return isinstance(error, MemoryError) or any(
        words in str(error).lower() for words in ("out of memory", "can't allocate memory", "cannot allocate memory")
    )
