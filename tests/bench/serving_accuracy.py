"""What the serving path is worth on the test weeks, beside every peer of the same run and beside its own ranker."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from shopgraph.cli.demo.loop import TEST, later_purchases
from shopgraph.collaborative.peers import PEERS, fit_peer
from shopgraph.dataset.hetero import to_hetero
from shopgraph.dataset.judging import judged_settings
from shopgraph.dataset.purchases import Purchases, to_ms
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.embed.message_graph import catalogue_matrix
from shopgraph.evaluation import DEPTH, NO_ITEM, Figures, Setting, evaluate, figures, paired_bootstrap
from shopgraph.learning.overrides import configured
from shopgraph.ranking.lists import Ids
from shopgraph.ranking.own_lines import OwnLines
from shopgraph.ranking.served import COLD, FOLDER, ServedRanker
from shopgraph.recommend.filters import Filters
from shopgraph.settings import Settings
from shopgraph.wiring_serving import Serving, build_serving

CHOSEN = json.loads(Path(__file__).with_name("chosen.json").read_text())["peers"]
SERVED, OFFLINE = "recommend()", "its ranker, offline"
EXPLORATION = 4.0
"""What SHOPGRAPH_EXPLORATION is set to in one row of `novel`: what coverage costs."""
EXPLORED = f"recommend(), exploration {EXPLORATION:g}"
UNSOLD = "cold_among_unsold"
"""The purchases of the cold setting, with all that nobody had bought for candidates: what a shop really asks."""
SETTINGS = ("all", "novel", COLD, UNSOLD)
CLIENTS = 2
SEED = 7


@dataclass(frozen=True)
class Row:
    setting: str
    model: str
    found: Figures


def judge_serving(settings: Settings, snapshot: Snapshot, ranker_version: str | None) -> list[Row]:
    """Every peer, `recommend()` and the ranker without serving around it, in every setting.

    Args:
        snapshot: what was learned from; the graph holds nothing later.
    """
    asked = judged_settings(snapshot, later_purchases(settings, TEST))
    asked[UNSOLD] = replace(asked[COLD], name=UNSOLD, candidates=~asked["all"].candidates)
    rows = list(_peers(snapshot, asked))
    ids = Ids.of(snapshot.ids("Product"))
    with build_serving(settings) as serving:
        rows += [Row(name, SERVED, served(serving, snapshot, ids, asked[name])) for name in SETTINGS]
    with build_serving(settings.model_copy(update={"exploration": EXPLORATION})) as serving:
        rows.append(Row("novel", EXPLORED, served(serving, snapshot, ids, asked["novel"])))
    if ranker_version is not None:
        ranker = ServedRanker.load(settings.models / ranker_version / FOLDER)
        rows += [Row(name, OFFLINE, offline(ranker, snapshot, asked[name])) for name in SETTINGS]
    return rows


def keys(rows: list[Row]) -> dict[str, float]:
    found: dict[str, float] = {}
    for setting in SETTINGS:
        of = {row.model: row.found for row in rows if row.setting == setting}
        peer = best_peer(rows, setting)
        ours, theirs = of[SERVED].means(), peer.found.means()
        compared = paired_bootstrap(of[SERVED].ndcg, peer.found.ndcg, SEED)
        found |= {f"served.{setting}.{metric}": ours[metric] for metric in ("ndcg@20", "recall@20", "coverage@20")}
        found |= {
            f"served.{setting}.best_peer.ndcg@20": theirs["ndcg@20"],
            f"served.{setting}.gain_over_best_peer": ours["ndcg@20"] / theirs["ndcg@20"] - 1,
            f"served.{setting}.over_best_peer.low": compared.low,
            f"served.{setting}.over_best_peer.high": compared.high,
        }
        if EXPLORED in of:
            explored = of[EXPLORED].means()
            found |= {f"served.{setting}.explored.{metric}": explored[metric] for metric in ("ndcg@20", "coverage@20")}
            found[f"served.{setting}.explored.loss"] = 1 - explored["ndcg@20"] / ours["ndcg@20"]
        if OFFLINE in of:
            found[f"served.{setting}.of_offline"] = ours["ndcg@20"] / of[OFFLINE].means()["ndcg@20"]
    return found


def best_peer(rows: list[Row], setting: str) -> Row:
    """The peer with the highest figure in the test weeks themselves: no choice of ours may make the bar lower."""
    peers = (row for row in rows if row.setting == setting and row.model in CHOSEN)
    return max(peers, key=lambda row: row.found.means()["ndcg@20"])


def lines(rows: list[Row], setting: str) -> list[dict[str, object]]:
    found = []
    for row in rows:
        if row.setting == setting:
            means = row.found.means()
            shown = {name: round(means[f"{key}@20"], 4) for name, key in _COLUMNS.items()}
            found.append({"model": row.model, **shown})
    return sorted(found, key=lambda line: -float(str(line["NDCG@20"])))


_COLUMNS = {"Recall@20": "recall", "NDCG@20": "ndcg", "MRR": "mrr", "coverage@20": "coverage"}


def _peers(snapshot: Snapshot, asked: Mapping[str, Setting]) -> Iterator[Row]:
    purchases, moment = Purchases.of(snapshot), to_ms(snapshot.before)
    catalogue = catalogue_matrix(to_hetero(snapshot))
    for name, options in CHOSEN.items():
        for setting in (setting for setting in options if setting in SETTINGS):
            config = configured(PEERS[name].config(), options[setting])
            score = fit_peer(name, purchases, moment, catalogue, config, SEED)
            for judged in (COLD, UNSOLD) if setting == COLD else (setting,):
                yield Row(judged, name, evaluate(score, asked[judged]))
        print(f"  peer {name}", flush=True)


def served(serving: Serving, snapshot: Snapshot, ids: Ids, setting: Setting, depth: int = DEPTH) -> Figures:
    """What `recommend()` answers to the judged users, asked as of the snapshot's moment."""
    names = snapshot.ids("User")
    users, is_cold = [names[row] for row in setting.users], setting.name in (COLD, UNSOLD)
    filters = Filters(exclude=_no_candidates(snapshot, setting) if is_cold else ())

    def answer(user: str) -> list[str]:
        novel = setting.name == "novel"
        found = serving.recommender.recommend(user, depth, novel, snapshot.before, filters=filters, new_only=is_cold)
        return [item.id for item in found.items]

    ranked = np.full((len(users), depth), NO_ITEM, np.int64)
    with ThreadPoolExecutor(CLIENTS) as asking:
        for row, found in enumerate(asking.map(answer, users)):
            ranked[row, : len(found)] = ids.rows(found)
    return figures(ranked, setting)


def _no_candidates(snapshot: Snapshot, setting: Setting) -> list[str]:
    """Of what nobody had bought, the products that the setting does not ask for."""
    ids, sold = snapshot.ids("Product"), Purchases.of(snapshot).buyers() > 0
    return [ids[row] for row in np.flatnonzero(~sold & ~setting.candidates)]


def offline(ranker: ServedRanker, snapshot: Snapshot, setting: Setting, depth: int = DEPTH) -> Figures:
    """By the same candidates and the snapshot's purchases; no shop is asked what may be shown."""
    names, products = snapshot.ids("User"), snapshot.ids("Product")
    own, is_cold = _own_lines(snapshot, products), setting.name in (COLD, UNSOLD)
    barred = _no_candidates(snapshot, setting) if is_cold else []
    ranked = np.full((len(setting.users), depth), NO_ITEM, np.int64)
    for row, user in enumerate(setting.users):
        lines_of = own(user)
        bought = sorted(set(lines_of.products))
        owned, without = {"all": (bought, []), "novel": ([], bought)}.get(setting.name, ([], barred))
        found = ranker.ranked(
            COLD if is_cold else setting.name, names[user], lines_of, snapshot.before, owned, without
        )[:depth]
        ranked[row, : len(found)] = ranker.products.rows([item.id for item in found])
    return figures(ranked, setting)


def _own_lines(snapshot: Snapshot, products: list[str]):
    table, purchases = snapshot.relations["PURCHASED"], Purchases.of(snapshot)
    sides = [table[name].to_numpy() for name in ("quantity", "amount", "discount")]
    order = np.argsort(purchases.users, kind="stable")
    bounds = np.searchsorted(purchases.users[order], np.arange(snapshot.nodes["User"].num_rows + 1))

    def of(user: int) -> OwnLines:
        rows = order[bounds[user] : bounds[user + 1]]
        bought = [products[place] for place in purchases.products[rows]]
        return OwnLines(bought, purchases.times[rows].tolist(), *(side[rows].tolist() for side in sides))

    return of
