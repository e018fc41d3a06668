"""What user and product have in common in the catalogue: types, brands, sizes and titles the user bought before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from shopgraph.ranking.facets import NONE, Facet
from shopgraph.ranking.features import Features
from shopgraph.ranking.past import OLDEST_WEEKS, Lookup, Past

if TYPE_CHECKING:
    from shopgraph.ranking.market import Market

HALF_LIFE_WEEKS = 12.0
LAUNCH_WEEKS = (4.0, 16.0)
"""Weeks since the first sale between which a product is a recent launch: old enough to be known, not older."""
PRIOR_LAUNCHES = 3.0
"""Launches of average success added to those of each value."""
OF_EACH_VALUE = ("buyers", "launches", "launch_success")
"""What `value_columns` tells."""
PLACE = "place"
EVERYBODYS = ("buyers", PLACE, "launches", "launch_success")
"""Of a facet, what is the same for every user, in the order that rankers were trained with."""


def attribute_columns(past: Past, facets: Sequence[Facet]) -> dict[str, np.ndarray]:
    """(products,) each, by facet: what everybody bought of the product beside others of the value that it states.

    Columns, each prefixed by the facet's name and NaN where the product states none:
        place: the product's share of the value's buyers of 8 weeks
    """
    of_product = past.buyers(8)
    return {f"{facet.name}_{PLACE}": _place(facet, of_product) for facet in facets}


def value_columns(past: Past, facets: Sequence[Facet]) -> dict[str, dict[str, np.ndarray]]:
    """(values + 1,) each, by facet and name: what everybody bought of a value, the same for all products that state it.

    The last is NaN and stands for none: `NONE` as an index finds it.

    Columns:
        buyers: logarithm of 1 + buyers of the value in 4 weeks
        launches: logarithm of 1 + the value's recent launches, which are products first sold 4 to 16 weeks ago
        launch_success: their mean logarithm of 1 + buyers in their first 4 weeks
    """
    success, launched = _launches(past)
    return {
        facet.name: {
            name: np.append(column, np.nan)
            for name, column in {"buyers": _buyers(past, facet), **_launch_columns(facet, success, launched)}.items()
        }
        for facet in facets
    }


def shares(past: Past, facet: Facet) -> np.ndarray:
    """(values,): each value's share of everybody's purchases, these halving every 12 weeks."""
    weight, of_pair = _weight(past), facet.values[past.pair_products]
    stated = of_pair != NONE
    return np.bincount(of_pair[stated], weight[stated], facet.count) / max(float(weight.sum()), 1e-9)


def attribute_features(market: Market, past: Past, users: np.ndarray, products: np.ndarray) -> Features:
    """For each facet, what the user and everybody bought of the value that the product states.

    Columns, each prefixed by the facet's name and NaN where the product states none:
        share: the value's share of the user's purchases, these halving every 12 weeks
        lift: logarithm of that share over the share it has of everybody's, both smoothed
        products: logarithm of 1 + distinct products of the value the user bought
        weeks_since: since the user last bought one; NaN for never
        place: see `attribute_columns`
        buyers, launches, launch_success: see `value_columns`

    Shapes:
        users, products: (rows,)
    """
    weight, of_product = _weight(past), market.of_products("attribute", products)
    columns: dict[str, np.ndarray] = {}
    for facet in market.facets:
        value = facet.values[products]
        own = _user_columns(past, facet, weight, market.shares[facet.name], users, value)
        columns |= {f"{facet.name}_{name}": np.where(value == NONE, np.nan, side) for name, side in own.items()}
        told = {name: side[value] for name, side in market.of_values[facet.name].items()}
        told[PLACE] = of_product[f"{facet.name}_{PLACE}"]
        columns |= {f"{facet.name}_{name}": told[name] for name in EVERYBODYS}
    return Features.of("attribute", columns)


def _weight(past: Past) -> np.ndarray:
    """(pairs,): purchases of each pair, halving every 12 weeks."""
    return np.bincount(past.pair, 0.5 ** (past.ages / HALF_LIFE_WEEKS), len(past.keys))


def _user_columns(
    past: Past, facet: Facet, weight: np.ndarray, everybody: np.ndarray, users: np.ndarray, value: np.ndarray
) -> dict[str, np.ndarray]:
    count = facet.count
    of_pair = facet.values[past.pair_products]
    stated = of_pair != NONE
    keys, group = np.unique(past.pair_users[stated] * count + of_pair[stated], return_inverse=True)
    bought = np.bincount(group, weight[stated], len(keys))
    total = np.bincount(past.pair_users, weight, past.user_count)
    recency = np.full(len(keys), OLDEST_WEEKS)
    np.minimum.at(recency, group, past.last_ages[stated])
    of_row = Lookup.of(keys, users * count + value)
    own, expected = of_row(bought), everybody[value]
    return {
        "share": own / np.maximum(total[users], 1e-9),
        "lift": np.log((own + 10 * expected + 1e-6) / ((total[users] + 10) * expected + 1e-6)),
        "products": np.log1p(of_row(np.bincount(group, minlength=len(keys)))),
        "weeks_since": of_row(recency, absent=np.nan),
    }


def _place(facet: Facet, buyers: np.ndarray) -> np.ndarray:
    stated = facet.values != NONE
    of_value = np.bincount(facet.values[stated], buyers[stated], facet.count)
    return np.where(stated, (buyers + 0.5) / (of_value[facet.values] + 5.0), np.nan)


def _buyers(past: Past, facet: Facet) -> np.ndarray:
    of_pair, lately = facet.values[past.pair_products], past.last_ages <= 4
    chosen = lately & (of_pair != NONE)
    pairs = np.unique(past.pair_users[chosen] * facet.count + of_pair[chosen])
    return np.log1p(np.bincount(pairs % facet.count, minlength=facet.count))


def _launch_columns(facet: Facet, success: np.ndarray, launched: np.ndarray) -> dict[str, np.ndarray]:
    counted = launched & (facet.values != NONE)
    launches = np.bincount(facet.values[counted], minlength=facet.count)
    total = np.bincount(facet.values[counted], success[counted], facet.count)
    average = float(success[launched].mean()) if launched.any() else 0.0
    return {
        "launches": np.log1p(launches),
        "launch_success": (total + PRIOR_LAUNCHES * average) / (launches + PRIOR_LAUNCHES),
    }


def _launches(past: Past) -> tuple[np.ndarray, np.ndarray]:
    """(products,) each: logarithm of 1 + buyers within 4 weeks of the first sale, and whether it is a recent launch."""
    first = np.full(past.product_count, -1.0)
    np.maximum.at(first, past.pair_products, past.first_ages)
    early = past.first_ages >= first[past.pair_products] - 4
    buyers = np.bincount(past.pair_products[early], minlength=past.product_count)
    youngest, oldest = LAUNCH_WEEKS
    # what was on sale when the history began was not launched then
    oldest = min(oldest, float(past.ages.max(initial=0.0)) - youngest)
    return np.log1p(buyers), (first >= youngest) & (first <= oldest)
