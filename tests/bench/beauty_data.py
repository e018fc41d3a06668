"""Amazon Beauty (2014, 5-core) as snapshots: leave-one-out cuts by made-up times of which only the order is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from source_tables import ends_table, node_table, purchase_table, read_columns

from shopgraph.dataset.purchases import WEEK_MS
from shopgraph.dataset.snapshot import Snapshot, assemble
from shopgraph.errors import InputError
from shopgraph.evaluation import Setting, pairs

ITEM_COLUMNS = ("item_id", "asin", "title", "brand", "categories")
INTERACTION_COLUMNS = ("user_id", "item_id", "position", "split_loo")
TEXTS = {name: pa.string() for name in ("asin", "title", "brand", "categories", "split_loo")}
END = datetime(2014, 7, 24, tzinfo=UTC)
"""After every purchase; the last lies half a week before it, the one before it a week earlier, and so on."""
UNKNOWN = ("", "Unknown")

Order = Literal["file", "ties", "none"]
"""What is kept of the order of a user's purchases before the test item.

    file: the order shipped.
    ties: items of a maximal run of rising ASINs are shuffled. The file orders a day's reviews by ASIN, so no two items
        of one day lie in different runs: every tie is shuffled, and some known order with it.
    none: all are shuffled.
"""


@dataclass(frozen=True)
class Beauty:
    """The data set with the order of one variant; user and product rows are the file's numbers less 1.

    Shapes:
        users, products, back: (purchases,), int64; `back` counts a user's purchases from its last, which is 0
    """

    whole: Snapshot
    users: np.ndarray
    products: np.ndarray
    back: np.ndarray

    def moment(self, back: int) -> datetime:
        """Before the purchase that is `back` from every user's last, and after the ones before it."""
        return END - timedelta(weeks=back + 1)

    def setting(self, back: int) -> Setting:
        """The purchase at one place as the right answer, those before it excluded, every product a candidate."""
        shape = (self.whole.nodes["User"].num_rows, self.whole.nodes["Product"].num_rows)
        before, asked = self.back > back, self.back == back
        known = pairs(self.users[before], self.products[before], shape)
        has_past = np.diff(known.indptr)[self.users] > 0
        asked &= has_past
        truth = pairs(self.users[asked], self.products[asked], shape)
        return Setting("novel", truth, known, np.ones(shape[1], dtype=bool))


def read_beauty(folder: Path, order: Order, seed: int = 0) -> Beauty:
    """Read `items.csv.gz` and `interactions.csv.gz`; relations between products are not touched.

    The site took also_bought and also_viewed over the whole period, test purchases included.

    Raises:
        InputError: a file or a column is missing, or an interaction names an item that is not there.
    """
    items = read_columns(folder / "items.csv.gz", ITEM_COLUMNS, TEXTS).sort_by("item_id")
    lines = read_columns(folder / "interactions.csv.gz", INTERACTION_COLUMNS, TEXTS)
    known = pc.index_in(lines["item_id"], items["item_id"].combine_chunks())
    if known.null_count:
        missing = lines["item_id"].filter(pc.is_null(known))[0].as_py()
        raise InputError(f"{folder / 'interactions.csv.gz'} names item {missing}, which items.csv.gz lacks")
    user_ids, users = np.unique(lines["user_id"].to_numpy(), return_inverse=True)
    products, position = known.to_numpy(), lines["position"].to_numpy()
    sort = np.lexsort((position, users))
    users, products = users[sort], products[sort]
    place = _place(users, products, order, pc.rank(items["asin"].combine_chunks()).to_numpy(), seed)
    back = np.bincount(users)[users] - 1 - place
    nodes, relations = _catalogue(items)
    nodes["User"] = node_table("User", id=[f"beauty:{user:06d}" for user in user_ids])
    relations["PURCHASED"] = _purchased(nodes, users, products, back)
    return Beauty(assemble(nodes, relations, END), users, products, back)


def rising_runs(users: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """(purchases,): the number of the maximal run of rising ranks of one user that each purchase belongs to."""
    new = np.ones(len(users), dtype=bool)
    new[1:] = (users[1:] != users[:-1]) | (ranks[1:] < ranks[:-1])
    return np.cumsum(new)


def _place(users: np.ndarray, products: np.ndarray, order: Order, asin_rank: np.ndarray, seed: int) -> np.ndarray:
    """(purchases,): the place of each in its user's history; the last one, the test item, stays the last."""
    count = len(users)
    first = np.searchsorted(users, users)
    place = np.arange(count) - first
    if order == "file":
        return place
    last = np.append(users[1:] != users[:-1], True)
    group = rising_runs(users, asin_rank[products]) if order == "ties" else users
    draw = np.random.default_rng(seed).random(count)
    shuffled = np.lexsort((draw, last, group, users)) if order == "none" else np.lexsort((draw, group, last, users))
    found = np.empty(count, dtype=np.int64)
    found[shuffled] = np.arange(count) - first
    return found


def _catalogue(items: pa.Table) -> tuple[dict[str, pa.Table], dict[str, pa.Table]]:
    ids = [f"beauty:{item:06d}" for item in items["item_id"].to_pylist()]
    titles = [title or asin for title, asin in zip(items["title"].to_pylist(), items["asin"].to_pylist(), strict=True)]
    brands = [brand if brand not in UNKNOWN else None for brand in items["brand"].to_pylist()]
    names = [[name for name in row.split("|") if name] for row in items["categories"].to_pylist()]
    paths = _paths(names)
    stated = sorted({brand for brand in brands if brand})
    categories = sorted({path[: level + 1] for path in paths for level in range(len(path))})
    nodes = {
        "Product": node_table("Product", id=ids, title=titles),
        "Brand": node_table("Brand", id=stated, name=stated),
        "Category": node_table(
            "Category",
            id=[" > ".join(path) for path in categories],
            name=[path[-1] for path in categories],
            level=[len(path) for path in categories],
        ),
    }
    made = [(product, brand) for product, brand in zip(ids, brands, strict=True) if brand]
    within = [(product, " > ".join(path)) for product, path in zip(ids, paths, strict=True) if path]
    child = [(" > ".join(path), " > ".join(path[:-1])) for path in categories if len(path) > 1]
    return nodes, {"MADE_BY": ends_table(made), "IN_CATEGORY": ends_table(within), "CHILD_OF": ends_table(child)}


def _paths(names: list[list[str]]) -> list[tuple[str, ...]]:
    """Each product's categories from the root down: a parent holds at least the products of its child."""
    distinct, counts = np.unique([name for row in names for name in row], return_counts=True)
    held = dict(zip(distinct.tolist(), counts.tolist(), strict=True))
    return [tuple(sorted(row, key=lambda name: (-held[name], name))) for row in names]


def _purchased(nodes: dict[str, pa.Table], users: np.ndarray, products: np.ndarray, back: np.ndarray) -> pa.Table:
    end_ms = round(END.timestamp() * 1000)
    at_ms = end_ms - back * WEEK_MS - WEEK_MS // 2
    orders = [f"{user}-{place}" for user, place in zip(users, back, strict=True)]
    return purchase_table(nodes, users, products, at_ms, orders)
