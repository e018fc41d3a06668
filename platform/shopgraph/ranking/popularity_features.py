"""What everybody does with a product: how many buy it, how many for the first time, and who comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shopgraph.ranking.features import Features
from shopgraph.ranking.past import OLDEST_WEEKS, Past

if TYPE_CHECKING:
    from shopgraph.ranking.market import Market

BUYERS_WEEKS = (1, 2, 4, 8, 16)
NEW_BUYERS_WEEKS = (2, 4, 8)
PRICE_WEEKS = 2
"""Weeks whose lines tell what a product costs, and at what discount, now."""


def popularity_columns(past: Past) -> dict[str, np.ndarray]:
    """(products,) each: buyers in several windows, their trend, age and repeat share.

    Numbers of buyers are logarithms, standardised over the products sold so far: their level shifts with the length of
    the history. The trend is (buyers of the last 2 weeks + 1) / (buyers ever + 5), the one of a quarter (buyers of the
    last 4 weeks + 1) / (buyers of the last 16 + 5).
    """
    ever = past.buyers()
    sold = ever > 0
    columns = {
        **{f"buyers_{weeks}_weeks": _standardised(past.buyers(weeks), sold) for weeks in BUYERS_WEEKS},
        "buyers_ever": _standardised(ever, sold),
        **{f"new_buyers_{weeks}_weeks": _standardised(past.new_buyers(weeks), sold) for weeks in NEW_BUYERS_WEEKS},
        "trend": (past.buyers(2) + 1) / (ever + 5),
        "quarter_trend": (past.buyers(4) + 1) / (past.buyers(16) + 5),
        "new_buyer_share": np.divide(past.new_buyers(4), past.buyers(4), out=_nothing(ever), where=past.buyers(4) > 0),
        "weeks_since_first_sale": _oldest(past, past.first_ages, np.maximum, -1.0),
        "weeks_since_last_sale": _oldest(past, past.last_ages, np.minimum, OLDEST_WEEKS),
        "repeat_share": _mean(past, past.counts > 1),
        "purchases_a_buyer": _mean(past, past.counts),
    }
    columns["weeks_since_first_sale"][~sold] = np.nan
    columns["weeks_since_last_sale"][~sold] = np.nan
    return columns


def price_columns(past: Past) -> dict[str, np.ndarray]:
    """(products,) each: what a unit costs and how far it is discounted, ever and in the last two weeks.

    Prices are logarithms of 1 + the price in the source's currency; `price_change` is that of the last two weeks
    against that of all weeks.
    """
    bought, paid = past.lines.purchases, np.log1p(past.lines.unit_prices)
    stated, lately, count = np.isfinite(paid), past.ages <= PRICE_WEEKS, past.product_count
    price = _mean_of(bought.products, paid, count, stated)
    return {
        "price": price,
        "price_change": _mean_of(bought.products, paid, count, stated & lately) - price,
        "discount_now": _mean_of(bought.products, past.lines.discounts, count, lately),
        "discount_usual": _mean_of(bought.products, past.lines.discounts, count, np.ones(len(paid), dtype=bool)),
    }


def popularity_features(market: Market, products: np.ndarray) -> Features:
    """What `popularity_columns` says of each row's product.

    Shapes:
        products: (rows,)
    """
    return Features.of("popularity", market.of_products("popularity", products))


def price_features(market: Market, past: Past, users: np.ndarray, products: np.ndarray) -> Features:
    """What `price_columns` says, the price against what the user pays on average, and the discounts the user takes.

    Shapes:
        users, products: (rows,)
    """
    buyers, paid = past.lines.purchases.users, np.log1p(past.lines.unit_prices)
    usual = _mean_of(buyers, paid, past.user_count, np.isfinite(paid))
    likes_discount = _mean_of(buyers, past.lines.discounts, past.user_count, np.ones(len(paid), dtype=bool))
    of_product = market.of_products("price", products)
    return Features.of(
        "price",
        {
            "price": of_product.pop("price"),
            "price_against_user": market.columns["price"]["price"][products] - usual[users],
            **of_product,
            "user_discount": likes_discount[users],
        },
    )


def _standardised(counts: np.ndarray, sold: np.ndarray) -> np.ndarray:
    logs = np.log1p(counts.astype(np.float64))
    if not sold.any():
        return logs
    return (logs - logs[sold].mean()) / (logs[sold].std() or 1.0)


def _oldest(past: Past, ages: np.ndarray, choose: np.ufunc, start: float) -> np.ndarray:
    chosen = np.full(past.product_count, start)
    choose.at(chosen, past.pair_products, ages)
    return chosen


def _mean(past: Past, values: np.ndarray) -> np.ndarray:
    return _mean_of(past.pair_products, values, past.product_count, np.ones(len(past.keys), dtype=bool))


def _mean_of(owners: np.ndarray, values: np.ndarray, count: int, kept: np.ndarray) -> np.ndarray:
    """(count,): the mean of the kept values of each owner; NaN where it has none."""
    lines = np.bincount(owners[kept], minlength=count)
    total = np.bincount(owners[kept], values[kept].astype(np.float64), count)
    return np.divide(total, lines, out=_nothing(lines), where=lines > 0)


def _nothing(like: np.ndarray) -> np.ndarray:
    return np.full(len(like), np.nan)
