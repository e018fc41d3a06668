"""A shop's own export: products.csv, users.csv and behavior.csv, UTF-8 with a header line; one of the three is enough.

products.csv, the whole catalogue (columns after `title` may be left out):
    id           required, unique; becomes `source:id`
    title        required
    description  empty stays empty
    brand        empty: no brand
    author       several divided by ; or |
    category     path, e.g. `Books > Fantasy`; empty: no category
    price        0 or more in the source's currency; empty: unknown, a price known before stays
    attributes   `key=value;key=value`, keys are lower-cased
    image        path or address
    package_size as printed
    stock        whole number, 0 or more; empty: the source does not track it
    variant_of   id of the product that it is a variant of (the same in another size or colour), or any name that all
                 variants share; an answer shows one of them
users.csv, id and any of the schema's segment columns:
    id           required, unique; only its keyed pseudonym is kept
    segments     empty: unknown. Any other column is named among the rejects and ignored: no personal data gets in.
behavior.csv, what happened, append-only:
    user_id      required; without a users.csv its users are made from here
    type         required: purchase, view, search or rating
    product_id   required, but for a search
    at           required, ISO 8601, UTC unless it says otherwise
    quantity     purchase: whole number of 1 or more; empty: 1
    amount       purchase: required, the line's total paid, 0 for a gift
    discount     purchase: empty: 0
    order_id     purchase: empty: what a user buys at one instant is one order
    rating       rating: required, 1 to 5
    text         rating: empty stays empty
    query        search: required
    event_id     the shop's own unique id of the row; empty: a digest of the row, equal rows numbered, so that the same
                 file loaded again adds nothing

A catalogue row that is refused makes the feed partial: nothing is retired, since the product may well be on sale.
Products and users that a row names are looked up when the feed is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa

from shopgraph.errors import InputError
from shopgraph.ingest.cleaning import Sheet
from shopgraph.ingest.csv_file import read_csv
from shopgraph.ingest.events import add_events
from shopgraph.ingest.tables import PATH_SEPARATOR, attribute_nodes, category_nodes, named_nodes, normalised, table
from shopgraph.privacy.pseudonym import Pseudonymiser
from shopgraph.records import Feed, Origin, Reject, SourceInfo
from shopgraph.schema import SEGMENTS

PRODUCTS, USERS, BEHAVIOR = "products.csv", "users.csv", "behavior.csv"
PRODUCT_COLUMNS = (
    "id", "title", "description", "brand", "author", "category", "price", "attributes", "image", "package_size",
    "stock", "variant_of",
)  # fmt: skip
BEHAVIOR_COLUMNS = (
    "user_id", "type", "product_id", "at", "quantity", "amount", "discount", "order_id", "rating", "text", "query",
    "event_id",
)  # fmt: skip


@dataclass
class Draft:
    """A feed while its files are read."""

    source: SourceInfo
    nodes: dict[str, pa.Table] = field(default_factory=dict)
    relations: dict[str, pa.Table] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    origins: dict[str, Origin] = field(default_factory=dict)
    partial: bool = False


def read_shop(folder: Path, source_info: SourceInfo, pseudonymiser: Pseudonymiser) -> Feed:
    """Read the files that are there.

    Raises:
        InputError: none is there, or one can't be used at all; single bad rows become rejects.
    """
    present = [name for name in (PRODUCTS, USERS, BEHAVIOR) if (folder / name).exists()]
    if not present:
        raise InputError(f"{folder}: none of {PRODUCTS}, {USERS} and {BEHAVIOR} is there")
    draft = Draft(source_info)
    if PRODUCTS in present:
        _add_products(draft, read_csv(folder / PRODUCTS, ("id", "title"), PRODUCT_COLUMNS))
    if USERS in present:
        _add_users(draft, read_csv(folder / USERS, ("id",), ("id", *SEGMENTS)), pseudonymiser)
    if BEHAVIOR in present:
        sheet = read_csv(folder / BEHAVIOR, ("user_id", "type", "at"), BEHAVIOR_COLUMNS)
        nodes, relations, origins = add_events(sheet, source_info.name, pseudonymiser)
        draft.nodes = {**nodes, **draft.nodes}
        draft.relations |= relations
        draft.origins |= origins
        draft.rejects += sheet.rejects
    return Feed(draft.source, draft.nodes, draft.relations, draft.rejects, draft.origins, draft.partial)


def _add_products(draft: Draft, sheet: Sheet) -> None:
    if not len(sheet):
        raise InputError(f"{sheet.file}: a catalogue without products; leave the file out to load behaviour alone")
    sheet.required("id")
    sheet.unique("id")
    sheet.required("title")
    price = sheet.number("price", minimum=0)
    stock = sheet.number("stock", minimum=0, whole=True)
    attributes = _pairs(sheet)
    good = sheet.good
    ids = draft.source.name + ":" + sheet.text("id")[good]
    columns = {
        name: sheet.text(name)[good] for name in ("title", "description", "image", "package_size") if sheet.has(name)
    }
    if sheet.has("variant_of"):
        named = sheet.text("variant_of")[good]
        columns["variant_of"] = (draft.source.name + ":" + named).where(named != "", "")
    draft.nodes["Product"] = table(
        "Product", {"id": ids, **columns, "price": price[good], "stock": stock[good].astype("Int64")}
    )
    _add_makers(draft, sheet, ids)
    paths = sheet.text("category")[good].map(_path)
    filed = paths != ""
    draft.nodes["Category"], draft.relations["CHILD_OF"] = category_nodes(paths[filed].unique())
    draft.relations["IN_CATEGORY"] = table("IN_CATEGORY", {"start": ids[filed], "end": paths[filed]})
    carried = _exploded(ids, attributes[good])
    draft.relations["HAS_ATTRIBUTE"] = table("HAS_ATTRIBUTE", carried)
    draft.nodes["Attribute"] = attribute_nodes(draft.relations["HAS_ATTRIBUTE"]["end"])
    draft.rejects += sheet.rejects
    draft.partial = not all(reject.whole_column for reject in sheet.rejects)


def _add_makers(draft: Draft, sheet: Sheet, ids: pd.Series) -> None:
    authors = sheet.text("author")[sheet.good].str.split(r"[;|]", regex=True)
    brands = sheet.text("brand")[sheet.good].map(lambda name: [name])
    for kind, label, names in (("MADE_BY", "Brand", brands), ("WRITTEN_BY", "Author", authors)):
        pairs = _exploded(ids, names.map(lambda parts: [part.strip() for part in parts if part.strip()]))
        draft.nodes[label] = named_nodes(label, pairs["end"])
        pairs["end"] = pairs["end"].map(normalised)
        draft.relations[kind] = table(kind, pairs.drop_duplicates())


def _add_users(draft: Draft, sheet: Sheet, pseudonymiser: Pseudonymiser) -> None:
    sheet.required("id")
    sheet.unique("id")
    good = sheet.good
    columns = {name: sheet.text(name)[good].replace("", None) for name in SEGMENTS if sheet.has(name)}
    names = pseudonymiser.pseudonyms(draft.source.name, sheet.text("id")[good])
    draft.nodes["User"] = table("User", {"id": names, **columns})
    draft.rejects += sheet.rejects


def _pairs(sheet: Sheet) -> pd.Series:
    """Lists of `key=value` a row; a row with a part that is no pair is refused."""
    parts = sheet.text("attributes").str.split(";").map(lambda row: [part.strip() for part in row if part.strip()])
    sheet.refuse(
        parts.map(lambda row: not all(_is_pair(part) for part in row)), "attributes", "not key=value;key=value"
    )
    return parts.map(lambda row: [_pair(part) for part in row if _is_pair(part)])


def _is_pair(text: str) -> bool:
    key, _, value = text.partition("=")
    return bool(key.strip() and value.strip())


def _pair(text: str) -> str:
    key, _, value = text.partition("=")
    return f"{normalised(key)}={value.strip()}"


def _path(text: str) -> str:
    return PATH_SEPARATOR.join(part.strip() for part in text.split(">") if part.strip())


def _exploded(ids: pd.Series, lists: pd.Series) -> pd.DataFrame:
    pairs = pd.DataFrame({"start": ids, "end": lists}).explode("end").dropna()
    return pairs.astype("str").drop_duplicates()
