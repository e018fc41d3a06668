"""What both ways into the graph add to a feed first, so that they write the same graph."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from shopgraph.ingest.tables import PATH_SEPARATOR
from shopgraph.records import NODE_TABLES, Feed, Reject
from shopgraph.schema import BEHAVIOUR, NODES, RELATIONS

CATEGORY_LEVELS = 3


def newest_event(feed: Feed) -> datetime | None:
    """Time of the feed's last event, UTC; None when it has no behaviour."""
    times = [pc.max(feed.relations[kind]["at"]).as_py() for kind in BEHAVIOUR if kind in feed.relations]
    return max((time for time in times if time is not None), default=None)


def completed(feed: Feed, now: datetime) -> Feed:
    """Fill in each product's `brand_id`, `category_1..3` and `first_seen`.

    A product's `first_seen` is its own, else its earliest event in the feed, else the feed's newest event (it was in a
    catalogue that reaches up to there), else `now`.
    """
    products = feed.nodes.get("Product")
    if products is None:
        return feed
    columns = {name: products[name] for name in products.schema.names}
    ids = products["id"].to_pandas()
    if "MADE_BY" in feed.relations:
        columns["brand_id"] = _aligned(_first_end(feed.relations["MADE_BY"]), ids).fillna("")
    if "IN_CATEGORY" in feed.relations:
        parts = _aligned(_first_end(feed.relations["IN_CATEGORY"]), ids).fillna("").str.split(PATH_SEPARATOR)
        for level in range(1, CATEGORY_LEVELS + 1):
            columns[f"category_{level}"] = [
                PATH_SEPARATOR.join(path[:level]) if len(path) >= level else "" for path in parts
            ]
    fallback = pd.Timestamp(newest_event(feed) or now).as_unit("ms")
    seen = products["first_seen"].to_pandas().fillna(_aligned(_earliest(feed), ids)).fillna(fallback)
    columns["first_seen"] = seen.dt.as_unit("ms")
    arrays = [
        values.cast(field.type) if isinstance(values, pa.ChunkedArray) else pa.array(values, field.type)
        for field, values in ((field, columns[field.name]) for field in NODE_TABLES["Product"])
    ]
    return replace(feed, nodes={**feed.nodes, "Product": pa.table(arrays, schema=NODE_TABLES["Product"])})


def with_defaults(label: str, table: pa.Table) -> pa.Table:
    """The schema's defaults in place of nulls, for nodes that are new to the graph."""
    for item in NODES[label].properties:
        if item.default is not None:
            at = table.schema.get_field_index(item.name)
            default = pa.scalar(item.default, table.schema.field(at).type)
            table = table.set_column(at, table.schema.field(at), pc.fill_null(table[item.name], default))
    return table


def within(feed: Feed) -> Feed:
    """The feed without relations whose ends it does not name itself; each becomes a reject."""
    relations, rejects, origins = {}, list(feed.rejects), dict(feed.origins)
    for kind, table in feed.relations.items():
        shape = RELATIONS[kind]
        known = {
            side: _known(feed, label, table[side]) for side, label in (("start", shape.source), ("end", shape.target))
        }
        for side, label in (("start", shape.source), ("end", shape.target)):
            missing = pc.indices_nonzero(pc.invert(known[side])).to_pylist()
            rejects += unknown_end(feed, kind, missing, side, label)
        keep = pc.and_(known["start"], known["end"])
        relations[kind] = table.filter(keep)
        if kind in origins:
            origins[kind] = replace(origins[kind], rows=pc.filter(origins[kind].rows, keep))
    return replace(feed, relations=relations, rejects=rejects, origins=origins)


def unknown_end(feed: Feed, kind: str, rows: list[int], side: str, label: str) -> list[Reject]:
    """Rejects for rows (0-based, of the relation's table) that name a node which is not there."""
    origin = feed.origins.get(kind)
    ids = feed.relations[kind][side].take(pa.array(rows, pa.int64())).to_pylist()
    lines = origin.rows.take(pa.array(rows, pa.int64())).to_pylist() if origin else [row + 1 for row in rows]
    file = origin.file if origin else kind
    field = f"{label.lower()}_id"
    reason = f"no such {label.lower()} in the graph or this feed"
    return [Reject(file, line, field, reason, value) for line, value in zip(lines, ids, strict=True)]


def _known(feed: Feed, label: str, ids: pa.ChunkedArray) -> pa.ChunkedArray:
    nodes = feed.nodes.get(label)
    return pc.is_in(ids, nodes["id"] if nodes is not None else pa.array([], pa.string()))


def _aligned(values: pd.Series, ids: pd.Series) -> pd.Series:
    """`values` by id in the order of `ids`; missing where an id has none."""
    return values.reindex(ids).reset_index(drop=True)


def _first_end(relation: pa.Table) -> pd.Series:
    frame = relation.select(["start", "end"]).to_pandas().drop_duplicates("start")
    return frame.set_index("start")["end"]


def _earliest(feed: Feed) -> pd.Series:
    empty = pa.table({"end": pa.array([], pa.string()), "at": pa.array([], pa.timestamp("ms", tz="UTC"))})
    events = [feed.relations[kind].select(["end", "at"]) for kind in BEHAVIOUR if _names_products(feed, kind)]
    return pa.concat_tables([empty, *events]).to_pandas().groupby("end")["at"].min()


def _names_products(feed: Feed, kind: str) -> bool:
    return kind in feed.relations and RELATIONS[kind].target == "Product"
