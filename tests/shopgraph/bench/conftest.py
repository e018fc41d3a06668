"""A year whose answer is planted, without its test weeks: people buy what is in season, and seasons are short."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from shopgraph.dataset.snapshot import assemble, write_snapshot
from shopgraph.dataset.split import HOLDOUT, Holdout
from shopgraph.records import NODE_TABLES, RELATION_TABLES

START = datetime(2026, 1, 5, tzinfo=UTC)
WEEKS, SEASON_WEEKS, USERS, IN_SEASON, STAPLES = 44, 4, 40, 4, 16
SEASONS = WEEKS // SEASON_WEEKS
CUT = START + timedelta(weeks=WEEKS)


@pytest.fixture
def year(tmp_path: Path) -> Path:
    """The folder that `prepare` leaves, of which `test` was removed.

    In a season each user buys all but one of its products and a staple that is new to the user; in the validation weeks
    all of the last season's, a staple that is new to the user, and a new product.
    """
    bought, later = [], []
    for user in range(USERS):
        for season in range(SEASONS):
            in_season = [name(season, product) for product in range(IN_SEASON) if product != user % IN_SEASON]
            for turn, product in enumerate([*in_season, staple(user, season)]):
                at = START + timedelta(weeks=SEASON_WEEKS * season + turn, minutes=user)
                line = {"start": f"u{user:02}", "end": product, "at": at, "quantity": 1, "amount": 2.0}
                bought.append({**line, "line_id": f"{user}-{season}-{turn}", "order_id": f"{user}-{season}-{turn}"})
        last = [name(SEASONS - 1, product) for product in range(IN_SEASON)]
        wanted = [*last, staple(user, SEASONS), f"new{user % IN_SEASON}"]
        later += [(f"u{user:02}", product, CUT + timedelta(days=1)) for product in wanted]
    products = [(name(season, product), product) for season in range(SEASONS) for product in range(IN_SEASON)]
    products += [(staple(number, 0), number % IN_SEASON) for number in range(STAPLES)]
    products += [(f"new{number}", number) for number in range(IN_SEASON)]
    learned = assemble(
        {
            "User": nodes("User", [f"u{user:02}" for user in range(USERS)]),
            "Product": nodes("Product", [product for product, _ in products]),
            "Brand": nodes("Brand", [f"brand {number}" for number in range(IN_SEASON)]),
        },
        {
            "PURCHASED": relation("PURCHASED", bought),
            "MADE_BY": relation("MADE_BY", [{"start": item, "end": f"brand {brand}"} for item, brand in products]),
        },
        CUT,
    )
    folder = tmp_path / "year"
    folder.mkdir()
    write_snapshot(learned, folder)
    columns = dict(zip(HOLDOUT.names, map(list, zip(*later, strict=True)), strict=True))
    Holdout(pa.table(columns, schema=HOLDOUT)).write(folder / "validation")
    (folder / "id").write_text(learned.id)
    return folder


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def name(season: int, product: int) -> str:
    return f"s{season:02}-{product}"


def staple(user: int, season: int) -> str:
    return f"staple{(user + season) % STAPLES:02}"


def nodes(label: str, ids: list[str]) -> pa.Table:
    return pa.Table.from_pylist([{"id": node} for node in ids], schema=NODE_TABLES[label])


def relation(kind: str, rows: list[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=RELATION_TABLES[kind])
