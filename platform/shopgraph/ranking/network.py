"""A ranker that is a network, as serving runs it: ONNX, features as they come, no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from shopgraph.errors import InputError
from shopgraph.evaluation import DEPTH
from shopgraph.ranking.examples import Examples
from shopgraph.ranking.features import Features
from shopgraph.ranking.ranker import CARD, check_names, ranked

NETWORK = "network.onnx"
ROWS, SCORES = "features", "scores"
"""What the network takes, (rows, features) float32, NaN where there is nothing to say, and what it gives, (rows,)."""
ROWS_AT_ONCE = 20_000
ORDERS = 2
"""Orders in which features are told one after the other, each from either end."""


@dataclass(frozen=True)
class NetworkRanker:
    """A network over named features.

    Shapes:
        reference: (features,), float32: a pair of which nothing particular is known
        curve: NDCG@20 in the judging setting after every epoch, of the first network; empty if there was none
    """

    network: bytes
    names: tuple[str, ...]
    groups: tuple[str, ...]
    reference: np.ndarray
    epochs: tuple[int, ...] = ()
    """Epochs that each network was trained for."""
    curve: tuple[float, ...] = ()

    def scores(self, features: Features) -> np.ndarray:
        """(rows,) float64: comparable within a user only.

        Raises:
            InputError: the features are not those it was trained on, in their order.
        """
        check_names(self.names, features)
        return self._of(features.values)

    def contributions(self, features: Features) -> np.ndarray:
        """(rows, columns + 1) float64: what each feature adds to the score, and last the reference's; Shapley values.

        Told one after the other, each feature moves the score from the reference's to the row's; a feature's value is
        the mean of its moves over some orders, the same in every call. They are estimates, but sum exactly.

        Raises:
            InputError: see `scores`.

        Source: Castro, Gómez and Tejada, Polynomial calculation of the Shapley value based on sampling (2009), each
        order with its reverse: Mitchell et al., Sampling permutations for Shapley value estimation (2022).
        """
        check_names(self.names, features)
        values, width = features.values, len(self.names)
        found = np.zeros((len(values), width + 1))
        found[:, -1] = self._of(self.reference[None])[0]
        orders = list(_orders(width))
        for order in orders:
            told = np.empty(width, np.int64)
            told[order] = np.arange(width)
            # (steps, features): at step i the first i of the order are told
            known = told < np.arange(width + 1)[:, None]
            # (rows, steps, features)
            steps = np.where(known, values[:, None], self.reference)
            moves = np.diff(self._of(steps.reshape(-1, width)).reshape(len(values), width + 1), axis=1)
            found[:, order] += moves / len(orders)
        return found

    def rank(self, examples: Examples, depth: int = DEPTH) -> np.ndarray:
        """(judged users, depth) product numbers, best first, `NO_ITEM` where a user's candidates run out."""
        return ranked(examples.candidates, self.scores(examples.features), depth)

    def save(self, folder: Path) -> None:
        """Keep it as `ranker.json` and `network.onnx`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / NETWORK).write_bytes(self.network)
        card = {
            "kind": "neural",
            "features": dict(zip(self.names, self.groups, strict=True)),
            "reference": [None if np.isnan(value) else float(value) for value in self.reference],
            "epochs": self.epochs,
            "curve": self.curve,
        }
        (folder / CARD).write_text(json.dumps(card, indent=2))

    @classmethod
    def load(cls, folder: Path) -> NetworkRanker:
        """Raises InputError where the folder holds no whole ranker."""
        try:
            card = json.loads((folder / CARD).read_text())
            features, reference = card["features"], np.array(card["reference"], np.float32)
            network = (folder / NETWORK).read_bytes()
            if len(reference) != len(features):
                raise ValueError(f"{len(reference)} reference values of {len(features)} features")
            found = cls(
                network,
                tuple(features),
                tuple(features.values()),
                reference,
                tuple(card["epochs"]),
                tuple(card["curve"]),
            )
            found._of(reference[None])
        except Exception as error:  # onnxruntime raises bare ones of its own
            raise InputError(f"{folder} holds no ranker that can be read ({error}): train it again") from None
        return found

    @cached_property
    def _session(self) -> Any:
        import onnxruntime  # not before a server forks: a child that finds it loaded does not end

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # many users ask at once
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(self.network, options, providers=["CPUExecutionProvider"])

    def _of(self, values: np.ndarray) -> np.ndarray:
        """(rows,) float64."""
        parts = [
            self._session.run(None, {ROWS: values[start : start + ROWS_AT_ONCE].astype(np.float32)})[0]
            for start in range(0, len(values), ROWS_AT_ONCE)
        ]
        return np.concatenate(parts or [np.empty(0)]).astype(np.float64)


def _orders(width: int) -> Iterator[np.ndarray]:
    random = np.random.default_rng(0)
    for _ in range(ORDERS):
        order = random.permutation(width)
        yield order
        yield order[::-1]
