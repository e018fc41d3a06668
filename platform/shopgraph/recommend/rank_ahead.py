"""Ranks ahead what would be ranked at each answer: for users who came lately, and like the products sold most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shopgraph.errors import PublishError
from shopgraph.graph.connection import Graph, batched
from shopgraph.lease import held
from shopgraph.recommend.answer import Detail
from shopgraph.recommend.evidence import Evidence
from shopgraph.recommend.explanation import chosen_path
from shopgraph.recommend.fusion import Fused
from shopgraph.recommend.ranked_lists import BETWEEN, KINDS, LIKE_PRODUCT, line
from shopgraph.recommend.recommender import Recommender
from shopgraph.recommend.standing import Standing, read_standing
from shopgraph.schema import SLOTS
from shopgraph.tracking import Progress, new_run_id, silent

LEASE = "ranking"
ACTIVE_WEEKS = 26
"""Who neither bought nor viewed anything for longer is ranked for when they come."""
MOST_PRODUCTS = 5_000
BATCH = 25
Pool = tuple[Sequence[Fused], Mapping[str, Detail]]
"""What a list is made of, and what each product of it rests on where that is known."""
THREADS = 2
"""Half of the time of an answer is waiting for the graph."""


@dataclass(frozen=True)
class RankedAhead:
    """What was listed."""

    release: str
    as_of: datetime
    users: int
    products: int


def rank_ahead(
    graph: Graph, recommender: Recommender, as_of: datetime, progress: Progress = silent
) -> RankedAhead | None:
    """Write the lists into the spare slot, then let the serving release use them; None where no release serves.

    Args:
        as_of: what happened before it counts.

    Raises:
        BusyError: lists are being made.
        PublishError: another release took over meanwhile; its own lists are due.
    """
    serving = graph.record("ranked_serving")
    if serving is None:
        return None
    slot = next(name for name in SLOTS if name != serving["slot"])
    since = as_of - timedelta(weeks=ACTIVE_WEEKS)
    users = graph.wide("ranked_users", since=since, as_of=as_of)["ids"]
    products = graph.wide("ranked_products", limit=MOST_PRODUCTS)["ids"]
    total = len(users) + len(products)
    with held(graph, LEASE) as lease, ThreadPoolExecutor(THREADS, thread_name_prefix="ahead") as asked:
        lister, done = _Lister(graph, recommender, as_of, slot, new_run_id("ranked")), 0
        progress("ranked", 0, total)
        for label, ids, lists in (("User", users, lister.of_users), ("Product", products, lister.of_products)):
            for batch in batched(ids, BATCH):
                graph.write("ranked_written", label=label, rows=lists(batch, asked))
                lease.keep()
                done += len(batch)
                progress("ranked", done, total)
        switched = graph.write("ranked_switched", release=serving["release"], slot=slot, run=lister.run, as_of=as_of)
    if not switched:
        raise PublishError(f"{serving['release']} serves no more: rank ahead again for the release that does")
    return RankedAhead(serving["release"], as_of, len(users), len(products))


def forget_lists(graph: Graph) -> None:
    """Use none from now on: everybody is answered live until lists are made again."""
    graph.write("ranked_forgotten")


class _Lister:
    """Makes the text of lists; the first line says of which run, and of a user after how many events."""

    def __init__(self, graph: Graph, recommender: Recommender, as_of: datetime, slot: str, run: str) -> None:
        self._graph = graph
        self._recommender = recommender
        self._as_of = as_of
        self._slot = slot
        self.run = run

    def of_users(self, ids: Sequence[str], asked: ThreadPoolExecutor) -> list[dict[str, Any]]:
        # what happens from that moment on is not counted, so that whoever does something meanwhile is answered live
        found = self._graph.wide("ranked_events", users=list(ids), as_of=self._as_of)
        events: Mapping[str, int] = dict(zip(found["ids"], found["counts"], strict=True))

        def listed(user: str) -> dict[str, Any]:
            standing = read_standing(self._graph, self._as_of, user)
            pools = {kind: self._recommender.ahead(user, standing, novel) for novel, kind in KINDS.items()}
            return self._row(user, f"{self.run}{BETWEEN}{events[user]}", user, standing, pools)

        return list(asked.map(listed, events))

    def of_products(self, ids: Sequence[str], asked: ThreadPoolExecutor) -> list[dict[str, Any]]:
        standing = read_standing(self._graph, self._as_of)

        def listed(product: str) -> dict[str, Any]:
            pools: Mapping[str, Pool] = {LIKE_PRODUCT: (self._recommender.ahead_like(product, standing), {})}
            return self._row(product, self.run, "", standing, pools)

        return list(asked.map(listed, ids))

    def _row(
        self, owner: str, head: str, user_id: str, standing: Standing, pools: Mapping[str, Pool]
    ) -> dict[str, Any]:
        """What is written of a user or product, the lists of all kinds explained by one read."""
        evidence = Evidence(self._graph, user_id, standing, [item for pool, _ in pools.values() for item in pool])
        texts = {kind: "\n".join([head, *_lines(*pool, evidence)]) for kind, pool in pools.items()}
        return {"id": owner, "lists": {f"{kind}_{self._slot}": text for kind, text in texts.items()}}


def _lines(pool: Sequence[Fused], details: Mapping[str, Detail], evidence: Evidence) -> Iterator[str]:
    for item in pool:
        facts = evidence.of(item, details[item.id].purchases if item.id in details else {})
        if facts is not None:
            yield line(item, facts, chosen_path(item, facts))
