"""What the nodes of a catalogue are called, and the products that belong to each name: what a shopper would type."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from shopgraph.dataset.corpus import CorpusConfig, code_names
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.schema import RELATIONS

NAMING = ("IN_CATEGORY", "MADE_BY", "WRITTEN_BY", "HAS_ATTRIBUTE")
"""Relations of a product to what names it."""


@dataclass(frozen=True)
class Names:
    """Names that belong to products.

    Shapes:
        products: (names, products), float32: 1 where a product belongs to what is so called
    """

    names: list[str]
    """Distinct, sorted."""
    products: sp.csr_array


def read_names(snapshot: Snapshot, config: CorpusConfig, most: int) -> Names:
    """Names of categories, brands, authors and attributes; equal ones are one.

    Brands that are codes ("Manufacturer 69") are no words and are left out, as in the products' own texts.

    Args:
        most: names to answer with; those of the most products are kept.
    """
    ends, starts = [np.empty(0, object)], [np.empty(0, np.int64)]
    for relation in NAMING:
        table, called = snapshot.relations[relation], names_of(snapshot, RELATIONS[relation].target)
        ends.append(np.array(called, object)[table["end"].to_numpy()])
        starts.append(table["start"].to_numpy())
    codes = code_names(names_of(snapshot, "Brand"), config.code_series)
    end, start = np.concatenate(ends), np.concatenate(starts)
    said = np.array([bool(name) and name not in codes for name in end], bool)
    names, rows = np.unique(end[said], return_inverse=True)
    shape = (len(names), snapshot.nodes["Product"].num_rows)
    products = sp.csr_array((np.ones(len(rows), np.float32), (rows.reshape(-1), start[said])), shape=shape)
    products.data[:] = 1
    kept = np.sort(np.argsort(-np.diff(products.indptr), kind="stable")[:most])
    return Names(names[kept].tolist(), products[kept])


def names_of(snapshot: Snapshot, label: str) -> list[str]:
    """What each node of a label is called; empty where it is not."""
    table = snapshot.nodes[label]
    if label == "Attribute":
        stated = zip(table["key"].to_pylist(), table["value"].to_pylist(), strict=True)
        return [f"{key or ''} {value or ''}".strip() for key, value in stated]
    column = next((name for name in ("title", "name", "text") if name in table.column_names), None)
    names = table[column].to_pylist() if column else [None] * table.num_rows
    return [" ".join((name or "").split()) for name in names]
