"""Brings runs back whose process was killed: the broker alone would hand their task out again only after a day."""

from __future__ import annotations

import logging
import threading

from redis.exceptions import RedisError

from shopgraph.errors import ShopgraphError
from shopgraph.jobs import RETRAIN_STEPS, Jobs, RetrainRequest
from shopgraph_workers.execution import Execution
from shopgraph_workers.lease import LeaseTerms
from shopgraph_workers.run_state import RunFolder, RunState

logger = logging.getLogger(__name__)


class Recovery:
    """Looks now and then for runs that nobody holds, and queues what is left of them.

    A run is left behind when its state says running, no lease is held for it, and nothing waits in the queue of its
    next step. A task queued twice does no harm: a step that is done answers at once, and a lease keeps the second of
    two at the same step out.
    """

    def __init__(self, jobs: Jobs, runs: RunFolder, terms: LeaseTerms, execution: Execution) -> None:
        self._jobs = jobs
        self._runs = runs
        self._terms = terms
        self._execution = execution

    def sweep(self) -> list[str]:
        """Queue the rest of each run left behind; their ids."""
        resumed = []
        for state in self._runs.open_ends():
            if state.status != "running":
                self._execution.report_end(state)
            elif (step := self._left_at(state)) and self._is_first_to_see(state):
                logger.warning("run %s was left behind at %s: it goes on", state.id, step)
                self._jobs.send_steps(state.id, RetrainRequest.model_validate(state.request), step)
                resumed.append(state.id)
        return resumed

    def watch(self, stopping: threading.Event) -> threading.Thread:
        """Sweep in a thread of this process, once a lease, until it stops."""

        def sweep_until_stopped() -> None:
            while not stopping.wait(self._terms.seconds):
                try:
                    self.sweep()
                except (ShopgraphError, RedisError, OSError) as error:
                    logger.warning("no sweep for runs left behind: %s", error)
                except Exception:
                    logger.exception("the sweep for runs left behind failed and is tried again")

        thread = threading.Thread(target=sweep_until_stopped, name="recovery", daemon=True)
        thread.start()
        return thread

    def _left_at(self, state: RunState) -> str | None:
        """The step a run stopped at, if nobody holds it and no task may still be on its way to a worker."""
        step = state.next_step
        if step is None or self._terms.holder() is not None or self._jobs.waiting()[RETRAIN_STEPS[step]] > 0:
            return None
        return step

    def _is_first_to_see(self, state: RunState) -> bool:
        key = f"{self._terms.key}:recovered:{state.id}"
        return bool(self._terms.client.set(key, 1, nx=True, px=int(self._terms.seconds * 1000)))
