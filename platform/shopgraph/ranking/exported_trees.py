"""Trees as serving runs them: ONNX, which scores a user's candidates in half of lightgbm's time, without its 100 MB."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shopgraph.errors import InputError
from shopgraph.ranking.features import Features
from shopgraph.ranking.ranker import CARD, check_names, spreads_of

if TYPE_CHECKING:
    import lightgbm as lgb

ROWS = "features"
"""What the trees take, (rows, features) float32, NaN where there is nothing to say."""
OPSET = 15


def export(boosters: Sequence[lgb.Booster], folder: Path) -> None:
    """Keep each set of trees as ONNX."""
    from onnxmltools import convert_lightgbm  # with scikit-learn, and nobody but a trainer exports
    from onnxmltools.convert.common.data_types import FloatTensorType

    for place, booster in enumerate(boosters):
        rows = [(ROWS, FloatTensorType([None, booster.num_feature()]))]
        exported = convert_lightgbm(_as_served(booster), initial_types=rows, target_opset=OPSET, zipmap=False)
        (folder / exported_name(place)).write_bytes(exported.SerializeToString())


def _as_served(booster: lgb.Booster) -> lgb.Booster:
    """The same trees, whose sum is the score by whatever loss they learned, each threshold rounded down.

    ONNX keeps them so and rounds to the nearest, which may be a value that lay above the threshold; features are of
    single precision, so that none lies between a threshold and what it is rounded down to.
    """
    import lightgbm as lgb

    lines = booster.model_to_string().splitlines()
    # the bytes of each tree change; where they are not said, trees are read one after the other
    kept = [_served(line) for line in lines if not line.startswith("tree_sizes=")]
    return lgb.Booster(model_str="\n".join(kept) + "\n")


def _served(line: str) -> str:
    name, _, told = line.partition("=")
    if name == "objective":
        return "objective=regression"
    if name.startswith("[objective:"):
        return "[objective: regression]"
    if name != "threshold":
        return line
    exact = np.array(told.split(), np.float64)
    near = exact.astype(np.float32)
    below = np.where(near > exact, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float64)
    return f"threshold={' '.join(map(repr, below.tolist()))}"


def exported_name(place: int) -> str:
    return f"trees-{place}.onnx"


@dataclass(frozen=True)
class ExportedTrees:
    """Sets of trees over named features, kept beside those that they were exported from.

    Scores differ from those of `Ranker` by no more than single precision does.
    """

    folder: Path
    names: tuple[str, ...]
    groups: tuple[str, ...]
    spreads: tuple[float, ...]
    """By set, what its scores are divided by."""

    def scores(self, features: Features) -> np.ndarray:
        """(rows,) float64: comparable within a user only.

        Raises:
            InputError: the features are not those it was trained on, in their order.
        """
        check_names(self.names, features)
        asked = {ROWS: np.ascontiguousarray(features.values, np.float32)}
        found: list[np.ndarray] = [session.run(None, asked)[0][:, 0] for session in self._sessions]
        return np.sum([side / np.float64(of) for side, of in zip(found, self.spreads, strict=True)], axis=0)

    def contributions(self, features: Features) -> np.ndarray:
        """See `Ranker.contributions`; whoever asks has lightgbm in memory from then on."""
        from shopgraph.ranking.lambdamart import Ranker

        return Ranker.load(self.folder).contributions(features)

    def save(self, folder: Path) -> None:
        """Keep a copy."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)

    @classmethod
    def load(cls, folder: Path) -> ExportedTrees:
        """Raises InputError where the folder holds no whole ranker."""
        try:
            card = json.loads((folder / CARD).read_text())
            features = card["features"]
            found = cls(folder, tuple(features), tuple(features.values()), spreads_of(card))
            found._sessions  # noqa: B018  damage is told now, not to who asks first
        except Exception as error:  # onnxruntime raises bare ones of its own
            raise InputError(f"{folder} holds no ranker that can be read ({error}): train it again") from None
        return found

    @cached_property
    def _sessions(self) -> list[Any]:
        import onnxruntime  # not before a server forks: a child that finds it loaded does not end

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # many users ask at once
        options.log_severity_level = 3
        files = [str(self.folder / exported_name(place)) for place in range(len(self.spreads))]
        return [onnxruntime.InferenceSession(each, options, providers=["CPUExecutionProvider"]) for each in files]
