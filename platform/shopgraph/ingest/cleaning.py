"""Typed checks of text columns: each refuses the rows that break its rule, once, with file, line, field and value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from shopgraph.records import Reject
from shopgraph.settings import utc_now

_BLANKS = r"[\p{Z}\p{Cc}]+"
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
CLOCK_SKEW = timedelta(days=1)
"""How far ahead of this machine's clock an event may lie: shops have other time zones, but no future."""


def cleaned(values: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Text with any run of blanks, line breaks and control characters as one space, none at the ends."""
    spaced = pc.replace_substring_regex(values, pattern=_BLANKS, replacement=" ")
    return pc.utf8_trim(spaced, characters=" ")


class Sheet:
    """One file's rows as text; `good` shrinks as checks refuse rows.

    Args:
        file: its name, as rejects show it.
        table: text columns.
        lines: the file's line of each row.
        rejects: what reading the file has refused already.

    Shapes:
        lines, good: (rows,)
    """

    def __init__(self, file: str, table: pa.Table, lines: np.ndarray, rejects: list[Reject] | None = None) -> None:
        self.file = file
        self.lines = lines
        self.rejects = list(rejects or ())
        self.good = np.ones(table.num_rows, dtype=bool)
        self._columns = {name: cleaned(table[name]).to_pandas().fillna("") for name in table.schema.names}

    def __len__(self) -> int:
        return len(self.good)

    def has(self, column: str) -> bool:
        return column in self._columns

    @property
    def columns(self) -> list[str]:
        return list(self._columns)

    def text(self, column: str) -> pd.Series:
        """The cleaned text; "" where it is empty or the column is not there."""
        return self._columns[column] if self.has(column) else pd.Series("", index=range(len(self)), dtype="str")

    def refuse(self, bad: np.ndarray | pd.Series, column: str, reason: str) -> None:
        """Refuse rows; a row refused before keeps its first reason."""
        rows = np.flatnonzero(np.asarray(bad, dtype=bool) & self.good)
        self.good[rows] = False
        values = self.text(column)
        self.rejects += [Reject(self.file, int(self.lines[row]), column, reason, values.iat[row]) for row in rows]

    def required(self, column: str, where: np.ndarray | None = None) -> pd.Series:
        """Text that may not be empty."""
        text = self.text(column)
        self.refuse((text == "") & _where(where, len(self)), column, "missing")
        return text

    def unique(self, column: str) -> pd.Series:
        """Text that may not repeat among the good rows; the first stays, empty ones are not compared."""
        text = self.text(column)
        repeated = np.zeros(len(self), dtype=bool)
        candidates = text[self.good & (text != "").to_numpy()]
        repeated[candidates.index[candidates.duplicated()]] = True
        self.refuse(repeated, column, "repeats an earlier row")
        return text

    def number(
        self,
        column: str,
        minimum: float = -np.inf,
        maximum: float = np.inf,
        *,
        whole: bool = False,
        where: np.ndarray | None = None,
    ) -> pd.Series:
        """A decimal number with a point, within bounds; NaN where it is empty."""
        text = self.text(column)
        applies = _where(where, len(self)) & (text != "")
        value = pd.to_numeric(text.where(applies), errors="coerce").astype("float64")
        finite = np.isfinite(value)
        self.refuse(applies & ~finite, column, "not a number (write 1234.5)")
        self.refuse(applies & finite & (value < minimum), column, f"below {minimum:g}")
        self.refuse(applies & finite & (value > maximum), column, f"above {maximum:g}")
        if whole:
            self.refuse(applies & finite & (value != np.floor(value)), column, "not a whole number")
        return value

    def instant(self, column: str) -> pd.Series:
        """A date or time in ISO 8601, UTC unless it says otherwise; may not be empty, before 1970 or in the future."""
        text = self.required(column)
        value = pd.to_datetime(text.where(text != ""), format="ISO8601", utc=True, errors="coerce")
        self.refuse(value.isna(), column, "not a date (write 2024-01-31T18:30:00Z)")
        self.refuse(value < pd.Timestamp(EARLIEST), column, "before 1970")
        self.refuse(value > pd.Timestamp(utc_now() + CLOCK_SKEW), column, "in the future")
        return value.dt.as_unit("ms")


def _where(mask: np.ndarray | None, length: int) -> np.ndarray:
    return np.ones(length, dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
