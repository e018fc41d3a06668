"""What a catalogue would change in the graph: a shop sends all of it each night, and little of it is new."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from shopgraph.graph.connection import Graph
from shopgraph.graph.wide_tables import Beat, all_ids, node_table, relation_table
from shopgraph.schema import NEVER, RELATIONS
from shopgraph.settings import utc_now

SOURCE = pa.field("source", pa.string())
NEVER_SCALAR = pa.scalar(NEVER, pa.timestamp("ms", tz="UTC"))
CURATORS = ("hidden", "retired_at")
"""Product properties that a feed does not write: a curator hides, a sweep retires."""


@dataclass(frozen=True)
class RelationDifference:
    """Relations of one type by `start` and `end`."""

    new: pa.Table
    stale: pa.Table
    """Stated by the source before, and no longer; empty for a catalogue that is not whole."""
    present: int
    """Stated before and now."""


def changed_nodes(graph: Graph, label: str, table: pa.Table, beat: Beat) -> pa.Table:
    """What a merge would write: the rows of new nodes, and of the others those of which a value differs, with a null
    for each value that does not.

    A null says nothing, so it differs from nothing. A product is also written to bring it back on sale, or where the
    feed knows of an earlier `first_seen`.
    """
    stored = node_table(graph, label, table["id"].to_pylist(), table.schema, beat)
    at = pc.index_in(table["id"].combine_chunks(), stored["id"].combine_chunks())
    new = pc.is_null(at)
    changed, columns = new, {"id": table["id"]}
    for name in (name for name in table.schema.names if name != "id"):
        fed, found = table[name].combine_chunks(), stored[name].combine_chunks().take(at)
        differs = pc.less if name == "first_seen" else pc.not_equal
        differing = pc.and_(pc.is_valid(fed), pc.fill_null(differs(fed, found), True))
        kept_whole = name in (*CURATORS, "first_seen")
        columns[name] = fed if kept_whole else pc.if_else(pc.or_(new, differing), fed, pa.scalar(None, fed.type))
        if name not in CURATORS:
            changed = pc.or_(changed, differing)
    if label == "Product":
        retired = pc.not_equal(stored["retired_at"].combine_chunks().take(at), NEVER_SCALAR)
        changed = pc.or_(changed, pc.fill_null(retired, True))
    return pa.table(columns, schema=table.schema).filter(changed)


def relation_difference(
    graph: Graph, kind: str, table: pa.Table, source: str, beat: Beat, *, whole: bool
) -> RelationDifference:
    """Compare a feed's relations with the stored ones of its source.

    Args:
        beat: called while the graph is read.
        whole: the feed states every relation of its source, so that the others are stale.
    """
    relation = RELATIONS[kind]
    ids = all_ids(graph, relation.source) if whole else pc.unique(table["start"]).to_pylist()
    stored = relation_table(graph, relation, ids, [SOURCE], utc_now(), beat)
    stored = stored.filter(pc.equal(stored["source"], source))
    fed_keys, stored_keys = _keys(table), _keys(stored)
    known = pc.is_in(fed_keys, stored_keys)
    stale = pc.invert(pc.is_in(stored_keys, fed_keys)) if whole else pa.repeat(False, stored.num_rows)
    return RelationDifference(
        table.filter(pc.invert(known)), stored.select(["start", "end"]).filter(stale), pc.sum(known).as_py() or 0
    )


def gone_products(graph: Graph, ids: pa.ChunkedArray, source: str) -> list[str]:
    """Products on sale of the source that a whole catalogue of `ids` does not name."""
    unnamed = sorted(set(all_ids(graph, "Product")).difference(ids.to_pylist()))
    schema = pa.schema([pa.field("id", pa.string()), SOURCE, pa.field("retired_at", NEVER_SCALAR.type)])
    stored = node_table(graph, "Product", unnamed, schema)
    on_sale = pc.and_(pc.equal(stored["source"], source), pc.equal(stored["retired_at"], NEVER_SCALAR))
    found: list[str] = stored["id"].filter(on_sale).to_pylist()
    return found


def _keys(table: pa.Table) -> pa.Array:
    joined = pc.binary_join_element_wise(table["start"], table["end"], "\n")
    return joined.combine_chunks()
