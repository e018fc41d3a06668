"""Names, queues and payloads of background work, and the producer that sends it; the workers are never imported."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from redis import Redis
from redis.exceptions import RedisError

from shopgraph.errors import BusyError, ConfigurationError, ServiceError
from shopgraph.settings import Settings, read_json, utc_now

if TYPE_CHECKING:
    from celery import Celery

Family = Literal["graph", "text", "ranker"]
TRAINABLE: tuple[Family, ...] = get_args(Family)

IO, CPU, GPU = "io", "cpu", "gpu"
QUEUES = (IO, CPU, GPU)
"""One worker process each: waiting on servers; arithmetic on cores; training (an accelerator where there is one)."""

RETRAIN_STEPS: dict[str, str] = {
    "retrain.export": IO,
    "retrain.train_graph": GPU,
    "retrain.evaluate": CPU,
    "retrain.refit": GPU,
    "retrain.train_text": GPU,
    "retrain.train_ranker": GPU,
    "retrain.publish": CPU,
}
"""The steps of a retraining in order, each with the queue it waits in."""

NIGHTLY = "retrain.nightly"
ENCODE_NEW = "newcomers.encode"
RANK_AHEAD = "ranked.lists"
LEASE_KEY = "shopgraph:lease:retrain"
"""Hash with the field `run` while a retraining is under way; it lapses with its holder."""

LONGEST_RUN_SECONDS = 24 * 3600
SOCKET_TIMEOUT_SECONDS = 10.0

BROKER_OPTIONS: dict[str, Any] = {
    "visibility_timeout": LONGEST_RUN_SECONDS,
    "socket_connect_timeout": SOCKET_TIMEOUT_SECONDS,
    "socket_timeout": SOCKET_TIMEOUT_SECONDS,
    "socket_keepalive": True,
    "health_check_interval": 25,
}
"""Shared by producer and workers: Valkey hands a task out again when it outlives the visibility timeout."""

Announce = Callable[[str, str, dict[str, Any]], object]
"""Notes a run that waits in a queue, so that the panel shows it at once: `RunLog.queue`."""


class RetrainRequest(BaseModel):
    """What a retraining is asked to do; plain JSON on the wire."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    before: AwareDatetime | None = None
    """Learn from behaviour before this instant; None is the clock's now."""
    holdout_weeks: int = Field(default=4, ge=1, le=52)
    """The last weeks, held out of training to choose the epochs and to judge the candidate."""
    holdout_file: str | None = None
    """A Parquet of later purchases that judges instead: nothing is held out of the snapshot, no refit is due."""
    refit: bool = True
    """Whether to learn once more from everything, for the epochs the held-out weeks chose."""
    families: list[Family] = Field(default=["graph", "text", "ranker"], min_length=1)
    """What to train, embeddings and the ranker over them; a family left out keeps the version that serves."""
    config: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """By family, fields of its learner's config to set otherwise."""
    force: bool = False
    """Publish even where the gate finds the candidate worse than what serves."""

    @model_validator(mode="after")
    def _config_names_trained_families(self) -> RetrainRequest:
        unknown = sorted(self.config.keys() - set(self.families))
        if unknown:
            raise ValueError(f"config is given for {', '.join(unknown)}, which is not trained")
        return self

    @property
    def holds_out(self) -> bool:
        return self.holdout_file is None


def read_config(given: str, named: str, families: Collection[str] = TRAINABLE) -> dict[str, dict[str, Any]]:
    """Fields of learners by family, from JSON or a file of it; a worker, which has the learners, checks them further.

    Args:
        named: where an operator gave it.
        families: those it may name.

    Raises:
        ConfigurationError: it is no such thing.
    """
    read = read_json(given, named)
    if not all(isinstance(fields, dict) for fields in read.values()):
        raise ConfigurationError(f'{named} {given}: expected fields by family, e.g. {{"graph": {{"encoder": "gcn"}}}}')
    unknown = sorted(read.keys() - set(families))
    if unknown:
        raise ConfigurationError(f"{named} {given}: {unknown[0]!r} is not trained; this trains {','.join(families)}")
    return read


def usual_config(settings: Settings, families: Collection[str] = TRAINABLE) -> dict[str, dict[str, Any]]:
    """What a retraining of some families sets that names nothing of its own.

    Raises:
        ConfigurationError: what the operator set can't be read.
    """
    read = read_config(settings.retrain_config, "SHOPGRAPH_RETRAIN_CONFIG") if settings.retrain_config else {}
    return {family: fields for family, fields in read.items() if family in families}


class Jobs:
    """Sends work to the queues; it executes none.

    Args:
        broker_url: the broker, e.g. `redis://:secret@127.0.0.1:6379/0`.
        announce: told of each run once its work is queued.
    """

    def __init__(self, broker_url: str, announce: Announce | None = None) -> None:
        self._url = broker_url
        self._announce = announce

    @cached_property
    def _app(self) -> Celery:
        from celery import Celery  # 7 MB: a web process that only recommends sends no work

        app = Celery("shopgraph-producer", broker=self._url, set_as_current=False)
        app.conf.update(
            task_serializer="json",
            task_ignore_result=True,
            broker_transport_options=BROKER_OPTIONS,
            task_publish_retry_policy={"max_retries": 2, "interval_start": 0.2, "interval_max": 1.0},
        )
        return app

    def retrain(self, request: RetrainRequest, kind: str = "retrain") -> str:
        """Queue a retraining; its run id, under which the run log tells how it goes.

        Raises:
            BusyError: another retraining is under way.
            ServiceError: the broker can't be reached.
        """
        running = self.running()
        if running is not None:
            raise BusyError(f"run {running} is retraining: wait until it ends")
        run_id = f"{kind}-{utc_now():%y%m%d%H%M%S}-{secrets.token_hex(3)}"
        self.send_steps(run_id, request)
        if self._announce is not None:
            self._announce(run_id, kind, request.model_dump(mode="json"))
        return run_id

    def send_steps(self, run_id: str, request: RetrainRequest, first: str = "retrain.export") -> None:
        """Queue the steps of a run as one chain, from `first` on; a step already done answers at once."""
        from celery import chain

        names = list(RETRAIN_STEPS)
        payload = request.model_dump(mode="json")
        steps = [
            self._app.signature(name, args=(run_id, payload), immutable=True, queue=RETRAIN_STEPS[name])
            for name in names[names.index(first) :]
        ]
        with self._reaching_broker():
            chain(*steps, app=self._app).apply_async()

    def running(self) -> str | None:
        """The run that retrains now, or None."""
        with self._reaching_broker(), self._client() as client:
            holder = client.hget(LEASE_KEY, "run")
        return str(holder) if holder else None

    def waiting(self) -> dict[str, int]:
        """How many tasks wait in each queue."""
        with self._reaching_broker(), self._client() as client:
            return {queue: int(client.llen(queue)) for queue in QUEUES}

    def ping(self, timeout_seconds: float = 1.0) -> dict[str, list[str]]:
        """Which workers listen to each queue; an empty list means that its work waits."""
        with self._reaching_broker():
            answers = self._app.control.inspect(timeout=timeout_seconds).active_queues() or {}
        return {
            queue: sorted(worker for worker, listens in answers.items() if queue in {item["name"] for item in listens})
            for queue in QUEUES
        }

    def close(self) -> None:
        if "_app" in self.__dict__:
            self._app.close()

    def _client(self) -> Redis:
        return Redis.from_url(
            self._url,
            decode_responses=True,
            socket_connect_timeout=SOCKET_TIMEOUT_SECONDS,
            socket_timeout=SOCKET_TIMEOUT_SECONDS,
        )

    @contextmanager
    def _reaching_broker(self) -> Iterator[None]:
        from kombu.exceptions import OperationalError

        try:
            yield
        except (OperationalError, RedisError, OSError) as error:
            where = self._app.connection_for_write().as_uri()
            raise ServiceError(f"the broker at {where} can't be reached: {error}") from None
