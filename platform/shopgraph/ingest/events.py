"""Behaviour rows of a shop's export as the four behaviour relations; the rules of each column are in `shop_csv`."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pyarrow as pa

from shopgraph.errors import InputError
from shopgraph.ingest.cleaning import Sheet
from shopgraph.ingest.tables import normalised, table
from shopgraph.privacy.pseudonym import Pseudonymiser
from shopgraph.records import Origin

KINDS = {"purchase": "PURCHASED", "view": "VIEWED", "search": "SEARCHED", "rating": "RATED"}


def add_events(
    sheet: Sheet, source: str, pseudonymiser: Pseudonymiser
) -> tuple[dict[str, pa.Table], dict[str, pa.Table], dict[str, Origin]]:
    """Check behavior.csv and split it: User and SearchTerm nodes, relations, and the lines they came from.

    Raises:
        InputError: it has rows of a type and not a column that they need.
    """
    events = _checked(sheet)
    events["start"] = _pseudonyms(events["user"], source, pseudonymiser)
    events["end"] = np.where(
        events["kind"] == "search", events["query"].map(normalised), source + ":" + events["product"]
    )
    events["line_id"] = source + ":" + events["event"].where(events["event"] != "", _digests(events))
    at = (events["at"].astype("int64")).astype(str)
    events["order_id"] = source + ":" + events["order"].where(events["order"] != "", events["start"] + "@" + at)
    relations, origins = {}, {}
    for kind, relation in KINDS.items():
        rows = events[events["kind"] == kind]
        if len(rows):
            relations[relation] = table(relation, {name: rows[name] for name in _columns(relation)})
            origins[relation] = Origin(sheet.file, pa.array(rows["line"], pa.int64()))
    searched = events.loc[events["kind"] == "search", ["end", "query"]].drop_duplicates("end")
    terms = table("SearchTerm", {"id": searched["end"], "text": searched["query"]})
    users = table("User", {"id": events["start"].drop_duplicates()})
    return {"User": users, "SearchTerm": terms}, relations, origins


def _checked(sheet: Sheet) -> pd.DataFrame:
    kind = sheet.required("type").str.lower()
    sheet.refuse(~kind.isin(list(KINDS)), "type", f"not one of {', '.join(KINDS)}")
    of = {name: (kind == name).to_numpy() for name in KINDS}
    needed = [("purchase", "amount"), ("rating", "rating"), ("search", "query")]
    for name, column in [(name, "product_id") for name in KINDS if name != "search"] + needed:
        if of[name].any() and not sheet.has(column):
            raise InputError(f"{sheet.file}: has rows of type {name}, so the column {column!r} is needed")
    frame = pd.DataFrame(
        {
            "kind": kind,
            "user": sheet.required("user_id"),
            "product": sheet.required("product_id", ~of["search"]),
            "at": sheet.instant("at"),
            "quantity": sheet.number("quantity", minimum=1, whole=True, where=of["purchase"]).fillna(1),
            "discount": sheet.number("discount", minimum=0, where=of["purchase"]).fillna(0.0),
            "order": sheet.text("order_id"),
            "text": sheet.text("text"),
            "query": sheet.required("query", of["search"]),
            "line": sheet.lines,
        }
    )
    for name, column, low, high in (("purchase", "amount", 0, np.inf), ("rating", "rating", 1, 5)):
        sheet.required(column, of[name])
        frame[column] = sheet.number(column, low, high, where=of[name])
    frame["event"] = sheet.unique("event_id")
    return frame[sheet.good].reset_index(drop=True)


def _columns(relation: str) -> list[str]:
    extra = {"PURCHASED": ["quantity", "amount", "discount", "order_id"], "RATED": ["rating", "text"]}
    return ["start", "end", "line_id", "at", *extra.get(relation, [])]


def _pseudonyms(users: pd.Series, source: str, pseudonymiser: Pseudonymiser) -> pd.Series:
    distinct = users.unique()
    return users.map(dict(zip(distinct, pseudonymiser.pseudonyms(source, distinct), strict=True)))


def _digests(events: pd.DataFrame) -> pd.Series:
    """128-bit names of rows without an event id: what happened, and which of several equal rows this is."""
    same = ["kind", "start", "end", "at", "order"]
    repeat = events.groupby(same).cumcount()
    keys = zip(*(events[name].astype(str) for name in same), repeat.astype(str), strict=True)
    digests = [hashlib.blake2b("\0".join(key).encode(), digest_size=16).hexdigest() for key in keys]
    return pd.Series(digests, index=events.index, dtype="str")
