"""Experiments: what is tried at a place, and who sees which variant."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

from shopgraph.errors import InputError

AB, INTERLEAVING = KINDS = ("ab", "interleaving")
MEANINGS = {
    AB: "each user sees one variant, always the same",
    INTERLEAVING: "each user sees the lists of two variants merged into one; what they choose tells which is better",
}
MOST_VARIANTS = 10
LONGEST_NAME = 60
SHARE_BITS = 53
"""As many as a double holds exactly, so that a share is never rounded up to 1."""


@dataclass(frozen=True)
class Variant:
    """One way of making answers."""

    name: str
    weight: float = 1.0
    """Its share of the users, compared with the others' weights."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """What it changes of its place, see `Changes`."""


@dataclass(frozen=True)
class Experiment:
    """What is tried at a place.

    Raises:
        InputError: it can't be run so.
    """

    id: str
    name: str
    scenario: str
    kind: str
    variants: tuple[Variant, ...]
    """The first is the control."""

    def __post_init__(self) -> None:
        names = [variant.name for variant in self.variants]
        if self.kind not in KINDS:
            raise InputError(f"an experiment is one of {', '.join(KINDS)}, not {self.kind!r}")
        if not 0 < len(self.name) <= LONGEST_NAME:
            raise InputError(f"an experiment has a name of 1 to {LONGEST_NAME} characters")
        if not 2 <= len(names) <= MOST_VARIANTS:
            raise InputError(f"an experiment has 2 to {MOST_VARIANTS} variants, this one has {len(names)}")
        if len(set(names)) < len(names) or not all(0 < len(name) <= LONGEST_NAME for name in names):
            raise InputError(f"each variant has a name of its own of 1 to {LONGEST_NAME} characters")
        for variant in self.variants:
            if not (isfinite(variant.weight) and variant.weight > 0):
                raise InputError(f"{variant.name}: weight = {variant.weight:g}: a weight is above 0")
        if self.kind == INTERLEAVING and (len(names) != 2 or len({v.weight for v in self.variants}) > 1):
            raise InputError("interleaving takes two variants of equal weight")

    @classmethod
    def read(cls, node: Mapping[str, Any]) -> Experiment:
        """From its node in the graph."""
        variants = tuple(Variant(**variant) for variant in json.loads(node["variants"]))
        return cls(node["id"], node["name"], node["scenario"], node["kind"], variants)

    @property
    def variants_json(self) -> str:
        """As its node has them."""
        return json.dumps([asdict(variant) for variant in self.variants])

    @property
    def shares(self) -> list[float]:
        """Of the users, by variant; they sum to 1."""
        total = sum(variant.weight for variant in self.variants)
        return [variant.weight / total for variant in self.variants]

    def assigned(self, who: str) -> Variant:
        """The variant of a user or a visit: always the same, and independent of every other experiment's.

        Args:
            who: a pseudonym.
        """
        point = uniform(self.id, who)
        for variant, share in zip(self.variants, self.shares, strict=True):
            if point < share:
                return variant
            point -= share
        return self.variants[-1]


def uniform(*parts: str) -> float:
    """A number in [0, 1) that is the same for the same parts and like chance for others, by BLAKE2b."""
    digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> (64 - SHARE_BITS)) / 2**SHARE_BITS
