"""What every learned ranker does, how a list is made of its scores, and which kind a folder holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from shopgraph.errors import InputError
from shopgraph.evaluation import DEPTH, NO_ITEM
from shopgraph.ranking.candidates import Candidates
from shopgraph.ranking.features import Features

CARD = "ranker.json"
"""What a kept ranker says of itself, its kind among it."""


class FeatureRanker(Protocol):
    """Scores pairs of users and products by named features.

    Shapes:
        names, groups: one entry a feature
    """

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def groups(self) -> tuple[str, ...]: ...

    def scores(self, features: Features) -> np.ndarray:
        """(rows,) float64: comparable within a user only.

        Raises:
            InputError: the features are not those it was trained on, in their order.
        """
        ...

    def contributions(self, features: Features) -> np.ndarray:
        """(rows, columns + 1) float64: what each feature adds to the score, and last what any product has.

        A row's values sum to its score.

        Raises:
            InputError: see `scores`.
        """
        ...

    def save(self, folder: Path) -> None:
        """Keep it in a folder, with a card that says of which kind it is."""
        ...


def ranked(candidates: Candidates, scores: np.ndarray, depth: int = DEPTH) -> np.ndarray:
    """The products of each judged user by falling score, equal ones in the order of their numbers.

    Shapes:
        scores: (rows,)
        returns: (judged users, depth), int64, `NO_ITEM` where a list runs out
    """
    order = np.lexsort((candidates.products, -scores, candidates.users))
    bounds = candidates.bounds
    place = np.arange(len(order)) - np.repeat(bounds[:-1], np.diff(bounds))
    owner = np.repeat(np.arange(len(candidates.judged)), np.diff(bounds))
    shown = place < depth
    best = np.full((len(candidates.judged), depth), NO_ITEM, dtype=np.int64)
    best[owner[shown], place[shown]] = candidates.products[order[shown]]
    return best


def spread(candidates: Candidates, scores: np.ndarray) -> float:
    """The standard deviation of scores around each user's mean; 1 where they are all alike."""
    row = np.unique(candidates.users, return_inverse=True)[1]
    size = np.maximum(np.bincount(row), 1)
    centred = scores - (np.bincount(row, scores) / size)[row]
    return float(np.sqrt(np.mean(centred**2))) or 1.0


def spreads_of(card: Mapping[str, Any]) -> tuple[float, ...]:
    """What a card says; sets that were kept before there were several losses are added as they are."""
    return tuple(card.get("spreads", [1.0] * card["sets"]))


def check_names(names: Sequence[str], features: Features) -> None:
    """Raises InputError where features are not those that a ranker was trained on, in their order."""
    if features.names == tuple(names):
        return
    missing = [name for name in names if name not in features.names]
    unknown = [name for name in features.names if name not in names]
    differs = f"without {', '.join(missing)}; " if missing else ""
    differs += f"with {', '.join(unknown)}, which it does not know; " if unknown else ""
    raise InputError(
        f"the ranker was trained on other features: {differs or 'the order differs; '}train it again or make the "
        "features with the sources and facets it was trained with"
    )


def load_ranker(folder: Path) -> FeatureRanker:
    """The ranker of a folder, of whichever kind.

    Raises:
        InputError: the folder holds no whole ranker.
    """
    from shopgraph.ranking.blend import BlendedRanker
    from shopgraph.ranking.exported_trees import ExportedTrees, exported_name
    from shopgraph.ranking.lambdamart import Ranker
    from shopgraph.ranking.network import NetworkRanker

    # what was trained before trees were exported is there as it was trained
    trees = ExportedTrees if (folder / exported_name(0)).exists() else Ranker
    kinds: dict[str, Any] = {"lambdamart": trees, "neural": NetworkRanker, "both": BlendedRanker}
    try:
        # what was kept before there was a second kind does not say which it is
        kind = json.loads((folder / CARD).read_text()).get("kind", "lambdamart")
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{folder} holds no ranker that can be read ({error}): train it again") from None
    if kind not in kinds:
        raise InputError(f"{folder} holds a ranker of the kind {kind!r}, which is not known here: train it again")
    found: FeatureRanker = kinds[kind].load(folder)
    return found
