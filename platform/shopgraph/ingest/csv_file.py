"""Reads a shop's CSV file as text, with the line every row came from; what can't be read at all is one clear error."""

from __future__ import annotations

import csv
import difflib
import gzip
import io
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from shopgraph.errors import InputError
from shopgraph.ingest.cleaning import Sheet
from shopgraph.records import UNKNOWN_COLUMN, Reject

MISSPELT = 0.75
"""Likeness (difflib's ratio) from which an unknown column is taken for a known one that is not there."""


def read_csv(path: Path, required: Collection[str], known: Collection[str] | None = None) -> Sheet:
    """Read a UTF-8 CSV file (or its .gz) with a header line.

    Args:
        required: columns that must be there.
        known: columns that are understood; any other is noted as a reject of line 1 and ignored. All by default.

    Raises:
        InputError: not there, empty, not UTF-8, without a required column, with a column that looks like a known one
            misspelt, or not CSV.
    """
    text = _bytes(path)
    header = _header(path, text, required)
    refused: list[arrow_csv.InvalidRow] = []

    def skip(row: arrow_csv.InvalidRow) -> str:
        refused.append(row)
        return "skip"

    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(text),
            read_options=arrow_csv.ReadOptions(use_threads=False, column_names=header, skip_rows=1),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: not a CSV file: {str(error).splitlines()[0]}") from None
    lines, refused_lines = _line_numbers(table, refused)
    rejects = [
        Reject(
            path.name,
            line,
            "(row)",
            f"{row.actual_columns} fields where the header has {row.expected_columns}",
            row.text,
        )
        for row, line in zip(refused, refused_lines, strict=True)
    ]
    unknown = [] if known is None else _unknown(path, header, known)
    rejects += [Reject(path.name, 1, name, UNKNOWN_COLUMN, "") for name in unknown]
    return Sheet(path.name, table, lines, rejects)


def _bytes(path: Path) -> bytes:
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, EOFError) as error:
        raise InputError(f"{path}: can't be read: {error}") from None
    content = content.removeprefix(b"\xef\xbb\xbf")
    if not content.strip():
        raise InputError(f"{path}: the file is empty; it needs a header line and rows")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}: not UTF-8: byte 0x{content[error.start]:02x} at position {error.start} (line {line}): "
            "save the file as UTF-8"
        ) from None
    return content


def _header(path: Path, content: bytes, required: Collection[str]) -> list[str]:
    first = content.split(b"\n", 1)[0].decode("utf-8")
    header = [name.strip().lower() for name in next(csv.reader(io.StringIO(first)), [])]
    missing = [name for name in required if name not in header]
    if missing:
        raise InputError(f"{path}: the column {missing[0]!r} is missing; the header has {', '.join(header)}")
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise InputError(f"{path}: the column {repeated[0]!r} stands twice in the header")
    return header


def _unknown(path: Path, header: list[str], known: Collection[str]) -> list[str]:
    unknown, absent = [name for name in header if name not in known], [name for name in known if name not in header]
    for name in unknown:
        for meant in difflib.get_close_matches(name, absent, n=1, cutoff=MISSPELT):
            raise InputError(
                f"{path}: the column {name!r} is not known and {meant!r} is missing: rename it, or take it out"
            )
    return unknown


def _line_numbers(table: pa.Table, refused: list[arrow_csv.InvalidRow]) -> tuple[np.ndarray, list[int]]:
    """File lines of the table's rows and of the refused rows: a quoted value may hold line breaks.

    Shapes:
        first result: (rows,), int64
    """
    records = table.num_rows + len(refused)
    number_of_refused = [row.number - 2 for row in refused]
    is_refused = np.zeros(records, dtype=bool)
    is_refused[number_of_refused] = True
    breaks = np.zeros(records, dtype=np.int64)
    for column in table.columns:
        breaks[~is_refused] += pc.count_substring(column, "\n").to_numpy()
    breaks[number_of_refused] = [row.text.count("\n") for row in refused]
    lines = 2 + np.arange(records) + np.concatenate([[0], np.cumsum(breaks)[:-1]])[:records]
    return lines[~is_refused], lines[number_of_refused].tolist()
