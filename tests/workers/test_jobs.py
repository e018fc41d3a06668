import base64
import json
import subprocess
import sys

import pytest
from pydantic import ValidationError
from redis import Redis

from shopgraph.errors import BusyError, ServiceError
from shopgraph.jobs import LEASE_KEY, RETRAIN_STEPS, Jobs, RetrainRequest
from shopgraph.services.broker import Broker
from shopgraph.services.local_process import free_port


@pytest.fixture
def valkey(broker: Broker) -> Redis:
    client = Redis.from_url(broker.url(), decode_responses=True)
    client.flushdb()
    return client


def test_a_retraining_is_one_message_that_names_every_step_and_its_queue(broker: Broker, valkey: Redis) -> None:
    announced = []
    run_id = Jobs(broker.url(), lambda *run: announced.append(run)).retrain(RetrainRequest(holdout_weeks=2))
    assert announced == [(run_id, "retrain", RetrainRequest(holdout_weeks=2).model_dump(mode="json"))]
    message = json.loads(valkey.lindex("io", 0))
    assert message["content-type"] == "application/json"
    assert message["headers"]["task"] == "retrain.export"
    rest = [(task["task"], task["options"]["queue"]) for task in _chain(message)]
    assert rest == list(RETRAIN_STEPS.items())[1:]
    assert {task["args"][0] for task in _chain(message)} == {run_id}


def _chain(message: dict) -> list[dict]:
    embedded = json.loads(base64.b64decode(message["body"]))[2]
    return list(reversed(embedded["chain"]))


def test_a_second_retraining_is_refused(broker: Broker, valkey: Redis) -> None:
    jobs = Jobs(broker.url())
    assert jobs.running() is None
    valkey.hset(LEASE_KEY, mapping={"run": "retrain-1", "token": ""})
    with pytest.raises(BusyError, match="run retrain-1 is retraining: wait until it ends"):
        jobs.retrain(RetrainRequest())
    assert jobs.waiting() == {"io": 0, "cpu": 0, "gpu": 0}


def test_nobody_listens(broker: Broker, valkey: Redis) -> None:
    assert Jobs(broker.url()).ping(0.2) == {"io": [], "cpu": [], "gpu": []}


def test_a_broker_that_is_not_there_is_one_line_without_its_password() -> None:
    jobs = Jobs(f"redis://:secret@127.0.0.1:{free_port(None)}/0")
    with pytest.raises(ServiceError, match=r"the broker at redis://:\*\*@127.0.0.1:\d+/0 can't be reached"):
        jobs.retrain(RetrainRequest())


@pytest.mark.parametrize(
    "wrong",
    [
        {"holdout_weeks": 0},
        {"before": "2017-10-30T00:00:00"},
        {"families": []},
        {"families": ["speech"]},
        {"families": ["text"], "config": {"graph": {"epochs": 1}}},
        {"epochs": 3},
    ],
)
def test_a_wrong_request_is_refused_before_it_is_sent(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        RetrainRequest.model_validate(wrong)


def test_the_producer_brings_neither_workers_nor_torch() -> None:
    code = "import sys, shopgraph.jobs; print(sorted({'torch', 'shopgraph_workers', 'neo4j'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
