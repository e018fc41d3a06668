"""The catalogue's triples as sentences: what the graph says, in words that a language model can learn."""

from __future__ import annotations

from dataclasses import dataclass

from shopgraph.dataset.corpus import CorpusConfig, code_names
from shopgraph.dataset.names import names_of
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.schema import CATALOGUE, RELATIONS

SENTENCES = {
    "MADE_BY": "{start} is made by {end}",
    "WRITTEN_BY": "{start} is written by {end}",
    "IN_CATEGORY": "{start} belongs to {end}",
    "CHILD_OF": "{start} is a part of {end}",
    "HAS_ATTRIBUTE": "{start} has {end}",
}
"""By relation type."""


@dataclass(frozen=True)
class Statements:
    """Sentences of one snapshot."""

    snapshot_id: str
    sentences: list[str]
    """Distinct, sorted."""


def read_statements(snapshot: Snapshot, config: CorpusConfig) -> Statements:
    """A sentence for each catalogue relation whose two ends have names; equal ones once.

    Brands that are codes ("Manufacturer 69") are no words and are left out, as in the products' own texts.
    """
    names = {label: names_of(snapshot, label) for label in snapshot.nodes}
    codes = code_names(names["Brand"], config.code_series)
    said = set()
    for relation in CATALOGUE:
        kind, table = RELATIONS[relation], snapshot.relations[relation]
        starts, ends = names[kind.source], names[kind.target]
        for start, end in zip(table["start"].to_pylist(), table["end"].to_pylist(), strict=True):
            if starts[start] and ends[end] and ends[end] not in codes:
                said.add(SENTENCES[relation].format(start=starts[start], end=ends[end]))
    return Statements(snapshot.id, sorted(said))
