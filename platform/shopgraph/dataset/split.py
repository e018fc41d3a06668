"""Splits by time: what a model may see, and the later purchases that judge it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shopgraph.dataset.snapshot import Snapshot
from shopgraph.errors import InputError
from shopgraph.records import ARROW_TYPES

HOLDOUT = pa.schema([("user", pa.string()), ("product", pa.string()), ("at", ARROW_TYPES["datetime"])])


@dataclass(frozen=True)
class Holdout:
    """Later purchases, one row an order line, in the order of the snapshot they were cut from.

    Shapes:
        purchases: columns user (id), product (id), at
    """

    purchases: pa.Table

    def __post_init__(self) -> None:
        if not self.purchases.schema.equals(HOLDOUT):
            raise InputError(
                f"a holdout has the columns {HOLDOUT.names}, not {self.purchases.schema.names}, or other types"
            )

    @classmethod
    def read(cls, path: Path) -> Holdout:
        """Raises InputError where the file is missing or holds something else."""
        try:
            return cls(pq.read_table(path))
        except (OSError, pa.ArrowException) as error:
            raise InputError(f"{path} can't be read as a holdout: {error}") from None

    def write(self, path: Path) -> None:
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        pq.write_table(self.purchases, draft)
        draft.rename(path)

    def __len__(self) -> int:
        return self.purchases.num_rows


def split(snapshot: Snapshot, at: datetime) -> tuple[Snapshot, Holdout]:
    """Cut a snapshot at a moment.

    Returns:
        the part before `at`, with the id an export at that moment would have, and the purchases from `at` on.

    Raises:
        InputError: nothing was bought on one side of the cut.
    """
    purchased = snapshot.relations["PURCHASED"]
    moment = pa.scalar(at, purchased.schema.field("at").type)
    later = purchased.filter(pc.fill_null(pc.greater_equal(purchased["at"], moment), False))
    if later.num_rows in (0, purchased.num_rows):
        side = "from" if later.num_rows == 0 else "before"
        raise InputError(f"snapshot {snapshot.id} has no purchases {side} {at.isoformat()}: cut it elsewhere")
    return snapshot.until(at), Holdout(_named(snapshot, later))


def _named(snapshot: Snapshot, purchased: pa.Table) -> pa.Table:
    ids = {label: snapshot.nodes[label]["id"].combine_chunks() for label in ("User", "Product")}
    return pa.table(
        [ids["User"].take(purchased["start"]), ids["Product"].take(purchased["end"]), purchased["at"]], schema=HOLDOUT
    )
