"""Several rankers as one: the mean of their scores, each in units of its own spread."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shopgraph.errors import InputError
from shopgraph.evaluation import DEPTH
from shopgraph.ranking.examples import Examples
from shopgraph.ranking.features import Features
from shopgraph.ranking.ranker import CARD, FeatureRanker, load_ranker, ranked, spread


@dataclass(frozen=True)
class BlendedRanker:
    """The mean of rankers over the same features.

    Attributes:
        spreads: by part, what its scores are divided by.
    """

    parts: Mapping[str, FeatureRanker]
    spreads: Mapping[str, float]

    @classmethod
    def of(cls, parts: Mapping[str, FeatureRanker], rows: Examples) -> BlendedRanker:
        """Take each part's spread from rows that none has learned from.

        A spread is one number for all users, not one for each, so that a product's score does not depend on which
        others are asked for, and what features add to the parts' scores adds up to the whole's.
        """
        return cls(parts, {name: spread(rows.candidates, part.scores(rows.features)) for name, part in parts.items()})

    @property
    def names(self) -> tuple[str, ...]:
        return next(iter(self.parts.values())).names

    @property
    def groups(self) -> tuple[str, ...]:
        return next(iter(self.parts.values())).groups

    def scores(self, features: Features) -> np.ndarray:
        """(rows,) float64: comparable within a user only.

        Raises:
            InputError: the features are not those it was trained on, in their order.
        """
        return self._mean([part.scores(features) for part in self.parts.values()])

    def contributions(self, features: Features) -> np.ndarray:
        """(rows, columns + 1) float64: the mean of what each feature adds to the parts' scores.

        Raises:
            InputError: see `scores`.
        """
        return self._mean([part.contributions(features) for part in self.parts.values()])

    def rank(self, examples: Examples, depth: int = DEPTH) -> np.ndarray:
        """(judged users, depth) product numbers, best first, `NO_ITEM` where a user's candidates run out."""
        return ranked(examples.candidates, self.scores(examples.features), depth)

    def save(self, folder: Path) -> None:
        """Keep it as `ranker.json` and a folder a part."""
        for name, part in self.parts.items():
            part.save(folder / name)
        (folder / CARD).write_text(json.dumps({"kind": "both", "spreads": dict(self.spreads)}, indent=2))

    @classmethod
    def load(cls, folder: Path) -> BlendedRanker:
        """Raises InputError where the folder holds no whole ranker."""
        try:
            card = json.loads((folder / CARD).read_text())
            spreads = {name: float(spread) for name, spread in card["spreads"].items()}
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise InputError(f"{folder} holds no ranker that can be read ({error}): train it again") from None
        return cls({name: load_ranker(folder / name) for name in spreads}, spreads)

    def _mean(self, sides: Sequence[np.ndarray]) -> np.ndarray:
        return np.mean([side / spread for side, spread in zip(sides, self.spreads.values(), strict=True)], axis=0)
