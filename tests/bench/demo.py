"""`make bench-demo`: the demo as a new user runs it, twice; then requests, pages, exports and more imports."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import requests
from machine import OUTPUT, PeakMemory, percentile_95, timed, write
from rich.console import Console
from rich.table import Table

from shopgraph.cli.demo.companions import Companions
from shopgraph.cli.demo.loop import LATER, load
from shopgraph.cli.demo.scoring import EMBEDDING
from shopgraph.dataset.snapshot import export_snapshot
from shopgraph.ingest.journey import WEEK_STARTS
from shopgraph.recommend.backtest import POPULARITY, RECOMMENDER
from shopgraph.services.broker import Broker
from shopgraph.services.local_process import free_port, listens
from shopgraph.services.neo4j_server import Neo4jServer
from shopgraph.settings import Settings, load_settings
from shopgraph.wiring_serving import build_serving, open_graph

SHOPGRAPH = Path(sys.executable).with_name("shopgraph")
RECOMMENDATIONS = 300
WARM_UP = 20
PAGE_VIEWS = 20
IMPORTS = 3
EXPORTS = 4
PAGES = ("/", "/products/", "/products/?q=soup", "/users/", "/jobs/", "/releases/", "/keys/", "/people/")
TIMEOUT_SECONDS = 60


def main() -> None:
    home = OUTPUT / "home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    total_s, peak_gib = run_demo(home)
    second_s, _ = run_demo(home)
    stages = json.loads((home / "demo.json").read_text())
    settings = load_settings(home=home, clock="data", source="cj")
    with_services = Neo4jServer(settings), Broker(settings)
    try:
        for server in with_services:
            server.start()
        started_ms, recommend_ms, shown = recommend_p95_ms(settings)
        page_ms, by_page = page_p95_ms(settings, shown)
        first_export, *warm_exports = export_rates(settings)
        latencies = {
            "recommend.just_started_p95_ms": started_ms,
            "recommend.p95_ms": recommend_ms,
            "page.p95_ms": page_ms,
        }
    finally:
        for server in with_services:
            server.stop()
    imports = [stages["load"]["bulk_per_s"], *bulk_rates(IMPORTS - 1)]
    figures = {
        "demo.total_s": total_s,
        "demo.second_run_s": second_s,
        "demo.peak_rss_gib": peak_gib,
        "import.bulk_per_s": median(imports),
        "import.in_demo_bulk_per_s": imports[0],
        "ingest.incremental_per_s": stages["catch_up"]["incremental_per_s"],
        "ingest.with_catalogue_per_s": stages["catch_up"]["with_catalogue_per_s"],
        "export.in_demo_per_s": stages["catch_up"]["export_per_s"],
        "export.first_per_s": first_export,
        "export.per_s": median(warm_exports),
        **accuracy(stages["score"]["table"]),
        **latencies,
    }
    steps = [{"step": name, "seconds": stage["seconds"]} for name, stage in stages.items()]
    rates = [
        {"load or export": name, "relations/s": " · ".join(f"{rate:,.0f}" for rate in found)}
        for name, found in (
            ("bulk imports, the first of them the demo's", imports),
            ("exports one after another, of a server that has answered and shown pages", [first_export, *warm_exports]),
        )
    ]
    path = write(
        "demo", figures, {"Stages": steps, "Every rate": rates, "Accuracy": stages["score"]["table"], "Pages": by_page}
    )
    show(figures, path)


def run_demo(home: Path) -> tuple[float, float]:
    """One `shopgraph demo` to its end; wall seconds and peak memory of its process tree in GiB."""
    environment = {**os.environ, "SHOPGRAPH_HOME": str(home), "DEMO_EXIT": "1"}
    started = time.perf_counter()
    demo = subprocess.Popen([SHOPGRAPH, "demo"], env=environment)
    with PeakMemory(demo.pid) as memory:
        status = demo.wait(timeout=3600)
    if status != 0:
        raise SystemExit(f"the demo ended with status {status}")
    return time.perf_counter() - started, memory.peak_bytes / 2**30


def accuracy(table: list[dict[str, object]]) -> dict[str, float]:
    names = {POPULARITY: "popularity", EMBEDDING: "graph", RECOMMENDER: "ours"}
    return {f"demo.{row['setting']}.ndcg@20.{names[row['model']]}": row["ndcg@20"] for row in table}


def recommend_p95_ms(settings: Settings) -> tuple[float, float, list[str]]:
    """Live recommendations with reasons, one client, for the first users by pseudonym.

    Returns:
        of a server that has just started (its JVM compiles what it runs often), after `WARM_UP` users; of the same
        users asked again; the addresses of pages about a user and about a product that was recommended.
    """
    serving = build_serving(settings)
    try:
        page = serving.graph.wide("users_page", prefix="u_", after="", limit=WARM_UP + RECOMMENDATIONS)
        users = [user["id"] for user in page["users"]]
        first = [timed(serving.recommender.recommend, user) for user in users]
        again = [timed(serving.recommender.recommend, user) for user in users[WARM_UP:]]
        product = first[0][1].items[0].id
        shown = [f"/users/{users[0]}", f"/users/{users[0]}/recommendations"]
        shown += [
            f"/products/{product}",
            f"/products/{product}/similar",
            f"/neighbourhood/around.json?label=Product&id={product}",
        ]
        started_ms, recommend_ms = (
            1000 * percentile_95([seconds for seconds, _ in measured]) for measured in (first[WARM_UP:], again)
        )
        return started_ms, recommend_ms, shown
    finally:
        serving.close()


def export_rates(settings: Settings) -> list[float]:
    """Relations a second of exports of the whole year one after another, from the graph to files."""
    folder = OUTPUT / "snapshots"
    rates = []
    with open_graph(settings) as graph:
        for _ in range(EXPORTS):
            shutil.rmtree(folder, ignore_errors=True)
            seconds, snapshot = timed(export_snapshot, graph, WEEK_STARTS[LATER.stop], folder)
            rates.append(sum(table.num_rows for table in snapshot.relations.values()) / seconds)
    shutil.rmtree(folder)
    return rates


def bulk_rates(times: int) -> list[float]:
    """Relations a second of the demo's load, each into a home of its own."""
    home = OUTPUT / "import"
    rates = []
    for _ in range(times):
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        settings = load_settings(home=home, clock="data", source="cj")
        server = Neo4jServer(settings)
        try:
            server.start()
            rates.append(load(settings, Console(stderr=True))["bulk_per_s"])
        finally:
            server.stop()
    shutil.rmtree(home)
    return rates


def page_p95_ms(settings: Settings, shown: list[str]) -> tuple[float, list[dict[str, object]]]:
    """Pages of the panel over HTTP as the admin sees them, one client: over all views, and page by page."""
    told = (settings.secrets / "demo-sign-in").read_text()
    email, password = re.search(r"sign in as (\S+) with the password (\S+)", told).groups()
    companions, port = Companions(settings), free_port(None)
    companions.start("web", ["web", "--port", str(port)], lambda: listens(port), TIMEOUT_SECONDS)
    try:
        address = f"http://127.0.0.1:{port}"
        with requests.Session() as browser:
            sign_in(browser, address, email, password)
            pages = [*PAGES, *shown]
            taken: dict[str, list[float]] = {page: [] for page in pages}
            for turn in range(1 + PAGE_VIEWS):
                for page in pages:
                    seconds = timed(view, browser, address + page)[0]
                    if turn:
                        taken[page].append(seconds)
    finally:
        companions.stop()
    by_page = [{"page": page, "p95_ms": round(1000 * percentile_95(seconds), 1)} for page, seconds in taken.items()]
    return 1000 * percentile_95([each for seconds in taken.values() for each in seconds]), by_page


def sign_in(browser: requests.Session, address: str, email: str, password: str) -> None:
    form = browser.get(f"{address}/login", timeout=TIMEOUT_SECONDS)
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form.text).group(1)
    entry = {"email": email, "password": password, "csrf_token": token}
    browser.post(form.url, data=entry, headers={"Referer": form.url}, timeout=TIMEOUT_SECONDS).raise_for_status()


def view(browser: requests.Session, url: str) -> None:
    page = browser.get(url, timeout=TIMEOUT_SECONDS)
    page.raise_for_status()
    if 'name="password"' in page.text:
        raise SystemExit(f"{url} asked to sign in: the page was not measured")


def show(figures: dict[str, float], path: Path) -> None:
    table = Table("figure", "value", title="make bench-demo", title_justify="left")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.4g}")
    Console().print(table)
    print(f"written to {path}")


if __name__ == "__main__":
    main()
