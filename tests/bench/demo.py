"""`make bench-demo`: the demo as a new user runs it, twice, then the rates and latencies of what it left behind."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from machine import PeakMemory, percentile_95, timed

from shopgraph.settings import Settings
from shopgraph.wiring_serving import build_serving

SHOPGRAPH = Path(sys.executable).with_name("shopgraph")
RECOMMENDATIONS = 300
PAGE_VIEWS = 20


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


def recommend_p95_ms(settings: Settings) -> float:
    """Live recommendations with reasons for random users of the graph, one client, after a short warm-up."""
    serving = build_serving(settings)
    try:
        users = [record["id"] for record in serving.graph.read("user_ids")]
        random.Random(7).shuffle(users)
        for user in users[:20]:
            serving.recommender.recommend(user)
        return 1000 * percentile_95(
            [timed(serving.recommender.recommend, user)[0] for user in users[20 : 20 + RECOMMENDATIONS]]
        )
    finally:
        serving.close()
