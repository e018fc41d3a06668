"""What a source hands to the loaders: one Arrow table per label and relation, plus the rows it had to refuse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from shopgraph.schema import NODES, RELATIONS, Property

ARROW_TYPES = {
    "string": pa.string(),
    "integer": pa.int64(),
    "float": pa.float64(),
    "boolean": pa.bool_(),
    "datetime": pa.timestamp("ms", tz="UTC"),
}


def _fields(properties: tuple[Property, ...]) -> list[pa.Field]:
    return [pa.field(item.name, ARROW_TYPES[item.kind]) for item in properties]


NODE_TABLES: dict[str, pa.Schema] = {label: pa.schema(_fields(node.properties)) for label, node in NODES.items()}
"""Columns of each label's table: its properties, `id` first. A null means "the source does not say"."""

RELATION_TABLES: dict[str, pa.Schema] = {
    name: pa.schema([pa.field("start", pa.string()), pa.field("end", pa.string()), *_fields(relation.properties)])
    for name, relation in RELATIONS.items()
    if not relation.derived
}
"""Columns of each relation's table: `start` and `end` node ids, then its properties."""


@dataclass(frozen=True)
class SourceInfo:
    """Where a feed comes from and on what terms."""

    name: str
    """Short namespace of its ids, e.g. `cj`."""
    title: str
    currency: str
    """ISO 4217 code of every amount and price in the feed."""
    terms: str
    """The data's own terms of use, shown to whoever loads it."""
    full_catalogue: bool = True
    """Whether the feed names the whole catalogue, so that what it leaves out is retired."""


UNKNOWN_COLUMN = "not a known column: ignored"


@dataclass(frozen=True)
class Reject:
    """One refused row: nothing is lost, and its owner can mend it."""

    file: str
    row: int
    """1-based line of the file, its header counted; for columnar files, the 1-based row."""
    field: str
    reason: str
    value: str

    @property
    def whole_column(self) -> bool:
        """A column that is not understood was left out; no row was refused for it."""
        return self.reason == UNKNOWN_COLUMN


@dataclass(frozen=True)
class Origin:
    """Where the rows of one table were read, so that a row the graph refuses is found again in its file.

    Shapes:
        rows: (rows of the table,), int64, numbered as in `Reject.row`
    """

    file: str
    rows: pa.Array


@dataclass(frozen=True)
class Feed:
    """A cleaned source, ready to load."""

    source: SourceInfo
    nodes: dict[str, pa.Table]
    relations: dict[str, pa.Table]
    rejects: list[Reject] = field(default_factory=list)
    origins: dict[str, Origin] = field(default_factory=dict)
    """By relation type; a type without one counts its own table's rows."""
    partial: bool = False
    """Whether catalogue rows were refused: what such a feed does not name is not taken for gone."""

    def __post_init__(self) -> None:
        for name, table in self.tables():
            expected = NODE_TABLES.get(name) or RELATION_TABLES[name]
            if not table.schema.equals(expected):
                raise ValueError(f"{name}: columns {table.schema.names} differ from {expected.names} or in type")

    def tables(self) -> Iterator[tuple[str, pa.Table]]:
        yield from self.nodes.items()
        yield from self.relations.items()

    @property
    def relation_count(self) -> int:
        return sum(table.num_rows for table in self.relations.values())
