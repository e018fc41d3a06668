"""Keeps the refused rows of a run as a CSV file that its owner can mend and load again."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path

from shopgraph.records import Reject


def write_rejects(folder: Path, run_id: str, rejects: Sequence[Reject]) -> Path | None:
    """Write `<run>.csv`, readable by its owner alone since it may quote raw ids; None where nothing was refused."""
    if not rejects:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{run_id}.csv"
    draft = path.with_suffix(".draft")
    with os.fdopen(
        os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8", newline=""
    ) as out:
        writer = csv.writer(out)
        writer.writerow([item.name for item in fields(Reject)])
        writer.writerows(astuple(reject) for reject in rejects)
    draft.replace(path)
    return path
