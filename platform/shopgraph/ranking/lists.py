"""What a ranker keeps of each user: candidates, and what each source says of them, in files that are read in part."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from shopgraph.errors import InputError
from shopgraph.ranking.candidates import Candidates
from shopgraph.ranking.features import Features
from shopgraph.ranking.mapped import Rows, mapped

CARD, BOUNDS, PRODUCTS, SCORES = "lists.json", "bounds.npy", "products.npy", "scores.npy"


@dataclass(frozen=True)
class Lists:
    """The candidates of every user in one setting.

    Shapes:
        bounds: (users + 1,), int64; rows bounds[i] to bounds[i + 1] are those of user i
        products: (rows,), int32, ascending within a user
        scores: (rows, columns), float16
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    bounds: np.ndarray
    products: np.ndarray | Rows
    scores: np.ndarray | Rows
    _counted: dict[str, np.ndarray] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, candidates: Candidates, user_count: int) -> Lists:
        bounds = np.searchsorted(candidates.users, np.arange(user_count + 1))
        scores = candidates.scores
        return cls(
            scores.names,
            scores.groups,
            bounds,
            candidates.products.astype(np.int32),
            scores.values.astype(np.float16, order="C"),
        )

    def users_by_product(self, count: int) -> np.ndarray:
        """(count,): users whose candidates a product is among; counted when first asked for."""
        if "listed" not in self._counted:
            self._counted["listed"] = np.bincount(self.products[:], minlength=count)
        return self._counted["listed"]

    def user(self, row: int, others: np.ndarray) -> Candidates:
        """A user's candidates, as user 0, and products beside that no source had named.

        Of such a source says what it says least of: its lowest score, and the rank after its last.

        Shapes:
            others: any number of product numbers
        """
        start, end = self.bounds[row], self.bounds[row + 1]
        own = self.products[start:end].astype(np.int64)
        said = self.scores[start:end].astype(np.float32)
        added = np.setdiff1d(others, own)
        products = np.concatenate([own, added])
        unsaid = self._unsaid(said)
        values = np.concatenate([said, np.broadcast_to(unsaid, (len(added), len(unsaid)))])
        order = np.argsort(products, kind="stable")
        table = Features(self.names, self.groups, values[order])
        return Candidates(np.zeros(1, np.int64), np.zeros(len(products), np.int64), products[order], table)

    def _unsaid(self, said: np.ndarray) -> np.ndarray:
        """(columns,)"""
        if not len(said):
            return np.zeros(len(self.names), np.float32)
        is_rank = np.array([name.endswith("_rank") for name in self.names])
        return np.where(is_rank, np.log1p(len(said)), said.min(axis=0)).astype(np.float32)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, side in ((BOUNDS, self.bounds), (PRODUCTS, self.products), (SCORES, self.scores)):
            np.save(folder / name, side[:])
        (folder / CARD).write_text(json.dumps({"columns": dict(zip(self.names, self.groups, strict=True))}))

    @classmethod
    def load(cls, folder: Path) -> Lists:
        """Raises InputError where the folder holds no whole lists."""
        try:
            columns = json.loads((folder / CARD).read_text())["columns"]
            bounds, products, scores = mapped(folder / BOUNDS), Rows(folder / PRODUCTS), Rows(folder / SCORES)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{folder} holds no lists that can be read ({error}): train the ranker again") from None
        return cls(tuple(columns), tuple(columns.values()), bounds, products, scores)


@dataclass(frozen=True)
class Ids:
    """Names by row number, in ascending order, as a file of bytes: a dictionary of a million would take 100 MB.

    Shapes:
        names: (rows,), bytes of one length
    """

    names: np.ndarray

    @classmethod
    def of(cls, names: Sequence[str]) -> Ids:
        """Raises InputError where they do not ascend: rows are found by halving."""
        table = np.array([name.encode() for name in names], dtype=np.bytes_)
        if len(table) > 1 and not (table[:-1] < table[1:]).all():
            raise InputError("ids must ascend, each once")
        return cls(table)

    def __len__(self) -> int:
        return len(self.names)

    def rows(self, wanted: Sequence[str]) -> np.ndarray:
        """(wanted,): the row of each, -1 where it is not there."""
        if not len(wanted) or not len(self.names):
            return np.full(len(wanted), -1, np.int64)
        raw = [name.encode() for name in wanted]
        keys = np.array(
            raw, dtype=self.names.dtype
        )  # of another length, numpy would copy all names to that of the keys
        fits = np.array([len(name) for name in raw]) <= self.names.dtype.itemsize
        place = np.minimum(np.searchsorted(self.names, keys), len(self.names) - 1)
        return np.where(fits & (self.names[place] == keys), place, -1)

    def known(self, wanted: Iterable[str]) -> dict[str, int]:
        """Rows by name, each looked for once however often it is wanted; names that are not there are left out."""
        names = list(dict.fromkeys(wanted))
        return {name: row for name, row in zip(names, self.rows(names).tolist(), strict=True) if row >= 0}

    def of_rows(self, rows: np.ndarray) -> list[str]:
        return [name.decode() for name in self.names[rows].tolist()]

    def save(self, path: Path) -> None:
        np.save(path, self.names)

    @classmethod
    def load(cls, path: Path) -> Ids:
        """Raises InputError where the file is not there or damaged."""
        try:
            return cls(mapped(path))
        except (OSError, ValueError) as error:
            raise InputError(f"{path} can't be read ({error}): train the ranker again") from None
