"""A trained ranker as serving runs it: tables from files, a user's own purchases as they are now, no torch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import overload

import numpy as np

from shopgraph.dataset.purchases import WEEK_MS, Purchases, to_ms
from shopgraph.ranking.candidates import Candidates
from shopgraph.ranking.examples import pair_features
from shopgraph.ranking.features import Features
from shopgraph.ranking.lists import Ids, Lists
from shopgraph.ranking.market import Market
from shopgraph.ranking.own_lines import OwnLines
from shopgraph.ranking.past import Lines, Past
from shopgraph.ranking.ranker import FeatureRanker, load_ranker

FOLDER = "ranker"
"""In the folder of a ranker's version."""
COLD = "cold"
"""The setting of products that nobody has bought yet."""
MARKET, USERS, PRODUCTS = "market", "users.npy", "products.npy"
BESIDE = 10
"""Candidates of the user, evenly apart, beside which it is told how far a product would fall."""
NAMED_WITHIN = 20
"""Rank within which a source speaks for a product."""
LATE_WEEKS = 1.0
"""How late a purchase may be told and still be ranked beside the lists."""


@dataclass(frozen=True)
class RankedProduct:
    """A product, best first, with the sources that rank it high, the one that does most first."""

    id: str
    score: float
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Ranking(Sequence[RankedProduct]):
    """A user's candidates, best first, each put into words only where it is asked for.

    Shapes:
        scores, order: (rows,); rows of the candidates by falling score
    """

    ids: Ids
    candidates: Candidates | None = None
    scores: np.ndarray = field(default_factory=lambda: np.empty(0))
    order: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.order)

    @overload
    def __getitem__(self, place: int) -> RankedProduct: ...

    @overload
    def __getitem__(self, place: slice) -> list[RankedProduct]: ...

    def __getitem__(self, place: int | slice) -> RankedProduct | list[RankedProduct]:
        if isinstance(place, slice):
            return self._told(self.order[place])
        return self._told(self.order[[place]])[0]

    def _told(self, rows: np.ndarray) -> list[RankedProduct]:
        if self.candidates is None or not len(rows):
            return []
        ids, sources = self.ids.of_rows(self.candidates.products[rows]), _sources(self.candidates.scores, rows)
        scores = self.scores[rows].tolist()
        return [RankedProduct(*product) for product in zip(ids, scores, sources, strict=True)]


@dataclass(frozen=True)
class ServedRanker:
    """What ranks a user's products.

    Attributes:
        rankers, lists: by setting.
    """

    products: Ids
    users: Ids
    market: Market
    rankers: dict[str, FeatureRanker]
    lists: dict[str, Lists]

    def save(self, folder: Path) -> None:
        """Keep it; whoever loads it shares the files' pages with all others who do."""
        folder.mkdir(parents=True, exist_ok=True)
        self.products.save(folder / PRODUCTS)
        self.users.save(folder / USERS)
        self.market.save(folder / MARKET)
        for setting, ranker in self.rankers.items():
            ranker.save(folder / setting)
            self.lists[setting].save(folder / setting)

    @classmethod
    def load(cls, folder: Path) -> ServedRanker:
        """Raises InputError where the folder holds no whole ranker."""
        settings = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name != MARKET)
        return cls(
            Ids.load(folder / PRODUCTS),
            Ids.load(folder / USERS),
            Market.load(folder / MARKET),
            {setting: load_ranker(folder / setting) for setting in settings},
            {setting: Lists.load(folder / setting) for setting in settings},
        )

    def ranked(
        self,
        setting: str,
        user_id: str,
        own: OwnLines,
        moment: datetime,
        others: Sequence[str] = (),
        without: Collection[str] = (),
    ) -> Ranking:
        """The user's candidates by falling score; none where the user was not there when the ranker was trained.

        Args:
            others: products to rank too, which no list names; those the ranker does not know are left out.
            without: products to leave out.
        """
        known = self.products.known([*own.products, *others, *without])
        candidates = self._candidates(setting, user_id, known, others)
        if candidates is None:
            return Ranking(self.products)
        candidates = candidates.chosen(~np.isin(candidates.products, _rows(known, without)))
        scores = self.rankers[setting].scores(self._features(candidates, own, known, moment))
        return Ranking(self.products, candidates, scores, np.lexsort((candidates.products, -scores)))

    def unlisted(self, own: OwnLines) -> list[str]:
        """What the user bought too lately for the lists to know.

        What was bought before and stands on no list was passed over by sources that know the user's own purchases.
        """
        return own.since(self.market.moment_ms - round(LATE_WEEKS * WEEK_MS))

    def listed(self, setting: str, products: Sequence[str]) -> dict[str, int]:
        """How many users' lists name each product; products that it does not know are left out."""
        if setting not in self.lists:
            return {}
        rows = self.products.rows(list(products))
        counts = self.lists[setting].users_by_product(len(self.products))
        return {name: int(counts[row]) for name, row in zip(products, rows, strict=True) if row >= 0}

    def contributions(
        self, setting: str, user_id: str, own: OwnLines, moment: datetime, products: Sequence[str]
    ) -> dict[str, dict[str, float]]:
        """What each feature adds to the score of some of the user's products, the greatest share first.

        With what any product has, the values of a product sum to its score. Unknown products are left out.
        """
        known = self.products.known([*own.products, *products])
        candidates = self._candidates(setting, user_id, known, products)
        if candidates is None:
            return {}
        candidates = candidates.chosen(np.isin(candidates.products, _rows(known, products)))
        ranker = self.rankers[setting]
        shares = ranker.contributions(self._features(candidates, own, known, moment))[:, :-1]
        order = np.argsort(-np.abs(shares), axis=1, kind="stable")
        return {
            name: {ranker.names[place]: float(row[place]) for place in places if row[place]}
            for name, row, places in zip(self.products.of_rows(candidates.products), shares, order, strict=True)
        }

    def leanings(
        self,
        setting: str,
        user_id: str,
        own: OwnLines,
        moment: datetime,
        products: Sequence[str],
        purchases: Sequence[str],
    ) -> dict[str, dict[str, float]]:
        """How far each of some of the user's products would fall, had the user not bought each of some others.

        By product and by what was bought, greatest first: what the score loses, less what those of `BESIDE` others of
        the user's candidates lose on average; below 0 it would rise. What the lists' sources said of a product stays:
        they are not asked again. Unknown products are left out.

        Source: occlusion, Zeiler and Fergus, Visualizing and understanding convolutional networks (2014), whose patches
        are a user's purchases here.
        """
        known = self.products.known([*own.products, *products])
        candidates = self._candidates(setting, user_id, known, products)
        gone = [product for product in purchases if product in known]
        if candidates is None or not gone:
            return {}
        asked = np.isin(candidates.products, _rows(known, products))
        # whatever is asked about, the same: a list of many and an answer of few say the same of a product
        others = np.flatnonzero(~np.isin(candidates.products, _rows(known, own.products)))
        others = others[np.linspace(0, len(others) - 1, min(BESIDE, len(others)), dtype=np.int64)]
        rows = np.concatenate([np.flatnonzero(asked), others])
        # one more user for each purchase, who bought all else: all are asked about at once
        past = Past.of(self._lines(own, known).without_each(_rows(known, gone)), to_ms(moment))
        users, rows = np.repeat(np.arange(len(gone) + 1), len(rows)), np.tile(rows, len(gone) + 1)
        features = pair_features(self.market, past, users, candidates.products[rows])
        scores = self.rankers[setting].scores(Features.joined([candidates.scores.chosen(rows), features]))
        scores = scores.reshape(len(gone) + 1, -1)
        lost = scores[0] - scores[1:]
        shown = int(asked.sum())
        if len(others):
            lost -= lost[:, shown:].mean(axis=1, keepdims=True)
        order = np.argsort(-lost, axis=0, kind="stable")
        names = self.products.of_rows(candidates.products[asked])
        return {
            name: {gone[place]: float(lost[place, column]) for place in order[:, column]}
            for column, name in enumerate(names)
        }

    def _candidates(
        self, setting: str, user_id: str, known: Mapping[str, int], others: Sequence[str]
    ) -> Candidates | None:
        """None for a user or a setting that it does not know."""
        row = int(self.users.rows([user_id])[0])
        if row < 0 or setting not in self.rankers:
            return None
        return self.lists[setting].user(row, _rows(known, others))

    def _features(self, candidates: Candidates, own: OwnLines, known: Mapping[str, int], moment: datetime) -> Features:
        past = Past.of(self._lines(own, known), to_ms(moment))
        return Features.joined(
            [candidates.scores, pair_features(self.market, past, candidates.users, candidates.products)]
        )

    def _lines(self, own: OwnLines, known: Mapping[str, int]) -> Lines:
        rows = np.array([known.get(product, -1) for product in own.products], np.int64)
        there = rows >= 0
        times = np.array(own.times_ms, np.int64)[there]
        purchases = Purchases(np.zeros(len(times), np.int64), rows[there], times, 1, len(self.products))
        units, amounts, discounts = (
            np.array(side, np.float64)[there] for side in (own.quantities, own.amounts, own.discounts)
        )
        return Lines.stated(purchases, units, amounts, discounts)


def _rows(known: Mapping[str, int], names: Iterable[str]) -> np.ndarray:
    """(known ones of the names,), int64."""
    return np.array([known[name] for name in names if name in known], np.int64)


def _sources(table: Features, rows: np.ndarray) -> list[tuple[str, ...]]:
    """Of each row, the sources that rank it within the first, by rank."""
    columns = [place for place, name in enumerate(table.names) if name.endswith("_rank")]
    names = [table.names[place].removesuffix("_rank") for place in columns]
    ranks = np.expm1(table.values[rows][:, columns])
    best = np.argsort(ranks, axis=1, kind="stable")
    within = np.take_along_axis(ranks, best, axis=1) < NAMED_WITHIN
    return [tuple(names[place] for place in row[kept].tolist()) for row, kept in zip(best, within, strict=True)]
