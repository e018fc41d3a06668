"""`make bench-serving-shops`: what `recommend()` is worth in shops of other people's data, beside every peer.

Each shop gets a Neo4j of its own, is loaded with the training part alone, learned from and published as a retraining
does, and asked as of the end of that part. The data are not part of this project: a shop whose folder is not in
../shared/data is skipped. Their times are made up, see `serving_shops_data`; no text model is trained.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from machine import OUTPUT, ROOT, show, write
from serving_accuracy import OFFLINE, SERVED, offline, served
from serving_shops_data import Shop, beauty_shop, goodbooks_shop

from shopgraph.collaborative.peers import PEERS, fit_peer
from shopgraph.dataset.hetero import to_hetero
from shopgraph.dataset.judging import later_pairs, seen_pairs
from shopgraph.dataset.purchases import Purchases, to_ms
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.dataset.split import Holdout
from shopgraph.embed.message_graph import catalogue_matrix
from shopgraph.evaluation import Figures, Setting, evaluate, paired_bootstrap
from shopgraph.ingest.loading import load_bulk
from shopgraph.learning.overrides import configured
from shopgraph.ranking.lists import Ids
from shopgraph.ranking.served import FOLDER, ServedRanker
from shopgraph.services.neo4j_server import Neo4jServer
from shopgraph.settings import Settings, load_settings
from shopgraph.tracking import new_run_id
from shopgraph.wiring_ranking import train_ranker_version
from shopgraph.wiring_serving import build_serving
from shopgraph.wiring_training import build_training

DATA = ROOT.parent / "shared" / "data"
HOME = OUTPUT / "serving-shops"
READERS: dict[str, tuple[str, Callable[[Path, int], Shop]]] = {
    "beauty": ("amazon-beauty", beauty_shop),
    "goodbooks": ("goodbooks", goodbooks_shop),
}
"""By shop, the folder of its data and what reads it."""
JUDGED_USERS = 1_000
SEED = 7
MEMORY = {"neo4j_heap_mib": 800, "neo4j_page_cache_mib": 256}
"""Of each shop's Neo4j; neither has more than 25,000 products and users."""


@dataclass(frozen=True)
class Learned:
    """A published shop: the snapshot it learned from, its ranker's version, and the seconds that each step took."""

    snapshot: Snapshot
    ranker: str
    seconds: dict[str, float]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--data", type=Path, default=DATA)
    options.add_argument("--shops", nargs="*", choices=list(READERS), default=list(READERS))
    options.add_argument("--users", type=int, default=JUDGED_USERS, help="at most as many are judged, drawn by lot")
    asked = options.parse_args()
    started = time.perf_counter()
    figures: dict[str, float] = {}
    tables: dict[str, list[dict[str, object]]] = {}
    for name in asked.shops:
        folder, read = READERS[name]
        if not (asked.data / folder).is_dir():
            print(f"bench-serving-shops: {name} skipped, {asked.data / folder} is not there")
            continue
        shop = read(asked.data / folder, SEED)
        rows, seconds = judged(shop, asked.users)
        figures |= keys(rows, shop) | {f"served.{name}.{step}_s": taken for step, taken in seconds.items()}
        told = {f"{name}: what {len(rows[SERVED].users)} users bought later": lines(rows, shop.depth)}
        show(told)
        tables |= told
    if figures:
        figures["served.shops.total_s"] = time.perf_counter() - started
        said = f' BENCH="{" ".join(sys.argv[1:])}"' if sys.argv[1:] else ""
        print(f"written to {write('serving_shops', figures, tables, f'make bench-serving-shops{said}')}")


def judged(shop: Shop, users: int) -> tuple[dict[str, Figures], dict[str, float]]:
    """Figures by model, and seconds by step."""
    home = HOME / shop.name
    shutil.rmtree(home, ignore_errors=True)
    settings = load_settings(home=home, clock="data", source=shop.feed.source.name, tracker="none", **MEMORY)
    try:
        learned = published(shop, settings)
        snapshot, setting = learned.snapshot, _setting(learned.snapshot, _of_some_users(shop.later, users))
        with _timed("answers", learned.seconds), build_serving(settings) as serving:
            rows = {SERVED: served(serving, snapshot, Ids.of(snapshot.ids("Product")), setting, shop.depth)}
    finally:
        Neo4jServer(settings).stop()
    ranker = ServedRanker.load(settings.models / learned.ranker / FOLDER)
    rows[OFFLINE] = offline(ranker, snapshot, setting, shop.depth)
    return rows | dict(_peers(shop, snapshot, setting)), learned.seconds


def published(shop: Shop, settings: Settings) -> Learned:
    """Load the shop, then take the steps of a retraining in this process."""
    seconds: dict[str, float] = {}
    with _timed("load", seconds):
        load_bulk(shop.feed, Neo4jServer(settings), settings, new_run_id("ingest"))
    work = settings.home / "work"
    work.mkdir()
    with build_training(settings) as training:
        with _timed("export", seconds):
            snapshot = training.export(shop.before)
            past, holdout = training.hold_out(snapshot, shop.holdout_weeks, work)
        with _timed("graph", seconds):
            tried = training.train_graph(past, holdout, work / "graph", shop.graph)
            graph = training.refit_graph(tried, snapshot, work / "graph-refit")
        with _timed("ranker", seconds):
            ranker = train_ranker_version(training, snapshot, work / "ranker", shop.ranker, _told, graph_version=graph)
        with _timed("publish", seconds):
            training.derive(snapshot)
            training.publish({"graph": graph, "ranker": ranker}, snapshot)
        return Learned(training.snapshot(snapshot), ranker, seconds)


def keys(rows: dict[str, Figures], shop: Shop) -> dict[str, float]:
    ours, best = rows[SERVED].means(shop.depth), best_peer(rows)
    theirs = rows[best].means(shop.depth)
    compared = paired_bootstrap(rows[SERVED].ndcg, rows[best].ndcg, SEED)
    ndcg, prefix = f"ndcg@{shop.depth}", f"served.{shop.name}"
    return {
        **{f"{prefix}.{metric}": value for metric, value in ours.items()},
        f"{prefix}.best_peer.{ndcg}": theirs[ndcg],
        f"{prefix}.gain_over_best_peer": ours[ndcg] / theirs[ndcg] - 1,
        f"{prefix}.over_best_peer.low": compared.low,
        f"{prefix}.over_best_peer.high": compared.high,
        f"{prefix}.of_offline": ours[ndcg] / rows[OFFLINE].means(shop.depth)[ndcg],
    }


def best_peer(rows: dict[str, Figures]) -> str:
    """The peer with the highest figure for the judged users themselves: no choice of ours may make the bar lower."""
    return max(rows.keys() - {SERVED, OFFLINE}, key=lambda name: rows[name].ndcg.mean())


def lines(rows: dict[str, Figures], depth: int) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    best = best_peer(rows)
    for name, of in sorted(rows.items(), key=lambda item: -item[1].ndcg.mean()):
        means, compared = of.means(depth), paired_bootstrap(rows[SERVED].ndcg, of.ndcg, SEED)
        found.append(
            {
                "model": f"{name} (best peer)" if name == best else name,
                f"NDCG@{depth}": round(means[f"ndcg@{depth}"], 4),
                f"Recall@{depth}": round(means[f"recall@{depth}"], 4),
                f"coverage@{depth}": round(of.coverage, 4),
                f"{SERVED} over it": "" if name == SERVED else f"{compared.low:+.4f} to {compared.high:+.4f}",
            }
        )
    return found


def _of_some_users(later: Holdout, count: int) -> Holdout:
    users = np.unique(later.purchases["user"].to_numpy())
    drawn = np.random.default_rng(SEED).permutation(users)[:count]
    return Holdout(later.purchases.filter(pc.is_in(later.purchases["user"], pa.array(drawn))))


def _setting(snapshot: Snapshot, later: Holdout) -> Setting:
    """Every product that the user does not own is a candidate, those that nobody has bought among them."""
    everything = np.ones(snapshot.nodes["Product"].num_rows, bool)
    return Setting("novel", later_pairs(snapshot, later), seen_pairs(snapshot), everything)


def _peers(shop: Shop, snapshot: Snapshot, setting: Setting) -> Iterator[tuple[str, Figures]]:
    purchases, moment = Purchases.of(snapshot), to_ms(snapshot.before)
    catalogue = catalogue_matrix(to_hetero(snapshot))
    for shown, (name, options) in shop.peers.items():
        with _timed(f"peer {shown}", {}):
            config = configured(PEERS[name].config(), options)
            score = fit_peer(name, purchases, moment, catalogue, config, SEED)
            found = evaluate(score, setting, shop.depth)
        yield shown, found


@contextmanager
def _timed(step: str, seconds: dict[str, float]) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[step] = time.perf_counter() - started
    print(f"  {step}: {seconds[step]:.0f} s", flush=True)


def _told(step: str, done: int, total: int, message: str = "") -> None:
    print(f"    {time.strftime('%H:%M:%S')} {step} {done}/{total} {message}", flush=True)


if __name__ == "__main__":
    main()
