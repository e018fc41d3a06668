"""A snapshot and the purchases after it as the protocol's settings: what a model is judged in."""

from __future__ import annotations

import pyarrow.compute as pc
import scipy.sparse as sp

from shopgraph.dataset.snapshot import Snapshot
from shopgraph.dataset.split import Holdout
from shopgraph.evaluation import Setting, pairs, protocol


def judged_settings(learned: Snapshot, holdout: Holdout) -> dict[str, Setting]:
    """Settings all, novel and cold, with users and products numbered as in the snapshot."""
    return protocol(seen_pairs(learned), later_pairs(learned, holdout))


def seen_pairs(learned: Snapshot) -> sp.csr_array:
    """(users, products), bool: who bought what before the cut."""
    purchased = learned.relations["PURCHASED"]
    return pairs(purchased["start"].to_numpy(), purchased["end"].to_numpy(), shape(learned))


def later_pairs(learned: Snapshot, holdout: Holdout) -> sp.csr_array:
    """(users, products), bool: held-out pairs of users and products that the snapshot knows."""
    rows = {
        column: pc.index_in(holdout.purchases[column], learned.nodes[label]["id"].combine_chunks())
        for column, label in (("user", "User"), ("product", "Product"))
    }
    both = pc.and_(pc.is_valid(rows["user"]), pc.is_valid(rows["product"]))
    users, products = (rows[column].filter(both).to_numpy() for column in ("user", "product"))
    return pairs(users, products, shape(learned))


def shape(learned: Snapshot) -> tuple[int, int]:
    return learned.nodes["User"].num_rows, learned.nodes["Product"].num_rows
