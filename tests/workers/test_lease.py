import time
from collections.abc import Iterator

import pytest
from redis import Redis

from shopgraph.errors import BusyError
from shopgraph.services.broker import Broker
from shopgraph_workers.lease import Lease, LeaseLostError, LeaseTerms, SameRunError


@pytest.fixture
def terms(broker: Broker) -> Iterator[LeaseTerms]:
    client = Redis.from_url(broker.url(), decode_responses=True)
    client.flushdb()
    yield LeaseTerms(client, seconds=0.4)
    client.close()


def test_another_run_is_kept_out_until_the_lease_is_released(terms: LeaseTerms) -> None:
    with Lease(terms, "first") as first:
        with pytest.raises(BusyError, match="run first is retraining"), Lease(terms, "second"):
            pass
        first.release_at_end()
    with Lease(terms, "second") as second:
        assert terms.holder() == "second"
        assert second.fence > first.fence


def test_a_run_keeps_its_place_between_two_steps(terms: LeaseTerms) -> None:
    with Lease(terms, "first") as export:
        pass
    assert terms.holder() == "first"
    with pytest.raises(BusyError, match="run first is retraining"), Lease(terms, "second"):
        pass
    with Lease(terms, "first") as train:
        assert train.fence == export.fence + 1


def test_a_task_delivered_twice_is_kept_out(terms: LeaseTerms) -> None:
    with Lease(terms, "first"), pytest.raises(SameRunError), Lease(terms, "first"):
        pass


def test_a_living_holder_keeps_the_lease_for_as_long_as_it_works(terms: LeaseTerms) -> None:
    with Lease(terms, "first") as lease:
        time.sleep(3 * terms.seconds)
        lease.check()
        with pytest.raises(BusyError), Lease(terms, "second"):
            pass


def test_a_silent_holder_loses_it_and_is_told(terms: LeaseTerms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lease, "_renew", lambda self: None)  # as a process that is stopped, or killed
    with Lease(terms, "first") as paused:
        time.sleep(1.5 * terms.seconds)
        with Lease(terms, "second") as second:
            assert second.fence > paused.fence
            with pytest.raises(LeaseLostError, match="run first lost its lease"):
                paused.check()
    assert terms.holder() == "second"


def test_a_heartbeat_that_finds_another_holder_says_so(terms: LeaseTerms) -> None:
    with Lease(terms, "first") as lease:
        terms.client.hset(terms.key, mapping={"run": "second", "token": "another"})
        time.sleep(terms.seconds)
        with pytest.raises(LeaseLostError):
            lease.check()
