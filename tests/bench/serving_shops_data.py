"""Amazon Beauty and Goodbooks as shops to serve: a feed of what was bought before a moment, and who buys what after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from beauty import LAST_ONLY, NEXT_ITEM, PEER_CONFIGS, TEST
from beauty_data import read_beauty

from shopgraph.collaborative.peers import PEERS
from shopgraph.dataset.purchases import WEEK_MS, to_ms
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.dataset.split import HOLDOUT, Holdout
from shopgraph.ingest.goodbooks import SOURCE as GOODBOOKS
from shopgraph.ingest.goodbooks import read_goodbooks
from shopgraph.ingest.tables import table
from shopgraph.privacy.pseudonym import KEY_BYTES, Pseudonymiser
from shopgraph.ranking.training import RankerConfig
from shopgraph.records import Feed, SourceInfo

BEAUTY = SourceInfo("beauty", "Amazon Beauty, 5-core, 2014", "USD", "offered for research use")
READERS, FEWEST_RATINGS = 5_000, 10
"""Readers of Goodbooks, drawn from those with as many ratings."""
READ_FROM = datetime(2017, 1, 1, tzinfo=UTC)
WEEKS, TEST_WEEKS = 10, 2
"""That a reader's ratings are spread over, and the last of them, which judge: a fifth."""

Peers = Mapping[str, tuple[str, Mapping[str, Any]]]
"""By the name it is shown under, a collaborative filter and what is set otherwise of it."""
KNOWS_ONLY_OWNED = "personal_frequency"
DEFAULTS: Peers = {name: (name, {}) for name in PEERS if name != KNOWS_ONLY_OWNED}


@dataclass(frozen=True)
class Shop:
    """What is loaded and learned from, and what judges.

    Attributes:
        depth: of the lists judged.
        later: purchases from `before` on.
        holdout_weeks: the last weeks before it, which choose the graph embedding's epochs.
        graph, ranker: fields of their learners' configs to set otherwise, since the times are made up.
    """

    name: str
    depth: int
    feed: Feed
    before: datetime
    later: Holdout
    holdout_weeks: int
    graph: Mapping[str, Any]
    ranker: Mapping[str, Any]
    peers: Peers


def beauty_shop(folder: Path, seed: int) -> Shop:
    """Leave-one-out by the order `ties`, a week a place: each user's last purchase judges.

    EASE inverts a matrix of 12,101 products for minutes at each moment, so neither the shop nor its peers have it.
    """
    beauty = read_beauty(folder, "ties", seed)
    whole = beauty.whole
    feed, later = _parted(BEAUTY, whole.nodes, _named(whole), beauty.moment(TEST))
    peers = {name: peer for name, peer in DEFAULTS.items() if name != "ease"}
    peers |= {f"{name}, of bench-beauty": peer for name, peer in {**PEER_CONFIGS, **LAST_ONLY}.items()}
    return Shop(
        "beauty",
        10,
        feed,
        beauty.moment(TEST),
        later,
        holdout_weeks=1,
        graph={
            "half_life_weeks": 4.0,
            "cuts": NEXT_ITEM,
            "loss": "sampled_softmax",
            "users_per_batch": 1500,
            "positives_per_user": 1,
            "loop": {"epochs": 3, "patience": 1},
        },
        ranker={
            "sources": [name for name in RankerConfig().sources if name != "ease"],
            "folds": {"weeks_before_end": (1.0,), "label_weeks": 1.0},
            "candidates": {"depth": 60},
            "sample": {"negatives": 40},
        },
        peers=peers,
    )


def goodbooks_shop(folder: Path, seed: int) -> Shop:
    """A fifth of each reader's books judges, drawn at random; a rating is taken for a purchase, whatever its stars.

    The file has no times, and no order between its parts, which hold different books. So each reader's ratings are
    shuffled and spread over ten weeks, as many a week; only `READERS` readers are in the shop.
    """
    whole = read_goodbooks(folder, Pseudonymiser(bytes(KEY_BYTES)), to_read=False)
    rated = whole.relations["RATED"].select(["start", "end"])
    counts = rated["start"].value_counts()
    names, times = counts.field("values").to_numpy(zero_copy_only=False), counts.field("counts").to_numpy()
    random = np.random.default_rng(seed)
    readers = np.sort(random.permutation(np.sort(names[times >= FEWEST_RATINGS]))[:READERS])
    rated = rated.filter(pc.is_in(rated["start"], pa.array(readers)))
    weeks = _spread(pc.index_in(rated["start"], pa.array(readers)).to_numpy(), random)
    at = pa.array(to_ms(READ_FROM) + np.round(weeks * WEEK_MS).astype(np.int64))
    bought = rated.append_column("at", at.cast(HOLDOUT.field("at").type))
    relations = {kind: found for kind, found in whole.relations.items() if kind != "RATED"}
    before = READ_FROM + timedelta(weeks=WEEKS - TEST_WEEKS)
    nodes = {**whole.nodes, "User": table("User", {"id": readers})}
    feed, later = _parted(GOODBOOKS, nodes, {**relations, "PURCHASED": bought}, before)
    return Shop(
        "goodbooks",
        20,
        feed,
        before,
        later,
        holdout_weeks=TEST_WEEKS,
        graph={"cuts": {"count": 2, "spacing_weeks": 2, "supervision_weeks": 2}, "loop": {"epochs": 6, "patience": 2}},
        ranker={"folds": {"weeks_before_end": (2.0, 4.0), "label_weeks": 2.0}},
        peers=DEFAULTS,
    )


def _spread(users: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(lines,): the week of each line, those of one user at equal distances and in random order."""
    order = np.lexsort((random.random(len(users)), users))
    place = np.empty(len(users))
    place[order] = np.arange(len(users)) - np.searchsorted(users[order], users[order])
    return WEEKS * (place + 0.5) / np.bincount(users)[users]


def _named(snapshot: Snapshot) -> dict[str, pa.Table]:
    """Relations of a snapshot of Beauty, by the ids of their ends and, of purchases, their time."""
    ends = {"MADE_BY": ("Product", "Brand"), "IN_CATEGORY": ("Product", "Category"), "CHILD_OF": ("Category",) * 2}
    found = {}
    for kind, labels in {**ends, "PURCHASED": ("User", "Product")}.items():
        numbered = snapshot.relations[kind]
        sides = zip(("start", "end"), labels, strict=True)
        columns = {side: snapshot.nodes[label]["id"].combine_chunks().take(numbered[side]) for side, label in sides}
        if kind == "PURCHASED":
            columns["at"] = numbered["at"]
        found[kind] = pa.table(columns)
    return found


def _parted(
    source: SourceInfo, nodes: Mapping[str, pa.Table], relations: Mapping[str, pa.Table], before: datetime
) -> tuple[Feed, Holdout]:
    """The feed of what was bought before a moment, every line an order of its own, and the purchases from it on."""
    bought = relations["PURCHASED"]
    is_later = pc.greater_equal(bought["at"], pa.scalar(before, bought.schema.field("at").type))
    learned, later = bought.filter(pc.invert(is_later)), bought.filter(is_later)
    lines = pc.binary_join_element_wise(learned["start"], learned["end"], "/")
    columns = {name: learned[name] for name in ("start", "end", "at")}
    units = {"quantity": np.ones(len(learned), np.int64), "discount": np.zeros(len(learned))}
    purchased = table("PURCHASED", {**columns, "line_id": lines, "order_id": lines, **units})
    stated = {
        kind: table(kind, {side: found[side] for side in ("start", "end")})
        for kind, found in relations.items()
        if kind != "PURCHASED"
    }
    present = {label: found for label, found in nodes.items() if len(found)}
    return Feed(source, present, {**stated, "PURCHASED": purchased}), Holdout(
        pa.table([later["start"], later["end"], later["at"]], schema=HOLDOUT)
    )
