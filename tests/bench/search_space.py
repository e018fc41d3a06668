"""What `make tune-accuracy` may change of each model, as data: parameters by dotted place in its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import optuna

from shopgraph.collaborative.peers import PEERS
from shopgraph.embed.config import GraphEmbeddingConfig
from shopgraph.embed.encoders import ENCODERS
from shopgraph.embed.loss import LOSSES
from shopgraph.embed.negatives import SOURCES
from shopgraph.errors import ConfigurationError
from shopgraph.ranking.candidates import CandidateConfig
from shopgraph.ranking.examples import SampleConfig
from shopgraph.ranking.lambdamart import LambdaMartConfig

SIGNIFICANT_DIGITS = 3


@dataclass(frozen=True)
class Number:
    """From low to high, both included; whole where low is."""

    low: float
    high: float
    log: bool = False

    def suggest(self, trial: optuna.Trial, place: str) -> float:
        if isinstance(self.low, int):
            return trial.suggest_int(place, self.low, int(self.high), log=self.log)
        return float(f"{trial.suggest_float(place, self.low, self.high, log=self.log):.{SIGNIFICANT_DIGITS}g}")

    def holds(self, value: Any) -> bool:
        is_kind = isinstance(value, int) or not isinstance(self.low, int)
        return isinstance(value, int | float) and is_kind and self.low <= value <= self.high


@dataclass(frozen=True)
class Choice:
    """One of some values."""

    values: tuple[Any, ...]

    def suggest(self, trial: optuna.Trial, place: str) -> Any:
        return trial.suggest_categorical(place, self.values)

    def holds(self, value: Any) -> bool:
        return value in self.values


Space = Mapping[str, Number | Choice]

HALF_LIFE: Space = {"half_life_weeks": Number(1.0, 104.0, log=True)}
DECAYED: Space = {**HALF_LIFE, "power": Number(0.0, 1.0)}

PEER_SPACES: Mapping[str, Space] = {
    "popularity": {"weeks": Number(0.5, 52.0, log=True)},
    "personal_frequency": {**HALF_LIFE, "popularity_weeks": Number(0.5, 52.0, log=True)},
    "item_knn": {
        "likeness": Choice(("cosine", "bm25")),
        "neighbours": Number(20, 2000, log=True),
        "saturation": Number(0.5, 200.0, log=True),
        "length_share": Number(0.0, 1.0),
        **DECAYED,
    },
    "user_knn": {"neighbours": Number(10, 1000, log=True), **DECAYED},
    "rp3beta": {"alpha": Number(0.2, 2.0), "beta": Number(0.0, 1.0), **DECAYED},
    "ease": {"regularisation": Number(1.0, 10_000.0, log=True), **DECAYED},
    "ials": {
        "dimension": Number(16, 256, log=True),
        "regularisation": Number(1e-4, 100.0, log=True),
        "confidence": Number(0.1, 100.0, log=True),
        "iterations": Number(5, 30),
        **DECAYED,
    },
    "bpr": {
        "dimension": Number(16, 256, log=True),
        "learning_rate": Number(1e-4, 0.1, log=True),
        "regularisation": Number(1e-5, 0.1, log=True),
        "epochs": Number(5, 100, log=True),
    },
    "gf_cf": {"dimension": Number(16, 512, log=True), "ideal_weight": Number(0.0, 1.0), **DECAYED},
    "up_cf": {
        "recent_baskets": Number(5, 200, log=True),
        "asymmetry": Number(0.0, 1.0),
        "locality": Number(0.5, 20.0, log=True),
        "neighbours": Number(10, 2500, log=True),
    },
    "tifu_knn": {
        "groups": Number(1, 50, log=True),
        "basket_decay": Number(0.5, 1.0),
        "group_decay": Number(0.5, 1.0),
        "neighbours": Number(10, 1000, log=True),
        "own_share": Number(0.0, 1.0),
    },
    "page_rank": {
        "restart": Number(0.05, 0.95),
        "catalogue_share": Number(0.0, 1.0),
        "rounds": Number(1, 6),
        **DECAYED,
    },
    "attribute_affinity": {"rarity": Number(0.0, 4.0), **DECAYED},
}

LIGHTGCN: Space = {
    "optimiser.learning_rate": Number(0.001, 0.1, log=True),
    "options.layers": Number(1, 3),
    "half_life_weeks": Number(4.0, 104.0, log=True),
    "loss": Choice(tuple(LOSSES)),
    "negatives.source": Choice(SOURCES),
    "negatives.count": Number(500, 8000, log=True),
}
ENCODER: Space = {**LIGHTGCN, "options.dropout": Number(0.0, 0.5)}

RANKER: Space = {
    "trees.num_leaves": Number(7, 127, log=True),
    "trees.truncation_level": Number(10, 100, log=True),
    "trees.learning_rate": Number(0.02, 0.2, log=True),
    "trees.min_data_in_leaf": Number(50, 2000, log=True),
    "candidates.depth": Choice((100, 200, 400)),
    "sample.negatives": Choice((50, 100, 150, 200)),
}


def space_of(kind: str, name: str) -> Space:
    if kind == "peer":
        return PEER_SPACES[name]
    return RANKER if kind == "fused" else LIGHTGCN if name == "lightgcn" else ENCODER


def defaults_of(kind: str, name: str) -> dict[str, Any]:
    """What a model's configuration is where nothing is chosen, as nested mappings."""
    if kind == "peer":
        return asdict(PEERS[name].config())
    if kind == "encoder":
        return {**asdict(GraphEmbeddingConfig()), "options": asdict(ENCODERS[name][0]())}
    return {
        "trees": asdict(LambdaMartConfig()),
        "candidates": asdict(CandidateConfig()),
        "sample": asdict(SampleConfig()),
    }


def merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both, mappings within mappings too; where they differ the second counts."""
    inner = {
        key: merged(under[key], value)
        for key, value in over.items()
        if isinstance(value, Mapping) and isinstance(under.get(key), Mapping)
    }
    return {**under, **over, **inner}


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """{"a.b": 1} -> {"a": {"b": 1}}."""
    found: dict[str, Any] = {}
    for place, value in values.items():
        inner = found
        *parents, leaf = place.split(".")
        for part in parents:
            inner = inner.setdefault(part, {})
        inner[leaf] = value
    return found


def values_in(options: Mapping[str, Any], space: Space, where: str) -> dict[str, Any]:
    """What a whole configuration has at each place of a space.

    Raises:
        ConfigurationError: a value that the space does not hold, so that tuning could not begin with it.
    """
    found = {}
    for place, parameter in space.items():
        value: Any = options
        for part in place.split("."):
            value = value[part]
        if not parameter.holds(value):
            raise ConfigurationError(
                f"{where}: {place} = {value!r} lies outside what is searched, {parameter}; "
                "widen tests/bench/search_space.py, or choose another value"
            )
        found[place] = value
    return found
