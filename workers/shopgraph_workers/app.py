"""The Celery app of one worker process: JSON only, a task acknowledged when it is done, one process a queue."""

from __future__ import annotations

import logging
import threading
from typing import Any

from celery import Celery, Task
from celery.exceptions import Ignore, Reject
from celery.signals import after_setup_logger, worker_ready, worker_shutting_down
from redis import Redis

from shopgraph.errors import BusyError, ConfigurationError, InputError, PublishError, ServiceError
from shopgraph.jobs import (
    BROKER_OPTIONS,
    CPU,
    ENCODE_NEW,
    IO,
    NIGHTLY,
    RANK_AHEAD,
    RETRAIN_STEPS,
    SOCKET_TIMEOUT_SECONDS,
    Jobs,
    RetrainRequest,
    usual_config,
)
from shopgraph.settings import Settings
from shopgraph.wiring_serving import broker_url, rank_ahead_now
from shopgraph.wiring_training import build_training
from shopgraph_workers.execution import LAST_STEP, RUN, DroppedError, Execution, StoppingError
from shopgraph_workers.lease import LeaseTerms
from shopgraph_workers.recovery import Recovery
from shopgraph_workers.run_state import RunFolder
from shopgraph_workers.schedule import LATE_SECONDS, beat_schedule, local_zone

logger = logging.getLogger(__name__)

LOG_FORMAT = "%(asctime)s %(levelname)s [%(run)s] %(message)s"


def create_app(settings: Settings) -> Celery:
    """Build the app: its tasks share one graph connection, opened at the first task, in the process that runs it."""
    url = broker_url(settings)
    app = Celery("shopgraph", broker=url)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_redirect_stdouts=False,
        worker_log_format=LOG_FORMAT,
        worker_task_log_format=LOG_FORMAT,
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=SOCKET_TIMEOUT_SECONDS,
        broker_transport_options=BROKER_OPTIONS,
        task_default_queue=IO,
        timezone=local_zone(),
        beat_schedule=beat_schedule(settings.retrain_hour),
        beat_schedule_filename=str(settings.home / "run" / "beat-schedule"),
    )
    stopping = threading.Event()
    client = Redis.from_url(
        url, decode_responses=True, socket_timeout=SOCKET_TIMEOUT_SECONDS, socket_connect_timeout=SOCKET_TIMEOUT_SECONDS
    )
    terms = LeaseTerms(client, settings.lease_seconds)
    runs = RunFolder(settings.home / "runs")
    execution = Execution(lambda: build_training(settings), runs, terms, stopping)
    _register_steps(app, execution)
    usual_config(settings)  # a family that there is not, or no JSON, is said now; learners check fields when they train
    _register_nightly(app, url, execution, settings)
    _register_newcomers(app, execution)
    _register_lists(app, execution, settings)
    _connect_signals(Recovery(Jobs(url), runs, terms, execution), stopping)
    return app


def _register_steps(app: Celery, execution: Execution) -> None:
    # shared=False, here and below: Celery hands shared tasks to every later app of the process, whose own they shadow
    for name, queue in RETRAIN_STEPS.items():

        def perform(self: Task, run_id: str, request: dict[str, Any]) -> None:
            publishes = self.name == LAST_STEP
            listed = publishes and _lists_serve(execution)
            try:
                execution.perform(self.name, run_id, request)
            except StoppingError:
                raise Reject(requeue=True) from None
            except DroppedError as error:
                logger.warning("%s ends: %s", self.name, error)
                raise Ignore from None
            if listed and not _lists_serve(execution):  # those there were are of the release before
                app.send_task(RANK_AHEAD, queue=CPU, expires=LATE_SECONDS)

        app.task(perform, name=name, queue=queue, bind=True, shared=False)


def _lists_serve(execution: Execution) -> bool:
    """Whether the release that serves has lists that were ranked ahead."""
    try:
        found = execution.training.graph.record("ranked_serving")
    except ServiceError:  # the step finds that out too, and says so
        return False
    return found is not None and found["slot"] is not None


def _register_nightly(app: Celery, url: str, execution: Execution, settings: Settings) -> None:
    @app.task(name=NIGHTLY, queue=IO, shared=False)
    def nightly() -> None:
        try:
            run_id = Jobs(url, execution.log.queue).retrain(RetrainRequest(config=usual_config(settings)))
            logger.info("the nightly retraining is run %s", run_id)
        except (BusyError, ConfigurationError) as error:
            logger.warning("no nightly retraining: %s", error)


def _register_newcomers(app: Celery, execution: Execution) -> None:
    told: set[str] = set()

    @app.task(name=ENCODE_NEW, queue=IO, acks_late=False, shared=False)
    def encode_new() -> None:
        try:
            encoded = execution.training.encode_new()
        except (InputError, PublishError, ServiceError) as error:
            if str(error) not in told:  # the next look is 2 s away: once is enough
                told.add(str(error))
                logger.warning("newcomers are not encoded: %s", error)
            return
        told.clear()
        if encoded.products or encoded.users:
            logger.info("%s: %d products and %d users encoded", encoded.release, encoded.products, encoded.users)


def _register_lists(app: Celery, execution: Execution, settings: Settings) -> None:
    @app.task(name=RANK_AHEAD, queue=CPU, shared=False)
    def rank() -> None:
        try:
            found = rank_ahead_now(execution.training.graph, settings)
        except (BusyError, PublishError, ServiceError) as error:
            logger.warning("nothing is ranked ahead: %s", error)
            return
        if found is not None:
            logger.info("%s: lists for %d users and %d products", found.release, found.users, found.products)


def _connect_signals(recovery: Recovery, stopping: threading.Event) -> None:
    # weak=False: the receivers are local functions, which a weak reference would lose at once.
    @worker_ready.connect(weak=False)
    def watch(**_: object) -> None:
        recovery.watch(stopping)

    @worker_shutting_down.connect(weak=False)
    def stop(**_: object) -> None:
        stopping.set()

    @after_setup_logger.connect(weak=False)
    def name_run(logger: logging.Logger, **_: object) -> None:
        for handler in logger.handlers:
            handler.addFilter(_add_run)


def _add_run(record: logging.LogRecord) -> bool:
    record.run = RUN.get()
    return True
