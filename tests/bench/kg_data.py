"""Last.FM and Book-Crossing with their knowledge graphs: labelled pairs, and snapshots of some of the positives.

Every (relation, tail) that the graph states of an item is an `Attribute` of it, key the relation and value the tail's
number; authors named in the items' file are `Author` nodes. What is stated of those tails in turn, the second hop, is
left out: the schema has no place for it. So are rows whose tail alone is an item; in Book-Crossing all but one of them
turn round a row that is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from source_tables import ends_table, node_table, purchase_table, read_columns

from shopgraph.dataset.purchases import WEEK_MS, to_ms
from shopgraph.dataset.snapshot import Snapshot, assemble
from shopgraph.errors import InputError
from shopgraph.evaluation import Setting, pairs

TITLES = {"lastfm": "artist_name", "book-crossing": "title"}
"""The column of the items' file that names an item, by the folder of the data set."""
NAMED = {"lastfm": ("artist_name",), "book-crossing": ("title", "author")}
TYPES = {
    **dict.fromkeys(("user_id", "item_id", "label", "head", "relation_id", "tail"), pa.int64()),
    **dict.fromkeys(("artist_name", "title", "author", "relation"), pa.string()),
}
END = datetime(2012, 1, 1, tzinfo=UTC)
AT_MS = to_ms(END) - WEEK_MS // 2
"""The one made-up time of every purchase: the files state none, so half-lives and windows can tell nothing apart."""
PARTS = (0.6, 0.2)
"""Shares of the rows that are train and validation; the rest is test."""


@dataclass(frozen=True)
class Split:
    """Rows of the labelled pairs by the part they belong to.

    Shapes:
        train, validation, test: (rows of the part,), int64, distinct, none in two parts
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class LabelledPairs:
    """A data set; products are numbered as in the items' file, users by ascending id.

    Shapes:
        users, products: (pairs,), int64; positive: (pairs,), bool
    """

    users: np.ndarray
    products: np.ndarray
    positive: np.ndarray
    nodes: dict[str, pa.Table]
    relations: dict[str, pa.Table]

    @property
    def shape(self) -> tuple[int, int]:
        return self.nodes["User"].num_rows, self.nodes["Product"].num_rows

    def split(self, seed: int) -> Split:
        """A random 60/20/20 split of the pairs, positives and negatives alike, as the papers draw it."""
        order = np.random.default_rng(seed).permutation(len(self.users))
        train, both = (round(share * len(order)) for share in np.cumsum(PARTS))
        return Split(*(np.sort(rows) for rows in np.split(order, [train, both])))

    def snapshot(self, rows: np.ndarray) -> Snapshot:
        """The catalogue, and the positives among some rows as purchases of one instant."""
        bought = rows[self.positive[rows]]
        orders = [str(row) for row in bought]
        times = np.full(len(bought), AT_MS)
        lines = purchase_table(self.nodes, self.users[bought], self.products[bought], times, orders)
        return assemble(self.nodes, {**self.relations, "PURCHASED": lines}, END)

    def setting(self, known: np.ndarray, asked: np.ndarray) -> Setting:
        """Positives among the rows asked as right answers, those among the known rows excluded, all else candidates.

        Judged are users with a known positive, as in the papers' ranking.
        """
        known, asked = known[self.positive[known]], asked[self.positive[asked]]
        asked = asked[np.isin(self.users[asked], self.users[known])]
        truth, excluded = (pairs(self.users[rows], self.products[rows], self.shape) for rows in (asked, known))
        return Setting("novel", truth, excluded, np.ones(self.shape[1], dtype=bool))


def read_labelled_pairs(folder: Path) -> LabelledPairs:
    """Read `ratings.csv.gz`, `items.csv.gz` and `kg.csv.gz` of a data set's folder, which has to keep its name.

    Raises:
        InputError: the folder is of no known data set, a file or column is missing, a value is not of its column's
            type, a label is neither 0 nor 1, or a row names an item that is not there.
    """
    if folder.name not in NAMED:
        raise InputError(f"{folder} is no known data set: there are {', '.join(NAMED)}")
    items = read_columns(folder / "items.csv.gz", ("item_id", *NAMED[folder.name]), TYPES).sort_by("item_id")
    rated = read_columns(folder / "ratings.csv.gz", ("user_id", "item_id", "label"), TYPES)
    if wrong := sorted(set(pc.unique(rated["label"]).to_pylist()) - {0, 1}, key=str):
        raise InputError(f"{folder / 'ratings.csv.gz'} has label {wrong[0]}: 0 or 1 is needed")
    products = pc.index_in(rated["item_id"], items["item_id"].combine_chunks())
    if products.null_count:
        missing = rated["item_id"].filter(pc.is_null(products))[0].as_py()
        raise InputError(f"{folder / 'ratings.csv.gz'} names item {missing}, which items.csv.gz lacks")
    user_ids, users = np.unique(rated["user_id"].to_numpy(), return_inverse=True)
    nodes, relations = _catalogue(folder, items)
    nodes["User"] = node_table("User", id=[_id(folder, user) for user in user_ids])
    return LabelledPairs(users, products.to_numpy().astype(np.int64), rated["label"].to_numpy() == 1, nodes, relations)


def _catalogue(folder: Path, items: pa.Table) -> tuple[dict[str, pa.Table], dict[str, pa.Table]]:
    ids = [_id(folder, item) for item in items["item_id"].to_pylist()]
    authors = items["author"].to_pylist() if "author" in items.column_names else [""] * len(ids)
    written = [(product, author) for product, author in zip(ids, authors, strict=True) if author]
    stated = _stated(folder, items["item_id"].to_pylist())
    attributes = sorted({attribute for _, attribute in stated})
    names = sorted({author for _, author in written})
    nodes = {
        "Product": node_table("Product", id=ids, title=items[TITLES[folder.name]].to_pylist()),
        "Author": node_table("Author", id=names, name=names),
        "Attribute": node_table(
            "Attribute",
            id=["=".join(attribute) for attribute in attributes],
            key=[key for key, _ in attributes],
            value=[value for _, value in attributes],
        ),
    }
    has = [(_id(folder, item), "=".join(attribute)) for item, attribute in stated]
    return nodes, {"WRITTEN_BY": ends_table(written), "HAS_ATTRIBUTE": ends_table(has)}


def _stated(folder: Path, items: Sequence[int]) -> list[tuple[int, tuple[str, str]]]:
    """Each item with each (relation, tail) that the graph states of it; a relation without a name is its number."""
    named = folder.name == "lastfm"
    columns = ("head", "relation_id", "tail", *(("relation",) if named else ()))
    table = read_columns(folder / "kg.csv.gz", columns, TYPES)
    table = table.filter(pc.is_in(table["head"], pa.array(items, pa.int64())))
    keys = table["relation"].to_pylist() if named else [f"relation {one}" for one in table["relation_id"].to_pylist()]
    values = [str(tail) for tail in table["tail"].to_pylist()]
    return sorted(set(zip(table["head"].to_pylist(), zip(keys, values, strict=True), strict=True)))


def _id(folder: Path, number: int) -> str:
    """Padded, so that a snapshot's order by id is that of the numbers."""
    return f"{folder.name}:{number:06d}"
