"""What this process serves from: opened at the first request, so after the server forked, and again after an outage."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import cast

from flask import current_app

from shopgraph.errors import ConfigurationError, ServiceError
from shopgraph.events.intake import Intake
from shopgraph.events.shown import ShownLog
from shopgraph.jobs import Jobs
from shopgraph.settings import Settings
from shopgraph.wiring_serving import Serving, broker_url, build_intake, build_serving

NEO4J_TIMEOUT_SECONDS = 5.0
"""A page gives up on Neo4j sooner than a worker does: somebody waits."""


class Backend:
    """Opens `Serving` and `Jobs` once a process and keeps them until Neo4j stops answering.

    Args:
        serving: one that is open already, in this process (tests); it is never closed here.
        jobs: likewise.
    """

    def __init__(self, settings: Settings, serving: Serving | None = None, jobs: Jobs | None = None) -> None:
        self.settings = settings.model_copy(
            update={"neo4j_timeout_seconds": min(settings.neo4j_timeout_seconds, NEO4J_TIMEOUT_SECONDS)}
        )
        self._given = serving
        self._given_jobs = jobs
        self._serving: Serving | None = None
        self._intake: Intake | None = None
        self._shown: ShownLog | None = None
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._door = threading.Lock()
        """Events come in while another thread waits for a Neo4j that does not answer."""

    def serving(self) -> Serving:
        """The process's own `Serving`.

        Raises:
            ServiceError: Neo4j does not answer; the next call tries again.
        """
        if self._given is not None:
            return self._given
        with self._lock:
            if self._serving is None or self._pid != os.getpid():
                self._serving, self._pid = build_serving(self.settings), os.getpid()
            return self._serving

    def jobs(self) -> Jobs:
        """A producer for the queues.

        Raises:
            ServiceError: the managed broker does not run.
        """
        return self._given_jobs or Jobs(broker_url(self.settings), announce=self.serving().runs.queue)

    def intake(self) -> Intake:
        """The door for events.

        Raises:
            ServiceError: the broker does not run, or may lose what it accepts; the next call tries again.
        """
        with self._door:
            if self._intake is None:
                try:
                    self._intake = build_intake(self.settings)
                except ConfigurationError as error:
                    raise ServiceError(str(error)) from None
            return self._intake

    def shown(self) -> ShownLog:
        """What keeps what this process shows; it asks for no broker that answers."""
        with self._door:
            if self._shown is None:
                self._shown = ShownLog(lambda: broker_url(self.settings))
            return self._shown

    def forget(self) -> None:
        """Open anew, when next asked, what does not answer: a restarted server may listen elsewhere.

        A Neo4j that answers stays: others are being answered from it, and what failed may be the broker.
        """
        with self._door:
            self._intake = None
        with self._lock:
            gone = self._serving if self._serving is not None and self._serving.graph.lost else None
            if gone is not None:
                self._serving = None
        if gone is not None:
            with contextlib.suppress(Exception):
                gone.close()


def backend() -> Backend:
    return cast(Backend, current_app.extensions["shopgraph"])


def serving() -> Serving:
    """The `Serving` of the application that handles this request."""
    return backend().serving()
