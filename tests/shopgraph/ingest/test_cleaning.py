"""Typed checks refuse what breaks their rule, once, and keep everything else."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopgraph.ingest.cleaning import Sheet, cleaned


def sheet(**columns: list[str]) -> Sheet:
    length = len(next(iter(columns.values())))
    return Sheet(
        "rows.csv", pa.table({k: pa.array(v, pa.string()) for k, v in columns.items()}), np.arange(2, length + 2)
    )


@given(st.text())
def test_cleaned_text_has_no_breaks_and_is_cleaned_once(text: str) -> None:
    once = cleaned(pa.array([text])).to_pylist()[0]
    assert cleaned(pa.array([once])).to_pylist() == [once]
    assert "\n" not in once
    assert "  " not in once
    assert once == once.strip(" ")
    assert [letter for letter in text if letter.isalnum()] == [letter for letter in once if letter.isalnum()]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_is_read_as_it_was_written(value: float) -> None:
    rows = sheet(price=[repr(value)])
    assert rows.number("price")[0] == value
    assert rows.good.all()


@pytest.mark.parametrize("text", ["1,50", "ten", "nan", "inf", "-inf", "1.2.3", "€5", "1_0"])
def test_what_is_no_number_is_refused_with_its_value(text: str) -> None:
    rows = sheet(price=["1.5", text, ""])
    values = rows.number("price")
    assert (values[0], math.isnan(values[2])) == (1.5, True)
    assert rows.good.tolist() == [True, False, True]
    (reject,) = rows.rejects
    assert (reject.file, reject.row, reject.field, reject.value) == ("rows.csv", 3, "price", text)


def test_bounds_and_whole_numbers() -> None:
    rows = sheet(stock=["0", "-1", "2.5", "7", "11"])
    rows.number("stock", minimum=0, maximum=10, whole=True)
    assert rows.good.tolist() == [True, False, False, True, False]
    assert [reject.reason for reject in rows.rejects] == ["below 0", "above 10", "not a whole number"]


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2023, 1, 1)))  # noqa: DTZ001  zone added below
def test_instants_are_utc_to_the_millisecond(moment: datetime) -> None:
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
    rows = sheet(at=[moment.isoformat(), moment.astimezone(None).isoformat(), moment.replace(tzinfo=None).isoformat()])
    assert [value.to_pydatetime() for value in rows.instant("at")] == [moment] * 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("05/01/2024", "not a date"),
        ("2024-02-30", "not a date"),
        ("yesterday", "not a date"),
        ("1969-12-31", "before 1970"),
        ((datetime.now(UTC) + timedelta(days=3)).isoformat(), "in the future"),
        ("", "missing"),
    ],
)
def test_what_is_no_usable_date_is_refused(text: str, reason: str) -> None:
    rows = sheet(at=["2024-01-31", text])
    rows.instant("at")
    assert rows.good.tolist() == [True, False]
    assert rows.rejects[0].reason.startswith(reason)


def test_a_row_is_refused_once_for_its_first_fault() -> None:
    rows = sheet(id=["", "a", "a"], price=["x", "1", "y"])
    rows.required("id")
    rows.number("price")
    rows.unique("id")
    assert [(reject.row, reject.field) for reject in rows.rejects] == [(2, "id"), (4, "price")]


def test_unique_compares_good_rows_alone() -> None:
    rows = sheet(id=["a", "a", "b", "b"], price=["x", "1", "2", "3"])
    rows.number("price")
    rows.unique("id")
    assert rows.good.tolist() == [False, True, True, False]
