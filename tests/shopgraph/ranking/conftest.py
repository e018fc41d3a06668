"""A shop whose answer is planted: every week each brand launches a product, and its buyers take the newest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from shopgraph.dataset.purchases import Purchases, to_ms
from shopgraph.dataset.snapshot import Snapshot, assemble
from shopgraph.evaluation import Scorer, Setting, pairs, recent_buyers
from shopgraph.ranking.candidates import Candidates
from shopgraph.ranking.examples import Examples
from shopgraph.ranking.facets import Facet, facets_of
from shopgraph.ranking.features import Features
from shopgraph.ranking.past import Lines
from shopgraph.records import NODE_TABLES, RELATION_TABLES

START = datetime(2026, 1, 5, tzinfo=UTC)
WEEKS, USERS, BRANDS = 20, 80, 4


@dataclass(frozen=True)
class Shop:
    """The planted shop, as a ranker is given it."""

    snapshot: Snapshot
    lines: Lines
    facets: tuple[Facet, ...]
    end_ms: int


def nodes(label: str, rows: list[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=NODE_TABLES[label])


def relation(name: str, rows: list[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=RELATION_TABLES[name])


def product(brand: int, week: int) -> str:
    return f"p{week:02}{brand}"


@pytest.fixture(scope="session")
def shop() -> Shop:
    """In week w half of a brand's users buy what it launches in w, the others a week later; three in ten forget to."""
    random = np.random.default_rng(5)
    bought = []
    for week in range(WEEKS):
        for user in range(USERS):
            brand, late = user % BRANDS, (user // BRANDS) % 2
            if week >= late and random.random() < 0.7:
                at = START + timedelta(weeks=week, days=int(random.integers(0, 6)), minutes=user)
                line = {"start": f"u{user:02}", "end": product(brand, week - late), "at": at, "quantity": 1}
                bought.append({**line, "amount": 2.0, "line_id": f"{user}-{week}", "order_id": f"{user}-{week}"})
    names = [(product(brand, week), brand) for week in range(WEEKS) for brand in range(BRANDS)]
    end = START + timedelta(weeks=WEEKS)
    snapshot = assemble(
        {
            "User": nodes("User", [{"id": f"u{user:02}"} for user in range(USERS)]),
            "Product": nodes("Product", [{"id": name, "title": f"title {name}"} for name, _ in names]),
            "Brand": nodes("Brand", [{"id": f"brand {brand}"} for brand in range(BRANDS)]),
        },
        {
            "PURCHASED": relation("PURCHASED", bought),
            "MADE_BY": relation("MADE_BY", [{"start": name, "end": f"brand {brand}"} for name, brand in names]),
        },
        end,
    )
    return Shop(snapshot, Lines.of(snapshot), facets_of(snapshot), to_ms(end))


@pytest.fixture(scope="session")
def fit_sources() -> Callable[[Purchases, int], dict[str, Scorer]]:
    """Two sources that know no taste: buyers lately, and buyers ever."""

    def fit(purchases: Purchases, moment_ms: int) -> dict[str, Scorer]:
        past = purchases.before(moment_ms)
        lines = past.users, past.products, past.times

        def scorer(since: int) -> Scorer:
            counts = recent_buyers(*lines, since, past.product_count)
            return lambda rows: np.tile(counts, (len(rows), 1))

        return {"popularity": scorer(moment_ms - 14 * 24 * 3600 * 1000), "ever": scorer(0)}

    return fit


@pytest.fixture(scope="session")
def alike() -> Callable[[int, int], tuple[Examples, Setting]]:
    """Lists of eight products; bought is the one of each user whose features `left` and `right` have the same sign.

    Neither feature says anything alone. `rare` is mostly missing, `never` always; `far` is infinite at times.
    """

    def planted(users: int, seed: int) -> tuple[Examples, Setting]:
        random, rows = np.random.default_rng(seed), users * 8
        labels = (np.arange(rows) + random.integers(0, 8, users).repeat(8)) % 8 == 0
        left = random.choice([-1.0, 1.0], rows) * random.uniform(0.5, 1.0, rows)
        right = np.sign(left) * np.where(labels, 1.0, -1.0) * random.uniform(0.5, 1.0, rows)
        columns = {
            "left": left,
            "right": right,
            "rare": np.where(random.random(rows) < 2 / 3, np.nan, random.normal(size=rows)),
            "never": np.full(rows, np.nan),
            "far": np.where(random.random(rows) < 0.1, np.inf, 1000.0 * random.random(rows)),
        }
        owner, product = np.repeat(np.arange(users), 8), np.tile(np.arange(8), users)
        nothing = Features((), (), np.empty((rows, 0), np.float32))
        truth = pairs(owner[labels], product[labels], (users, 8))
        setting = Setting("all", truth, pairs(owner[:0], product[:0], (users, 8)), np.ones(8, bool))
        candidates = Candidates(np.arange(users), owner, product, nothing)
        return Examples(candidates, Features.of("attribute", columns), labels), setting

    return planted
