"""Runs one step of a retraining under its lease, notes what it put out, and closes the run when it ends or fails."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

from shopgraph.errors import BusyError, ServiceError, ShopgraphError
from shopgraph.jobs import RETRAIN_STEPS, RetrainRequest
from shopgraph.memory import give_back
from shopgraph.tracking import Progress, RunLog
from shopgraph.wiring_training import Training
from shopgraph_workers.lease import Lease, LeaseLostError, LeaseTerms, SameRunError
from shopgraph_workers.retraining import STEPS, summary
from shopgraph_workers.run_state import RunFolder, RunState

logger = logging.getLogger(__name__)

RUN: ContextVar[str] = ContextVar("run", default="-")
"""The run that this thread works for; every line of the log carries it."""

LAST_STEP = list(RETRAIN_STEPS)[-1]


class StoppingError(Exception):
    """The worker is told to stop: the step's task goes back to its queue, its checkpoints stay."""


class DroppedError(Exception):
    """The task ends here and its chain with it; why is in the log, and in the run log where the run has ended."""


class Execution:
    """What all tasks of a worker process share.

    Args:
        open_training: opens the graph and the registry at the first task, in the process that uses them.
        runs: state files and work folders.
        terms: of the lease.
        stopping: set when the worker is told to stop.
    """

    def __init__(
        self, open_training: Callable[[], Training], runs: RunFolder, terms: LeaseTerms, stopping: threading.Event
    ) -> None:
        self._open_training = open_training
        self._runs = runs
        self._terms = terms
        self._stopping = stopping
        self._training: Training | None = None
        self._opening = threading.Lock()

    @property
    def training(self) -> Training:
        """Opened anew where Neo4j was lost: restarted, it may listen elsewhere.

        What was lost stays open, since a step may hold on to it and see Neo4j come back where it was.
        """
        with self._opening:
            if self._training is None or self._training.graph.lost:
                self._training = self._open_training()
            return self._training

    @property
    def log(self) -> RunLog:
        return self.training.runs

    def perform(self, step: str, run_id: str, payload: dict[str, Any]) -> None:
        """Do a step unless it is done.

        Raises:
            StoppingError: the worker stops; deliver the task again.
            DroppedError: the run has failed, or another process works on it; nothing of it must follow from here.
        """
        token = RUN.set(run_id)
        try:
            state = self._runs.read(run_id)
            if state is not None and (state.status != "running" or step in state.outputs):
                logger.info("%s is done already", step)
                return
            request = RetrainRequest.model_validate(payload)
            try:
                with self._lease(run_id) as lease:
                    ended = self._perform(step, run_id, request, lease)
            except (SameRunError, LeaseLostError) as error:
                raise DroppedError(str(error)) from None
            except BusyError as error:
                self._refuse(run_id, request, str(error))
                raise DroppedError(str(error)) from None
            if ended is not None:
                self._tell(ended)
        finally:
            RUN.reset(token)

    def _perform(self, step: str, run_id: str, request: RetrainRequest, lease: Lease) -> RunState | None:
        """Do the step; the run's state where it has ended with it."""
        state = self._runs.open(run_id, request, lease.fence)
        if state.next_step != step:
            raise DroppedError(f"{step} is not the next step of run {run_id}, which is {state.next_step}")
        try:
            self.log.begin("retrain", request.model_dump(mode="json"), run_id)
            started = time.monotonic()
            logger.info("%s begins", step)
            output = STEPS[step](self.training, request, state, self._runs.work(run_id), self._reporter(run_id, lease))
            give_back()
            lease.check()
            state = self._runs.record(state, step, output, lease.fence)
            logger.info("%s took %.1f s: %s", step, time.monotonic() - started, output)
        except StoppingError:
            logger.warning("%s stops with the worker and goes on with the next one", step)
            raise
        except LeaseLostError:
            raise
        except Exception as error:
            line = one_line(error)
            logger.error("%s failed: %s", step, line, exc_info=not isinstance(error, ShopgraphError))
            return self._close(state, "failed", lease, line)
        return self._close(state, "succeeded", lease) if step == LAST_STEP else None

    def _close(self, state: RunState, status: str, lease: Lease, error: str | None = None) -> RunState:
        lease.release_at_end()
        closed = self._runs.close(state, status, lease.fence, error)
        self._runs.tidy(state.id)
        return closed

    def _tell(self, ended: RunState) -> None:
        """Report the end, the lease being free by now: who waits for it may retrain again at once."""
        self.report_end(ended)
        if ended.status == "failed":
            raise DroppedError(ended.error)

    def report_end(self, state: RunState) -> None:
        """Tell the run log how a run ended; where Neo4j can't be reached it is told later, by recovery."""
        try:
            self.log.finish(state.id, state.status, summary(state), state.error)
            self._runs.mark_reported(state)
        except ServiceError as error:
            logger.warning("the end of run %s is not in the run log yet: %s", state.id, error)

    def _refuse(self, run_id: str, request: RetrainRequest, reason: str) -> None:
        logger.warning("refused: %s", reason)
        state = self._runs.read(run_id)
        if state is not None:
            self._runs.mark_reported(self._runs.close(state, "failed", state.fence, reason))
        self.log.begin("retrain", request.model_dump(mode="json"), run_id)
        self.log.finish(run_id, "failed", error=reason)

    @contextmanager
    def _lease(self, run_id: str) -> Iterator[Lease]:
        """Take the lease; one that a killed process of the same run left behind is waited for until it lapses."""
        with ExitStack() as stack:
            lease = None
            deadline = time.monotonic() + self._terms.seconds + 5.0
            while lease is None:
                try:
                    lease = stack.enter_context(Lease(self._terms, run_id))
                except SameRunError:
                    if time.monotonic() > deadline or self._stopping.wait(1.0):
                        raise
            yield lease

    def _reporter(self, run_id: str, lease: Lease) -> Progress:
        write = self.log.progress(run_id)

        def report(step: str, done: int, total: int, message: str = "") -> None:
            if self._stopping.is_set():
                raise StoppingError
            lease.check()
            try:
                write(step, done, total, message)
            except ServiceError as error:
                logger.warning("progress is not noted: %s", error)

        return report


def one_line(error: Exception) -> str:
    """An error as the run log shows it: a known one in its own words, another with its type."""
    text = " ".join(str(error).split())
    return text if isinstance(error, ShopgraphError) else f"{type(error).__name__}: {text}"
