"""Features as named columns in groups, so that a ranker knows what it was trained on and a group can be left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from shopgraph.errors import ConfigurationError

GROUPS = ("collaborative", "graph", "attribute", "popularity", "repeat", "price")


@dataclass(frozen=True)
class Features:
    """Columns of numbers, one row a (user, product) pair; NaN where there is nothing to say.

    Shapes:
        names, groups: one entry a column
        values: (rows, columns), float32
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    values: np.ndarray

    @classmethod
    def of(cls, group: str, columns: Mapping[str, np.ndarray]) -> Features:
        """Columns of one group.

        Raises:
            ConfigurationError: there is no such group.
        """
        _check_groups([group])
        rows = len(next(iter(columns.values()), ()))
        values = np.empty((rows, len(columns)), dtype=np.float32)
        for place, column in enumerate(columns.values()):
            values[:, place] = column
        return cls(tuple(columns), (group,) * len(columns), values)

    @classmethod
    def joined(cls, parts: Iterable[Features]) -> Features:
        """Columns of several tables of the same rows side by side; one without columns tells of no row."""
        parts = [part for part in parts if part.names]
        return cls(
            tuple(name for part in parts for name in part.names),
            tuple(group for part in parts for group in part.groups),
            np.concatenate([part.values for part in parts], axis=1),
        )

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, name: str) -> np.ndarray:
        """(rows,) of a column."""
        return self.values[:, self.names.index(name)]

    def chosen(self, rows: np.ndarray) -> Features:
        """Some rows, by numbers or by a bool mask."""
        return Features(self.names, self.groups, self.values[rows])

    def without_groups(self, *groups: str) -> Features:
        """What an ablation sees: the columns of all other groups.

        Raises:
            ConfigurationError: there is no such group.
        """
        _check_groups(groups)
        kept = [place for place, group in enumerate(self.groups) if group not in groups]
        names, left = (tuple(side[place] for place in kept) for side in (self.names, self.groups))
        return Features(names, left, self.values[:, kept])


def _check_groups(groups: Iterable[str]) -> None:
    for group in groups:
        if group not in GROUPS:
            raise ConfigurationError(f"no group of features is called {group!r}; there are {', '.join(GROUPS)}")
