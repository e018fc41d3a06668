"""`python -m shopgraph_workers worker QUEUE` or `... beat`: one process, in the foreground."""

from __future__ import annotations

import sys

from shopgraph.errors import ShopgraphError
from shopgraph.settings import load_settings
from shopgraph_workers.app import create_app


def main(arguments: list[str]) -> None:
    settings = load_settings()
    app = create_app(settings)
    if arguments[0] == "beat":
        app.start(["beat", "--loglevel=INFO", f"--pidfile={settings.home / 'run' / 'beat.pid'}"])
        return
    queue = arguments[1]
    # A pool of one thread: no fork, which CUDA would not survive, and a main thread that goes on answering pings.
    app.worker_main(
        ["worker", f"--queues={queue}", f"--hostname={queue}@%h", "--pool=threads", "--concurrency=1",
         "--loglevel=INFO", "--without-gossip", "--without-mingle"]
    )  # fmt: skip


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ShopgraphError as error:
        sys.exit(f"error: {error}")
