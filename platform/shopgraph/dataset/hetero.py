"""A snapshot as PyTorch Geometric's heterogeneous graph: what encoders pass messages over."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch_geometric.data import HeteroData

from shopgraph.dataset.purchases import times_ms
from shopgraph.dataset.snapshot import Snapshot
from shopgraph.errors import InputError
from shopgraph.schema import NODES, RELATIONS, SEGMENTS

NODE_KINDS = {label: "search_term" if label == "SearchTerm" else label.lower() for label in NODES}
"""The node type of each label."""

EdgeType = tuple[str, str, str]


def edge_type(relation: str) -> EdgeType:
    """("user", "purchased", "product") for PURCHASED."""
    stated = RELATIONS[relation]
    return NODE_KINDS[stated.source], relation.lower(), NODE_KINDS[stated.target]


def reverse_type(relation: str) -> EdgeType:
    """("product", "rev_purchased", "user") for PURCHASED."""
    source, name, target = edge_type(relation)
    return target, f"rev_{name}", source


def to_hetero(snapshot: Snapshot) -> HeteroData:
    """Lay a snapshot out for message passing.

    Shapes:
        [kind].x: (nodes, features), float32; of products and users only, standardised, 0 where nothing is stated
        [edge].edge_index: (2, edges), int64, one edge a stated relation, repeats included, in the snapshot's order
        [edge].edge_time: (edges,), int64, milliseconds since 1970 UTC; of behaviour only
        [edge].edge_weight: (edges,), float32; units of a purchase, stars of a rating, else 1
        every relation has its reverse, `rev_` + its name, with the same edges turned round

    Raises:
        InputError: a feature is not a finite number.
    """
    data = HeteroData()
    for label, kind in NODE_KINDS.items():
        data[kind].num_nodes = snapshot.nodes[label].num_rows
    data["product"].x = finite("product", product_features(snapshot.nodes["Product"], snapshot.relations["PURCHASED"]))
    data["user"].x = finite("user", user_features(snapshot))
    for name, table in snapshot.relations.items():
        edges = torch.from_numpy(np.stack([table["start"].to_numpy(), table["end"].to_numpy()]))
        weight = torch.from_numpy(_weights(table).copy())
        for edge, index in ((edge_type(name), edges), (reverse_type(name), edges.flip(0))):
            data[edge].edge_index = index
            data[edge].edge_weight = weight
            if "at" in table.column_names:
                data[edge].edge_time = torch.from_numpy(times_ms(table).copy())
    return data


def product_features(products: pa.Table, purchased: pa.Table) -> np.ndarray:
    """What was paid for a unit and whether a package size is printed.

    The price is that of the purchases given: the property on the node is of today, and whether a product has
    one can tell that it will be sold.

    Shapes:
        returns: (products, 2), float32: standardised log of the mean price paid (0 where never sold), package size
    """
    rows = purchased["end"].to_numpy()
    units = np.bincount(rows, pc.fill_null(purchased["quantity"], 1).to_numpy(), minlength=products.num_rows)
    paid = np.bincount(rows, pc.fill_null(purchased["amount"], 0.0).to_numpy(), minlength=products.num_rows)
    price = np.log1p(np.divide(paid, units, out=np.zeros_like(paid), where=units > 0))
    sized = pc.greater(pc.utf8_length(pc.fill_null(products["package_size"], "")), 0).to_numpy()
    return np.stack([_standardised(price, units > 0), sized], axis=1).astype(np.float32)


def user_features(snapshot: Snapshot) -> np.ndarray:
    """(users, segment columns), float32: one-hot segments."""
    users = snapshot.nodes["User"]
    columns = [
        pc.fill_null(pc.equal(users[name], value), False).to_numpy() for name, value in segment_columns(snapshot)
    ]
    return np.stack(columns, axis=1).astype(np.float32) if columns else np.zeros((users.num_rows, 0), np.float32)


def segment_columns(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Segment and value of each column of `user_features`, values in alphabetical order."""
    users = snapshot.nodes["User"]
    return [
        (name, value)
        for name in SEGMENTS
        for value in sorted(value for value in pc.unique(users[name]).to_pylist() if value)
    ]


def _weights(table: pa.Table) -> np.ndarray:
    for column in ("quantity", "rating"):
        if column in table.column_names:
            return pc.fill_null(pc.cast(table[column], pa.float32()), 1.0).to_numpy()
    return np.ones(table.num_rows, dtype=np.float32)


def _standardised(values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Zero mean and unit deviation over `kept`; 0 elsewhere."""
    if not kept.any():
        return np.zeros_like(values)
    deviation = values[kept].std()
    # equal values differ from their own mean by rounding alone
    return np.where(kept, (values - values[kept].mean()) / (deviation if deviation > 1e-9 else 1.0), 0.0)


def finite(kind: str, features: np.ndarray) -> torch.Tensor:
    """The features as a tensor; raises InputError where one is not a finite number."""
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        raise InputError(
            f"{len(bad)} {kind}s have a feature that is not a finite number, the first in row {bad[0]}: "
            "mend the amounts or quantities of their purchases and export again"
        )
    return torch.from_numpy(features)
