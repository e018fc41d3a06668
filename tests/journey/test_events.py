"""A visitor's events over HTTP change the list and count for an experiment; a killed Neo4j loses none of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from shopgraph.events.stream import EventStream
from shopgraph.services.broker import Broker
from shopgraph.services.local_process import free_port, listens
from shopgraph.services.neo4j_distribution import install
from shopgraph.services.neo4j_server import Neo4jServer
from shopgraph.settings import Settings, load_settings
from shopgraph.wiring_serving import open_graph

PLANT = """
CYPHER 25
UNWIND range(0, 9) AS i
CREATE (:Product {id: 's:p' + i, title: 'P' + i, stock: 1, hidden: false, popularity: 10 - i,
                  retired_at: datetime('9999-12-31T00:00:00Z')})
"""
TIMEOUT_SECONDS = 180
BULKS, EVENTS_A_BULK = 20, 200
VISITS = 30


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(
        home=tmp_path_factory.mktemp("events"), neo4j_heap_mib=512, neo4j_page_cache_mib=64, web_port=free_port(None)
    )


@pytest.fixture(scope="module")
def server(own: Settings) -> Iterator[Neo4jServer]:
    install(own.cache, print)
    neo4j, broker = Neo4jServer(own), Broker(own)
    neo4j.start()
    broker.start()
    with open_graph(own) as graph:
        graph.driver.execute_query(PLANT, database_=graph.database)
    yield neo4j
    neo4j.stop()
    broker.stop()


@pytest.fixture(scope="module")
def shop(own: Settings, server: Neo4jServer) -> Iterator[requests.Session]:
    """The real web server and the real consumer, and a program with a key."""
    key = subprocess.run(shopgraph("keys", "create", "shop"), env=environment(own), capture_output=True, check=True)
    running = [
        subprocess.Popen(shopgraph(*command), env=environment(own)) for command in (("web",), ("events", "consume"))
    ]
    wait_until(lambda: listens(own.web_port))
    with requests.Session() as session:
        session.headers["X-API-Key"] = key.stdout.decode().strip()
        # the first answer of a server that has just started may take longer than a visitor waits: 503, try again
        wait_until(lambda: session.get(address(own, "recommendations?user=1")).status_code == 200)
        yield session
    for process in running:
        process.terminate()
    for process in running:
        assert process.wait(TIMEOUT_SECONDS) == 0


def environment(own: Settings) -> dict[str, str]:
    return {**os.environ, "SHOPGRAPH_HOME": str(own.home), "SHOPGRAPH_WEB_PORT": str(own.web_port)}


def shopgraph(*words: str) -> list[str]:
    return [str(Path(sys.executable).with_name("shopgraph")), *words]


def wait_until(done: Callable[[], bool], seconds: float = TIMEOUT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def address(own: Settings, path: str) -> str:
    return f"http://127.0.0.1:{own.web_port}/api/v1/{path}"


def test_an_event_changes_the_visitors_next_list(own: Settings, shop: requests.Session) -> None:
    def products() -> list[str]:
        answer = shop.get(address(own, "recommendations?session=visit&n=5"), timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        return [item["id"] for item in answer.json()["items"]]

    assert products()[0] == "s:p0"
    event = {"type": "hide", "session_id": "visit", "product_id": "s:p0"}
    assert shop.post(address(own, "events"), json=event, timeout=TIMEOUT_SECONDS).status_code == 202
    wait_until(lambda: "s:p0" not in products(), seconds=10)
    assert products()[0] == "s:p1"
    seen = {"type": "view", "session_id": "visit", "product_id": "s:p1"}
    assert shop.post(address(own, "events"), json=seen, timeout=TIMEOUT_SECONDS).status_code == 202
    wait_until(lambda: "s:p1" not in products(), seconds=10)


def test_what_an_answer_led_to_is_in_the_report_of_its_experiment(own: Settings, shop: requests.Session) -> None:
    def told(*words: str) -> str:
        done = subprocess.run(
            shopgraph("experiments", *words), env=environment(own), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def answered(visit: str) -> dict[str, Any]:
        asked = {"session": visit, "scenario": "home", "n": "3"}
        answer = shop.get(address(own, "recommendations"), params=asked, timeout=TIMEOUT_SECONDS)
        assert answer.status_code == 200, answer.text
        return answer.json()

    visits = [f"guest {number}" for number in range(VISITS)]
    assert {answered(visit)["experiment"] for visit in visits[:2]} == {""}
    tried = told("start", "only varied", '{"control": {}, "varied": {"diversity": 0.5}}', "--scenario", "home")
    answers = {visit: answered(visit) for visit in visits}
    assert {answer["experiment"] for answer in answers.values()} == {tried}
    assert all(answered(visit)["variant"] == answer["variant"] for visit, answer in list(answers.items())[:5])
    chosen = list(answers.items())[: VISITS // 2]
    for visit, answer in chosen:
        event = {"type": "view", "session_id": visit, "product_id": answer["items"][0]["id"]}
        event["recommendation_id"] = answer["recommendation_id"]
        assert shop.post(address(own, "events"), json=event, timeout=TIMEOUT_SECONDS).status_code == 202

    def counted() -> list[tuple[str, int, int, int]]:
        found = json.loads(told("report", tried, "--json"))["variants"]
        return [(v["name"], v["users"], v["answers"], v["outcomes"]["viewed"]["users"]) for v in found]

    def expected(variant: str) -> tuple[str, int, int, int]:
        own_visits = [visit for visit, answer in answers.items() if answer["variant"] == variant]
        again = len([visit for visit in own_visits if visit in visits[:5]])
        viewed = len([visit for visit, answer in chosen if answer["variant"] == variant])
        return variant, len(own_visits), len(own_visits) + again, viewed

    wait_until(lambda: counted() == [expected("control"), expected("varied")], seconds=60)
    over_http = shop.get(address(own, f"experiments/{tried}"), timeout=TIMEOUT_SECONDS).json()
    assert [variant["users"] for variant in over_http["variants"]] == [expected("control")[1], expected("varied")[1]]
    assert over_http["warnings"] == []
    told("stop", tried)
    assert {answered(visit)["experiment"] for visit in visits[:3]} == {""}
    (listed,) = shop.get(address(own, "experiments"), timeout=TIMEOUT_SECONDS).json()["experiments"]
    assert (listed["id"], listed["running"]) == (tried, False)


def test_a_neo4j_killed_in_the_middle_loses_no_accepted_event(
    own: Settings, server: Neo4jServer, shop: requests.Session
) -> None:
    accepted = 0
    for bulk in range(BULKS):
        if bulk == BULKS // 3:
            os.kill(server.state().pid, signal.SIGKILL)
        lines = [
            {"type": "view", "event_id": f"{bulk}-{number}", "user_id": f"user {number % 7}", "product_id": "s:p1"}
            for number in range(EVENTS_A_BULK)
        ]
        body = "\n".join(json.dumps(line) for line in lines)
        headers = {"Content-Type": "application/x-ndjson"}
        answer = shop.post(address(own, "events"), data=body, headers=headers, timeout=TIMEOUT_SECONDS)
        assert answer.status_code == 202, answer.text
        accepted += answer.json()["accepted"]
    assert accepted == BULKS * EVENTS_A_BULK
    refused = shop.get(address(own, "recommendations?user=1"), timeout=TIMEOUT_SECONDS)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    server.start()
    stream = EventStream(Broker(own).url())
    wait_until(lambda: stream.backlog().waiting == 0)
    stream.close()
    with open_graph(own, apply_schema=False) as graph:
        found = graph.driver.execute_query(
            "MATCH (:User)-[v:VIEWED]->() RETURN count(DISTINCT v.line_id) AS lines, count(v) AS views",
            database_=graph.database,
        ).records[0]
    assert (found["lines"], found["views"]) == (accepted, accepted)
    wait_until(lambda: shop.get(address(own, "recommendations?user=1"), timeout=TIMEOUT_SECONDS).status_code == 200)
