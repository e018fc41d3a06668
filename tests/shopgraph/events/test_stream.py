from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from shopgraph.errors import ConfigurationError, ServiceError
from shopgraph.events import stream as stream_module
from shopgraph.events import stream_group
from shopgraph.events.event import WaitingEvent
from shopgraph.events.stream import AT_ONCE, GROUP, STREAM, Entry, EventStream
from shopgraph.services.broker import Broker
from shopgraph.services.local_process import free_port

EVENT = WaitingEvent("view", "User", "u_1", "s:tea", "s:e", None, {})


def events(count: int) -> list[WaitingEvent]:
    return [replace(EVENT, line_id=f"s:e{number}") for number in range(count)]


def lines(entries: list[Entry]) -> list[str]:
    return [entry.event.line_id for entry in entries]


def test_what_is_appended_is_read_in_order_until_it_is_settled(stream: EventStream) -> None:
    sent = events(AT_ONCE + 1)
    stream.append(sent)
    first = stream.read("one", 0.01)
    assert [entry.event for entry in first] == sent[:AT_ONCE]
    assert stream.backlog().waiting == AT_ONCE + 1
    stream.settle(first)
    second = stream.read("one", 0.01)
    assert [entry.event for entry in second] == sent[AT_ONCE:]
    assert 0 < stream.backlog().oldest_seconds < 60
    stream.settle(second)
    assert (stream.read("one", 0.01), stream.backlog().waiting) == ([], 0)


def test_what_a_consumer_took_and_did_not_settle_comes_again_first(stream: EventStream) -> None:
    stream.append(events(2))
    taken = stream.read("one", 0.01)
    stream.append([replace(EVENT, line_id="s:new")])
    assert lines(stream.read("one", 0.01)) == lines(taken)
    assert lines(stream.read("two", 0.01)) == ["s:new"]


def test_what_a_killed_consumer_took_is_taken_over(stream: EventStream, monkeypatch: pytest.MonkeyPatch) -> None:
    stream.append(events(3))
    stream.read("killed", 0.01)
    assert stream.read("other", 0.01) == []
    monkeypatch.setattr(stream_group, "IDLE_MS", 0)
    assert lines(stream.read("other", 0.01)) == ["s:e0", "s:e1", "s:e2"]


def test_what_was_deleted_by_hand_is_waited_for_no_more(stream: EventStream, broker: Broker) -> None:
    stream.append(events(2))
    first = stream.read("one", 0.01)[0]
    with Redis.from_url(broker.url()) as client:
        client.xdel(STREAM, first.id)
        assert lines(stream.read("one", 0.01)) == ["s:e1"]
        assert client.xpending(STREAM, GROUP)["pending"] == 1


def test_who_asked_for_events_lately_is_counted(stream: EventStream, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stream.backlog().consumers == 0
    stream.read("one", 0.01)
    stream.read("two", 0.01)
    assert stream.backlog().consumers == 2
    monkeypatch.setattr(stream_group, "IDLE_MS", 0)
    assert stream.backlog().consumers == 0


def test_refused_events_are_kept_with_why_and_can_be_tried_again(stream: EventStream) -> None:
    stream.append(events(3))
    entries = stream.read("one", 0.01)
    stream.refuse(entries[:2], "no such product")
    stream.settle(entries[2:])
    kept = stream.refused()
    assert [(each.event.line_id, each.reason) for each in kept] == [
        ("s:e1", "no such product"),
        ("s:e0", "no such product"),
    ]
    assert (stream.backlog().waiting, stream.backlog().refused) == (0, 2)
    assert stream.retry() == 2
    assert (stream.backlog().refused, lines(stream.read("one", 0.01))) == (0, ["s:e0", "s:e1"])


def test_what_is_refused_again_meanwhile_waits_for_the_next_try(
    stream: EventStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "AT_ONCE", 1)
    stream.append(events(3))
    stream.refuse(stream.read("one", 0.01), "no such product")
    read = stream._client.xrange

    def refused_again(*asked: Any, **told: Any) -> Any:
        for entry in stream.read("one", 0.01):
            stream.refuse([entry], "no such product yet")
        return read(*asked, **told)

    monkeypatch.setattr(stream._client, "xrange", refused_again)
    assert stream.retry() == 3
    monkeypatch.undo()
    assert stream.backlog().waiting + stream.backlog().refused == 3


def test_a_broker_that_could_lose_events_is_refused(stream: EventStream, broker: Broker) -> None:
    stream.require_durable()
    with Redis.from_url(broker.url()) as client:
        client.config_set("appendfsync", "everysec")
        try:
            with pytest.raises(ConfigurationError, match=r"appendfsync everysec: .* needs appendonly yes"):
                stream.require_durable()
        finally:
            client.config_set("appendfsync", "always")


def test_a_broker_that_does_not_answer_is_an_error_and_accepts_nothing() -> None:
    with pytest.raises(ServiceError, match=r"does not answer"):
        EventStream(f"redis://127.0.0.1:{free_port(None)}/0").append([EVENT])
