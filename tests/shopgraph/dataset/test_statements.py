"""The catalogue in sentences, each once, codes left out."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from shopgraph.dataset.corpus import CorpusConfig
from shopgraph.dataset.snapshot import assemble
from shopgraph.dataset.statements import SENTENCES, read_statements
from shopgraph.records import NODE_TABLES, RELATION_TABLES
from shopgraph.schema import CATALOGUE

NODES = {
    "Product": [{"id": "a", "title": " Red  wine "}, {"id": "b", "title": "Red wine"}, {"id": "c", "title": ""}],
    "Brand": [{"id": "m", "name": "Maison"}, {"id": "n1", "name": "Maker 1"}, {"id": "n2", "name": "Maker 2"}],
    "Author": [{"id": "w", "name": "A. Writer"}],
    "Category": [{"id": "DRINKS > WINE", "name": "WINE"}, {"id": "DRINKS", "name": "DRINKS"}],
    "Attribute": [{"id": "label=private", "key": "label", "value": "private"}],
}
EDGES = {
    "MADE_BY": [("a", "m"), ("b", "m"), ("c", "m"), ("a", "n1")],
    "WRITTEN_BY": [("a", "w")],
    "IN_CATEGORY": [("a", "DRINKS > WINE")],
    "CHILD_OF": [("DRINKS > WINE", "DRINKS")],
    "HAS_ATTRIBUTE": [("a", "label=private")],
}


def test_every_triple_is_one_sentence():
    snapshot = assemble(
        {label: pa.Table.from_pylist(rows, schema=NODE_TABLES[label]) for label, rows in NODES.items()},
        {
            name: pa.Table.from_pylist([{"start": s, "end": e} for s, e in ends], schema=RELATION_TABLES[name])
            for name, ends in EDGES.items()
        },
        datetime(2024, 1, 1, tzinfo=UTC),
    )
    found = read_statements(snapshot, CorpusConfig(code_series=2))
    assert found.snapshot_id == snapshot.id
    assert found.sentences == [
        "Red wine belongs to WINE",
        "Red wine has label private",
        "Red wine is made by Maison",
        "Red wine is written by A. Writer",
        "WINE is a part of DRINKS",
    ]


def test_every_catalogue_relation_has_a_sentence():
    assert set(SENTENCES) == set(CATALOGUE)
