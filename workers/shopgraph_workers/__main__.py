"""`python -m shopgraph_workers worker QUEUE` or `... beat`: one process, in the foreground."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shopgraph.errors import BusyError, ShopgraphError
from shopgraph.settings import load_settings
from shopgraph_workers.app import create_app


def main(arguments: list[str]) -> None:
    settings = load_settings()
    app = create_app(settings)
    if arguments[0] == "beat":
        with only_one(settings.home / "run" / "beat.lock"):
            app.start(["beat", "--loglevel=INFO", "--pidfile="])
        return
    queue = arguments[1]
    # A pool of one thread: no fork, which CUDA would not survive, and a main thread that goes on answering pings.
    app.worker_main(
        ["worker", f"--queues={queue}", f"--hostname={queue}@%h", "--pool=threads", "--concurrency=1",
         "--loglevel=INFO", "--without-gossip", "--without-mingle"]
    )  # fmt: skip


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold a lock that ends with the process; a pid file outlives it, and misleads where containers number anew.

    Raises:
        BusyError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"a beat runs already ({path} is locked): two would retrain twice a night") from None
        yield


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ShopgraphError as error:
        sys.exit(f"error: {error}")
