"""What everybody does with the products at a moment: tables that are fitted once, and kept with a ranker."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shopgraph.dataset.purchases import WEEK_MS
from shopgraph.errors import InputError
from shopgraph.ranking.attribute_features import OF_EACH_VALUE, attribute_columns, shares, value_columns
from shopgraph.ranking.facets import Facet
from shopgraph.ranking.mapped import mapped
from shopgraph.ranking.past import Past
from shopgraph.ranking.popularity_features import popularity_columns, price_columns
from shopgraph.ranking.repeat_features import repeat_columns

CARD, COLUMNS, VALUES, OF_VALUES = "market.json", "market.npy", "facets.npy", "values.npy"


@dataclass(frozen=True)
class Market:
    """All that features are made of besides a user's own purchases.

    Shapes:
        columns: by group and name, (products,) float32
        facets: values of the products
        shares: by facet, (values,), of everybody's purchases
        of_values: by facet and name, (values + 1,) float32, see `value_columns`
    """

    moment_ms: int
    history_weeks: float
    """From the first purchase to the moment, at least 1."""
    columns: Mapping[str, Mapping[str, np.ndarray]]
    facets: tuple[Facet, ...]
    shares: Mapping[str, np.ndarray]
    of_values: Mapping[str, Mapping[str, np.ndarray]]

    @classmethod
    def of(cls, past: Past, facets: Sequence[Facet]) -> Market:
        """Fit the tables on what happened before the moment of `past`."""
        columns = {
            "popularity": popularity_columns(past),
            "price": price_columns(past),
            "repeat": repeat_columns(past),
            "attribute": attribute_columns(past, facets),
        }
        return cls(
            past.moment_ms,
            max(1.0, float(past.ages.max(initial=0.0))),
            _single(columns),
            tuple(facets),
            {facet.name: shares(past, facet) for facet in facets},
            _single(value_columns(past, facets)),
        )

    def of_products(self, group: str, products: np.ndarray) -> dict[str, np.ndarray]:
        """(rows,) each: the columns of a group for some products."""
        return {name: column[products] for name, column in self.columns[group].items()}

    def weeks_until(self, moment_ms: int) -> float:
        """Weeks of the shop's history at a moment that may be later than that of the tables."""
        return self.history_weeks + (moment_ms - self.moment_ms) / WEEK_MS

    def save(self, folder: Path) -> None:
        """Keep it as `market.json` and arrays that are read without being copied into memory."""
        folder.mkdir(parents=True, exist_ok=True)
        table = np.stack([column for group in self.columns.values() for column in group.values()])
        np.save(folder / COLUMNS, table)
        of_values = [np.stack(list(named.values())) for named in self.of_values.values()]
        np.save(folder / OF_VALUES, np.concatenate(of_values, axis=1) if of_values else np.empty((0, 0), np.float32))
        np.save(folder / VALUES, np.stack([facet.values for facet in self.facets]) if self.facets else np.empty((0, 0)))
        card = {
            "moment_ms": self.moment_ms,
            "history_weeks": self.history_weeks,
            "columns": {group: list(table) for group, table in self.columns.items()},
            "shares": {name: side.tolist() for name, side in self.shares.items()},
        }
        (folder / CARD).write_text(json.dumps(card))

    @classmethod
    def load(cls, folder: Path) -> Market:
        """Raises InputError where the folder holds no whole market."""
        try:
            card = json.loads((folder / CARD).read_text())
            table, values, of_values = (mapped(folder / name) for name in (COLUMNS, VALUES, OF_VALUES))
            rows = iter(table)
            columns = {group: {name: next(rows) for name in names} for group, names in card["columns"].items()}
            facets = tuple(Facet(name, side) for name, side in zip(card["shares"], values, strict=True))
            found = {name: np.array(side) for name, side in card["shares"].items()}
            ends = np.cumsum([len(side) + 1 for side in found.values()])
            by_facet = {
                name: dict(zip(OF_EACH_VALUE, side, strict=True))
                for name, side in zip(found, np.split(of_values, ends[:-1], axis=1) if found else (), strict=True)
            }
            return cls(card["moment_ms"], card["history_weeks"], columns, facets, found, by_facet)
        except (OSError, ValueError, KeyError, StopIteration) as error:
            raise InputError(f"{folder} holds no market that can be read ({error}): train the ranker again") from None


def _single(tables: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, dict[str, np.ndarray]]:
    return {group: {name: side.astype(np.float32) for name, side in table.items()} for group, table in tables.items()}
