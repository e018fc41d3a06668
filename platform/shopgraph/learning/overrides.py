"""Configurations with some fields set otherwise, as JSON brings them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from shopgraph.errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Config = TypeVar("Config", bound="DataclassInstance")


def configured(config: Config, overrides: Mapping[str, Any]) -> Config:
    """A learner's config with some of its fields set otherwise; a part of it that is a config takes a mapping.

    Raises:
        ConfigurationError: a field that it does not have.
    """
    known = {field.name: getattr(config, field.name) for field in fields(config)}
    unknown = sorted(overrides.keys() - known.keys())
    if unknown:
        has = ", ".join(known)
        raise ConfigurationError(f"{type(config).__name__} has no {', '.join(unknown)}: it has {has}")
    return replace(config, **{name: _like(known[name], value) for name, value in overrides.items()})


def _like(present: Any, value: Any) -> Any:
    """JSON knows neither configs nor tuples: what it brings takes the shape of what stands there."""
    if is_dataclass(present) and not isinstance(present, type) and isinstance(value, Mapping):
        return configured(present, value)
    return tuple(value) if isinstance(present, tuple) else value
