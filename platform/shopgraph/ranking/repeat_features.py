"""What a user did with a product before, and how the user shops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shopgraph.ranking.features import Features
from shopgraph.ranking.past import Lookup, Past

if TYPE_CHECKING:
    from shopgraph.ranking.market import Market

HALF_LIVES_WEEKS = (4, 12, 26)
ACTIVE_WEEKS = (4, 12)
RETURN_WEEKS = 4
"""Weeks within which a buyer counts as having come back."""


def repeat_columns(past: Past) -> dict[str, np.ndarray]:
    """(products,): `rebought`, the share of a product's buyers of over 4 weeks ago who came back to it in the last 4.

    It is smoothed by one buyer of five.
    """
    earlier = past.first_ages > RETURN_WEEKS
    back = earlier & (past.last_ages <= RETURN_WEEKS)
    buyers, returned = (np.bincount(past.pair_products[kept], minlength=past.product_count) for kept in (earlier, back))
    return {"rebought": (returned + 1) / (buyers + 5)}


def repeat_features(market: Market, past: Past, users: np.ndarray, products: np.ndarray) -> Features:
    """Number, recency, rhythm and decayed numbers of the user's own purchases of the product, and the user's pace.

    A visit is a day, counted back from the moment, with any purchase by the user; `visit_share` is purchases of the
    product over visits since the first of them. A gap is the mean number of weeks between one purchase and the next;
    `gap_due` is weeks since the last over it, 1 when the next is due. Paces are numbers a week of the shop's history,
    so that a longer one does not raise them.

    Shapes:
        users, products: (rows,)
    """
    of_row = Lookup.of(past.keys, users * past.product_count + products)
    span = past.first_ages - past.last_ages
    gaps = np.divide(span, past.counts - 1, out=np.full(len(span), np.nan), where=past.counts > 1)
    since, gap = of_row(past.last_ages, np.nan), of_row(gaps, np.nan)
    columns = {
        "times_bought": of_row(past.counts),
        "weeks_since_last": since,
        "gap_weeks": gap,
        "gap_due": since / np.maximum(gap, 0.1),
    }
    for weeks in HALF_LIVES_WEEKS:
        decayed = np.bincount(past.pair, 0.5 ** (past.ages / weeks), len(past.keys))
        columns[f"decayed_{weeks}_weeks"] = of_row(decayed)
    to_last, to_first = _visits(past)
    columns |= {
        "visits_since_last": of_row(to_last, np.nan),
        "visit_share": of_row(past.counts / np.maximum(to_first, 1)),
        **market.of_products("repeat", products),
    }
    columns |= {name: column[users] for name, column in _paces(past, market.weeks_until(past.moment_ms)).items()}
    return Features.of("repeat", columns)


def _paces(past: Past, weeks: float) -> dict[str, np.ndarray]:
    """(users,) each: products, lines and first purchases a week, and weeks since the last line."""
    of_line, of_pair, count = past.lines.purchases.users, past.pair_users, past.user_count
    last = np.full(count, np.inf)
    np.minimum.at(last, of_line, past.ages)
    paces = {"user_products_a_week": np.bincount(of_pair, minlength=count) / weeks, "user_weeks_since_last": last}
    for window in ACTIVE_WEEKS:
        paces[f"user_lines_{window}_weeks"] = np.bincount(of_line[past.ages <= window], minlength=count) / window
        paces[f"user_new_{window}_weeks"] = np.bincount(of_pair[past.first_ages <= window], minlength=count) / window
    return paces


def _visits(past: Past) -> tuple[np.ndarray, np.ndarray]:
    """(pairs,) each: the user's visits after its last purchase of the product, and since its first, that included."""
    days = np.floor(past.ages * 7).astype(np.int64)
    width = int(days.max(initial=0)) + 1
    visits = np.unique(past.lines.purchases.users * width + days)
    own = past.pair_users * width
    begins = np.searchsorted(visits, own)
    last, first = (own + np.floor(ages * 7).astype(np.int64) for ages in (past.last_ages, past.first_ages))
    return np.searchsorted(visits, last) - begins, np.searchsorted(visits, first, side="right") - begins
