"""Nested configs as flat names, as a card prints them and a tracker files them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def dotted(nested: Mapping[str, Any]) -> dict[str, Any]:
    """`{"loop": {"epochs": 20}}` as `{"loop.epochs": 20}`; an empty mapping leaves nothing."""
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": found for inner, found in dotted(value).items()}
        else:
            flat[name] = value
    return flat
