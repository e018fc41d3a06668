"""Goodbooks for `make bench-text`: a tenth of the rated books new, and shelf tags as queries, most of them unseen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp
from source_tables import node_table
from text_model import rated_as_bought, without_newcomers

from shopgraph.dataset.searches import SearchPairs
from shopgraph.dataset.snapshot import Snapshot, assemble
from shopgraph.evaluation import Setting
from shopgraph.ingest.goodbooks import NOISE, START, read_goodbooks
from shopgraph.privacy.pseudonym import KEY_BYTES, Pseudonymiser

FEWEST_BOOKS, MOST_BOOKS = 30, 1500
"""Books on a shelf that makes a query: a rare one is a joke, one on most books says nothing."""
PARTS = {"train": 0.7, "validation": 0.1, "test": 0.2}
"""Shares of the tags."""
LED_TO = 40
"""Books of each training tag, the ones most readers put there, that become pairs."""
USERS, FEWEST_RATINGS = 8_000, 10
END_YEARS = 10


@dataclass(frozen=True)
class Books:
    """The data set, split.

    Shapes:
        gains: by part, (tags, products), float32: log(1 + readers who put the book there)
        judged: (products,), bool: books of which tags are known
    """

    texts: Snapshot
    """Titles and authors, and what users rated."""
    described: Snapshot
    """The same, told the training tags, too: what the graph is trained on."""
    new: Setting
    tags: dict[str, list[str]]
    gains: dict[str, sp.csr_array]
    judged: np.ndarray
    searches: SearchPairs


def read_books(folder: Path, seed: int) -> Books:
    feed = read_goodbooks(folder, Pseudonymiser(bytes(KEY_BYTES)), to_read=False)
    products = feed.nodes["Product"]
    bought = _of_some_users(rated_as_bought(feed.relations), seed)
    users = node_table("User", id=sorted(bought["start"].unique().to_pylist()))
    authors = {"Product": products, "Author": feed.nodes["Author"], "User": users}
    written = {"WRITTEN_BY": feed.relations["WRITTEN_BY"], "PURCHASED": bought}
    end = START.replace(year=START.year + END_YEARS)
    texts, new = without_newcomers(assemble(authors, written, end), 0.1, 2_000)
    tags, gains = _tags(folder, texts.ids("Product"), seed)
    judged = sum(part.sum(axis=0) for part in gains.values()) > 0
    shelved = gains["train"].tocoo()
    names = np.array(tags["train"], dtype=object)[shelved.row]
    ids = np.array(texts.ids("Product"), dtype=object)[shelved.col]
    attributes = node_table(
        "Attribute",
        id=[f"shelf={tag}" for tag in tags["train"]],
        key=["shelf"] * len(tags["train"]),
        value=tags["train"],
    )
    has = pa.table(
        {"start": pa.array(ids, pa.string()), "end": pa.array([f"shelf={name}" for name in names], pa.string())}
    )
    whole = assemble({**authors, "Attribute": attributes}, {**written, "HAS_ATTRIBUTE": has}, end)
    described = _with_purchases_of(whole, texts)
    return Books(texts, described, new, tags, gains, judged, _searches(texts.id, tags["train"], gains["train"]))


def spoken(tag: str) -> str:
    return tag.replace("-", " ")


def _of_some_users(bought: pa.Table, seed: int) -> pa.Table:
    counts = bought["start"].value_counts()
    names, times = counts.field("values").to_numpy(zero_copy_only=False), counts.field("counts").to_numpy()
    eager = np.sort(names[times >= FEWEST_RATINGS])
    kept = np.random.default_rng(seed).permutation(eager)[:USERS]
    return bought.filter(pc.is_in(bought["start"], pa.array(kept)))


def _with_purchases_of(whole: Snapshot, texts: Snapshot) -> Snapshot:
    """Both number users and products alike: their node tables are the same."""
    return replace(whole, relations={**whole.relations, "PURCHASED": texts.relations["PURCHASED"]})


def _tags(folder: Path, ids: list[str], seed: int) -> tuple[dict[str, list[str]], dict[str, sp.csr_array]]:
    tags = pd.read_csv(folder / "tags.csv.gz", dtype=str).set_index("tag_id")["tag_name"]
    put = pd.read_csv(folder / "book_tags.csv.gz", dtype={"book_id": str, "tag_id": str})
    put = put.assign(tag=put["tag_id"].map(tags)).dropna()
    good = ~put["tag"].str.contains(NOISE, regex=True) & put["tag"].str.contains(r"[a-z]{3}", regex=True)
    put = put[good & (put["count"] > 0)].groupby(["tag", "book_id"], as_index=False)["count"].max()
    spread = put.groupby("tag")["book_id"].transform("size")
    put = put[(spread >= FEWEST_BOOKS) & (spread <= MOST_BOOKS)]
    row_of = {product: row for row, product in enumerate(ids)}
    put = put.assign(row=("goodbooks:" + put["book_id"]).map(row_of)).dropna().astype({"row": np.int64})
    names = np.random.default_rng(seed).permutation(np.sort(put["tag"].unique())).tolist()
    bounds = np.round(np.cumsum([0.0, *PARTS.values()]) * len(names)).astype(int)
    found, gains = {}, {}
    for part, first, end in zip(PARTS, bounds[:-1], bounds[1:], strict=True):
        found[part] = names[first:end]
        number = {tag: place for place, tag in enumerate(found[part])}
        own = put[put["tag"].isin(number)]
        ends = own["tag"].map(number).to_numpy(), own["row"].to_numpy()
        gains[part] = sp.csr_array((np.log1p(own["count"].to_numpy(np.float32)), ends), shape=(len(number), len(ids)))
    return found, gains


def _searches(snapshot_id: str, tags: list[str], gains: sp.csr_array) -> SearchPairs:
    pairs = []
    for row in range(len(tags)):
        columns = gains.indices[gains.indptr[row] : gains.indptr[row + 1]]
        values = gains.data[gains.indptr[row] : gains.indptr[row + 1]]
        pairs += [(row, product) for product in np.sort(columns[np.argsort(-values, kind="stable")][:LED_TO])]
    train = np.array(pairs, np.int64)
    none = np.empty((0, 2), np.int64)
    return SearchPairs(snapshot_id, [spoken(tag) for tag in tags], train, np.ones(len(train), np.int64), none)
