"""`make bench-serving`: a shop of its own, cut at the end of training; its answers are judged, then it bears a load.

Services, web processes and the load generator share this machine's cores.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import requests
from machine import OUTPUT, commit, show, write
from redis import Redis
from rich.console import Console
from serving_accuracy import SETTINGS, judge_serving, keys, lines
from serving_aims import compared
from serving_reasons import faithfulness

from shopgraph.cli.demo.companions import Companions
from shopgraph.cli.demo.journal import Journal
from shopgraph.cli.demo.loop import CUT, TRAIN, catch_up, load, train
from shopgraph.dataset.snapshot import open_snapshot
from shopgraph.events import shown, stream
from shopgraph.graph.py2neo_session import Py2neoSession
from shopgraph.ingest.journey import read_journey
from shopgraph.privacy.pseudonym import open_pseudonymiser
from shopgraph.recommend.rank_ahead import forget_lists
from shopgraph.registry import Registry
from shopgraph.services.broker import Broker
from shopgraph.services.local_process import free_port, listens
from shopgraph.services.neo4j_server import Neo4jServer
from shopgraph.settings import Settings, load_settings
from shopgraph.wiring_serving import broker_url, build_serving, open_graph, rank_ahead_now

HOME = OUTPUT / "serving"
SHOPGRAPH = Path(sys.executable).with_name("shopgraph")
TIMEOUT_SECONDS = 60
WARM_UP_SECONDS, SECONDS = 40, 45
FEW, MANY = 1, 16
LONGEST, DRAWN, TIMES = 20, 200, 5
"""Users asked one after another: those of the longest histories, each so many times, and others by lot."""
REASONS = 300
"""Users drawn whose reasons are judged."""
SEED = 7
LIVE = (("recommend", "Recommend"), ("novel", "Novel"))
LISTED = (("listed", "Recommend"), ("listed_novel", "Novel"), ("similar", "Similar"), ("events", "OneEvent"))
"""What is asked before lists are ranked ahead, and after; what is told before belongs to users, so it comes last."""
LAGS = 100
"""Events of which it is measured when the graph has them."""
BULK_LINES = 1_000
"""Events in one request."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument(
        "--keep", action="store_true", help="keep what was loaded, trained and judged, for the load alone"
    )
    keep = options.parse_args().keep
    if not keep:
        shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True, exist_ok=True)
    settings, console = load_settings(home=HOME, clock="data", source="cj"), Console(highlight=False)
    journal = Journal(HOME / "serving.json", console)
    with shop(settings, journal, console) as companions:
        judged = journal.stage(
            "accuracy", "Judge what is served on weeks 49 to 53", lambda: accuracy(settings, journal)
        )
        with open_graph(settings) as graph:
            journal.stage("catch_up", "Ingest weeks 45 to 53", lambda: catch_up(settings, graph, console))
        loaded = load_test(settings, companions)
    figures, tables = ({**judged[part], **loaded[part]} for part in ("figures", "tables"))
    tables["aims"] = compared(figures)
    path = write("serving", figures, tables, "make bench-serving" + " BENCH=--keep" * keep)
    show(tables)
    print(f"written to {path}")


@contextmanager
def shop(settings: Settings, journal: Journal, console: Console) -> Iterator[Companions]:
    """Loaded and trained on weeks 1 to 44; its services end with the benchmark."""
    companions = Companions(settings)
    try:
        journal.stage("load", "Load weeks 1 to 44", lambda: load(settings, console))
        Neo4jServer(settings).start()
        Broker(settings).start()
        with open_graph(settings) as graph:
            journal.stage("train", "Train on them", lambda: train(settings, graph, companions, console))
        yield companions
    finally:
        companions.stop()
        Broker(settings).stop()
        Neo4jServer(settings).stop()


def accuracy(settings: Settings, journal: Journal) -> dict[str, object]:
    trained = journal.stages["train"]
    card = Registry(settings.models).get(trained["graph"])
    snapshot = open_snapshot(settings.snapshots, card.snapshot_id)
    if snapshot.before != CUT:
        raise SystemExit(f"the snapshot ends at {snapshot.before}, not at {CUT}: run without --keep")
    rows = judge_serving(settings, snapshot, trained.get("ranker"))
    users = np.random.default_rng(SEED).permutation(snapshot.ids("User"))[:REASONS].tolist()
    with build_serving(settings) as serving:
        asked = serving.graph, serving.recommender, users, snapshot.before, SEED
        in_full, in_brief = (faithfulness(*asked, in_full=way) for way in (True, False))
    reasons = {
        "reasons.faithfulness": in_brief.falls_further,
        "reasons.falls": in_brief.falls,
        "reasons.falls_without_another": in_brief.falls_without_another,
        "reasons.judged": in_brief.reasons,
        "reasons.in_full.faithfulness": in_full.falls_further,
        "reasons.in_full.falls": in_full.falls,
        "reasons.in_full.falls_without_another": in_full.falls_without_another,
        "reasons.in_full.judged": in_full.reasons,
    }
    return {
        "figures": keys(rows) | reasons,
        "tables": {f"served, {setting}, weeks 49-53, commit {commit()}": lines(rows, setting) for setting in SETTINGS},
    }


def load_test(settings: Settings, companions: Companions) -> dict[str, object]:
    """What one client waits for, and how many answers many clients get, kind by kind: live, then from lists."""
    _without_earlier_load(settings)
    port = free_port(None)
    address = f"http://127.0.0.1:{port}"
    os.environ["SHOPGRAPH_API_LIMIT"] = ""  # one key asks for everybody
    companions.start("web", ["web", "--port", str(port)], lambda: listens(port), TIMEOUT_SECONDS)
    told = "events go to the graph"
    companions.start("events", ["events", "consume"], lambda: told in companions.output("events"), TIMEOUT_SECONDS)
    asked = HOME / "asked.json"
    key, histories = _new_key(settings), _histories(settings)
    drawn = np.random.default_rng(SEED).permutation(list(histories))
    content = {"key": key, "users": drawn.tolist(), "products": _sold(settings), "bulk_lines": BULK_LINES}
    asked.write_text(json.dumps(content))
    with open_graph(settings) as graph:
        forget_lists(graph)
    figures, table = _loads(asked, address, LIVE)
    figures["serving.recommend.long_history_ratio"] = _long_history_ratio(address, key, histories)
    started = time.perf_counter()
    with open_graph(settings) as graph:
        rank_ahead_now(graph, settings)
    figures["serving.rank_ahead_s"] = time.perf_counter() - started
    listed, rows = _loads(asked, address, LISTED)
    figures |= _lags(settings, address, key, content["products"])
    bulk = _locust(asked, address, "ManyEvents", FEW, SECONDS)
    figures["serving.events.written_per_s"] = _written_per_s(settings)
    table += [*rows, {"asked": f"events, {BULK_LINES} a request", "clients": FEW, **bulk}]
    figures |= listed
    figures |= {
        "serving.recommend.precomputed_per_s": figures["serving.listed.per_s"],
        "serving.events.per_s": bulk["per_s"] * BULK_LINES,
        "serving.worker_rss_mb": _web_worker_bytes() / 2**20,
    }
    companions.stop("web")
    companions.stop("events")
    return {"figures": figures, "tables": {"load, generator on the same cores": table}}


def _without_earlier_load(settings: Settings) -> None:
    """What an earlier load told, in the graph or still waiting, would slow this one down, and change its answers."""
    with Redis.from_url(broker_url(settings), socket_timeout=TIMEOUT_SECONDS) as broker:
        broker.delete(stream.STREAM, shown.STREAM)
    server = Neo4jServer(settings)
    graph = Py2neoSession(server.uri(), (settings.neo4j_user, server.password()), settings.neo4j_database)
    for told in ("()-[it:VIEWED]->()", "(it:Recommendation)"):
        while graph.write(f"MATCH {told} WITH it LIMIT 20000 DELETE it RETURN count(*) AS gone")[0]["gone"]:
            pass


def _loads(
    asked: Path, address: str, kinds: Sequence[tuple[str, str]]
) -> tuple[dict[str, float], list[dict[str, object]]]:
    figures, table = dict[str, float](), list[dict[str, object]]()
    for name, kind in kinds:
        _locust(asked, address, kind, MANY, WARM_UP_SECONDS)
        alone, many = (_locust(asked, address, kind, clients, SECONDS) for clients in (FEW, MANY))
        figures |= {
            f"serving.{name}.p50_ms": alone["p50_ms"],
            f"serving.{name}.p99_ms": alone["p99_ms"],
            f"serving.{name}.per_s": many["per_s"],
            f"serving.{name}.p99_ms_at_{MANY}": many["p99_ms"],
        }
        table += [{"asked": name, "clients": FEW, **alone}, {"asked": name, "clients": MANY, **many}]
    return figures, table


def _new_key(settings: Settings) -> str:
    environment = {**os.environ, "SHOPGRAPH_HOME": str(settings.home)}
    made = subprocess.run(
        [SHOPGRAPH, "keys", "create", "load"], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return made.stdout.split()[-1]


def _histories(settings: Settings) -> dict[str, int]:
    """Order lines of each household in the training weeks."""
    users = read_journey(open_pseudonymiser(settings), weeks=TRAIN).relations["PURCHASED"]["start"]
    return {count["values"]: count["counts"] for count in users.value_counts().to_pylist()}


def _sold(settings: Settings) -> list[str]:
    with open_graph(settings) as graph:
        return list(graph.wide("popular_lately", limit=2_000, without=[])["items"])


def _locust(asked: Path, address: str, kind: str, clients: int, seconds: int) -> dict[str, float]:
    """Medians and rates of one kind of request; any failure ends the benchmark."""
    told = HOME / "locust"
    command = [
        str(SHOPGRAPH.with_name("locust")), "--locustfile", str(Path(__file__).with_name("serving_load.py")),
        "--headless", "--users", str(clients), "--spawn-rate", str(clients), "--run-time", f"{seconds}s",
        "--host", address, "--csv", str(told), "--only-summary", "--stop-timeout", "30", kind,
    ]  # fmt: skip
    done = subprocess.run(
        command, env={**os.environ, "SERVING_LOAD": str(asked)}, capture_output=True, text=True, check=False,
        timeout=seconds + 120,
    )  # fmt: skip
    with told.with_name("locust_stats.csv").open() as handle:
        row = next(row for row in csv.DictReader(handle) if row["Name"] == "Aggregated")
    if done.returncode or int(row["Failure Count"]):
        raise SystemExit(f"{kind}: {row['Failure Count']} requests failed\n{done.stdout}\n{done.stderr}")
    return {
        "p50_ms": float(row["50%"]),
        "p95_ms": float(row["95%"]),
        "p99_ms": float(row["99%"]),
        "per_s": round(float(row["Requests/s"]), 1),
    }


def _long_history_ratio(address: str, key: str, histories: dict[str, int]) -> float:
    """The wait of the user who waits longest, of those with the longest histories, to the median of all; one client."""
    longest = sorted(histories, key=lambda user: (-histories[user], user))[:LONGEST]
    others = np.random.default_rng(SEED).permutation(list(histories))[:DRAWN].tolist()
    with requests.Session() as client:
        client.headers["X-API-Key"] = key
        waits = [_median_s(client, address, [user] * TIMES) for user in longest]
        return max(waits) / _median_s(client, address, others)


def _median_s(client: requests.Session, address: str, users: Sequence[str]) -> float:
    taken = []
    for user in users:
        started = time.perf_counter()
        client.get(
            f"{address}/api/v1/recommendations", params={"user": user}, timeout=TIMEOUT_SECONDS
        ).raise_for_status()
        taken.append(time.perf_counter() - started)
    return float(np.median(taken))


def _lags(settings: Settings, address: str, key: str, products: Sequence[str]) -> dict[str, float]:
    """Milliseconds from an event's answer until the graph has it, one event at a time and nothing else asked."""
    found: list[float] = []
    _written_per_s(settings)
    with requests.Session() as client, open_graph(settings) as graph:
        client.headers["X-API-Key"] = key
        for number, product in enumerate(products[:LAGS]):
            event = {"type": "view", "event_id": f"lag-{number}", "session_id": f"lag-{number}", "product_id": product}
            client.post(f"{address}/api/v1/events", json=event, timeout=TIMEOUT_SECONDS).raise_for_status()
            started = time.perf_counter()
            while not graph.driver.execute_query(
                "MATCH ()-[v:VIEWED {line_id: $line}]->() RETURN v.line_id AS line",
                line=f"{settings.source}:lag-{number}", database_=graph.database,
            ).records:  # fmt: skip
                if time.perf_counter() - started > TIMEOUT_SECONDS:
                    raise SystemExit(f"event lag-{number} is not in the graph after {TIMEOUT_SECONDS} s")
            found.append(1000 * (time.perf_counter() - started))
    return {f"serving.events.lag_{name}_ms": float(np.quantile(found, q)) for name, q in (("p50", 0.5), ("p99", 0.99))}


def _written_per_s(settings: Settings) -> float:
    """Events that the consumer writes a second, until none waits."""
    events = stream.EventStream(broker_url(settings))
    try:
        started, waiting = time.perf_counter(), events.backlog().waiting
        while events.backlog().waiting:
            time.sleep(0.1)
        return waiting / (time.perf_counter() - started)
    finally:
        events.close()


def _web_worker_bytes() -> int:
    """The largest resident memory of a process that answers, mapped files included."""
    found = 0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "shopgraph_web" in " ".join(process.cmdline()):
                found = max(found, process.memory_info().rss)
    return found


if __name__ == "__main__":
    main()
