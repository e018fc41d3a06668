"""Ids and the row numbers that stand for them in every table, tensor and vector file of one snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from shopgraph.errors import InputError


class Vocabulary:
    """The ids of one label in the order of their rows.

    Raises:
        InputError: an id twice.
    """

    def __init__(self, label: str, ids: Sequence[str]) -> None:
        self.label = label
        self.ids = list(ids)
        self._rows = {value: row for row, value in enumerate(self.ids)}
        if len(self._rows) != len(self.ids):
            twice = next(value for row, value in enumerate(self.ids) if self._rows[value] != row)
            raise InputError(f"{label} {twice!r} stands twice in the vocabulary: ids are unique")

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, value: object) -> bool:
        return value in self._rows

    def row(self, value: str) -> int:
        """Raises InputError for an id that the snapshot did not hold."""
        try:
            return self._rows[value]
        except KeyError:
            raise InputError(
                f"{self.label} {value!r} is not among the {len(self)} of this snapshot: "
                "export a newer one, or leave it to the newcomer's answer"
            ) from None

    def rows(self, values: Iterable[str]) -> np.ndarray:
        """(n,) int64; raises InputError at the first unseen id."""
        return np.fromiter((self.row(value) for value in values), dtype=np.int64)

    def known(self, values: Sequence[str]) -> np.ndarray:
        """(n,) int64, -1 where an id is unseen."""
        return np.fromiter((self._rows.get(value, -1) for value in values), dtype=np.int64, count=len(values))
