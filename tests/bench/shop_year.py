"""The accuracy protocol's year without a server: weeks 1-44 as a snapshot, 45-48 and 49-53 as holdouts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from shopgraph.dataset.judging import judged_settings
from shopgraph.dataset.snapshot import Snapshot, assemble, open_snapshot, write_snapshot
from shopgraph.dataset.split import Holdout, split
from shopgraph.evaluation import Setting
from shopgraph.ingest.journey import WEEK_STARTS, read_journey
from shopgraph.privacy.pseudonym import KEY_BYTES, Pseudonymiser

VALIDATION_WEEK, TEST_WEEK, END_WEEK = 45, 49, 54
WINDOWS = ("validation", "test")


@dataclass(frozen=True)
class ShopYear:
    """What models may see, and the purchases after it, by those windows that were opened."""

    learned: Snapshot
    holdouts: dict[str, Holdout]

    def settings(self, window: str) -> dict[str, Setting]:
        return judged_settings(self.learned, self.holdouts[window])


def prepare(folder: Path, windows: tuple[str, ...] = WINDOWS) -> ShopYear:
    """Read the package once and keep what was cut; users get the same pseudonyms in every run."""
    if not (folder / "id").exists():
        learned, rest = split(whole_year(), WEEK_STARTS[VALIDATION_WEEK])
        moment = pa.scalar(WEEK_STARTS[TEST_WEEK], rest.purchases.schema.field("at").type)
        in_test = pc.greater_equal(rest.purchases["at"], moment)
        folder.mkdir(parents=True, exist_ok=True)
        write_snapshot(learned, folder)
        Holdout(rest.purchases.filter(pc.invert(in_test))).write(folder / "validation")
        Holdout(rest.purchases.filter(in_test)).write(folder / "test")
        (folder / "id").write_text(learned.id)
    return open_year(folder, windows)


def whole_year() -> Snapshot:
    """All 53 weeks, read from the package."""
    feed = read_journey(Pseudonymiser(bytes(KEY_BYTES)))
    return assemble(feed.nodes, feed.relations, WEEK_STARTS[END_WEEK])


def open_year(folder: Path, windows: tuple[str, ...] = WINDOWS) -> ShopYear:
    """Of the purchases that judge, only those windows that are asked for are read."""
    learned = open_snapshot(folder, (folder / "id").read_text())
    return ShopYear(learned, {window: Holdout.read(folder / window) for window in windows})
