"""Scenarios: named places that answers are for, each with sources, ranker and variety of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, ValidationError

from shopgraph.errors import ConfigurationError
from shopgraph.recommend.fusion import Blend, FusionConfig

SETTING = "SHOPGRAPH_SCENARIOS"
LONGEST_NAME = 60
IN_SESSION, IN_SEARCHES = "session_neighbours", "searched_lately"
"""Sources of a visit: of what was looked at, and of what was typed."""
PERSONAL = ("repeat", "novel")
"""Settings of a user who has done something before."""

BUILT_IN: dict[str, dict[str, Any]] = {
    "home": {},
    "product": {
        "fusion": {
            "similar": {"weights": {"similar_baskets": 0.5, "similar_graph": 1.0, "similar_text": 1.0}},
            "session": {"weights": {"session_neighbours": 2.0}},
        }
    },
    "basket": {
        "fusion": {
            "similar": {"weights": {"similar_baskets": 1.0, "similar_graph": 0.3, "similar_text": 0.1}},
            "like": {"weights": {"baskets_like_these": 1.0, "graph_like_these": 0.3, "text_like_these": 0.1}},
            "session": {"weights": {"session_neighbours": 3.0}},
        }
    },
    "search": {},
}
"""What each place changes: a product's page shows what could take its place, the basket's what goes with what is in it.
By judgement, not by measurement: an experiment tells what is better in a shop."""


def _some_ranker(given: object) -> object:
    if isinstance(given, str) and not re.fullmatch(r"ranker-[\w-]+", given):
        raise ValueError("it is true, false, or a version such as ranker-261129104122-9b32")
    return given


class Changes(BaseModel):
    """What may be changed at a place, or in a variant of an experiment there."""

    model_config = ConfigDict(extra="forbid")

    fusion: dict[str, Any] = {}
    """See `FusionConfig.changed`."""
    ranker: Annotated[StrictBool | str | None, BeforeValidator(_some_ranker)] = None
    diversity: Annotated[float, Field(ge=0, le=1)] | None = None


@dataclass(frozen=True)
class Scenario:
    """How answers are made at a place."""

    fusion: FusionConfig = field(default_factory=FusionConfig)
    ranker: bool | str = True
    """Whether the release's ranker ranks there, or the version that does; rank fusion does where none does."""
    diversity: float = 0.0
    """How much it counts that products are unlike each other, where the question does not say; see `diversified`."""

    def blend(self, setting: str, silent: Sequence[str] = (), of_visit: Sequence[str] = ()) -> Blend:
        """Of a setting of `FusionConfig`.

        Args:
            silent: sources that are not asked.
            of_visit: sources of a visit that join in what a user is shown.
        """
        blend: Blend = getattr(self.fusion, setting)
        for source in of_visit if setting in PERSONAL else ():
            blend = blend.with_source(source, self.fusion.session.weights.get(source, 0.0))
        for source in silent:
            blend = blend.with_source(source, 0.0)
        return blend

    def changed(self, changes: Mapping[str, Any], named: str) -> Scenario:
        """With some fields set anew; what is not named stays.

        Args:
            changes: see `Changes`.
            named: what brought them, for the error.

        Raises:
            ConfigurationError: a field that is not there, or a value that it can't have.
        """
        try:
            given = Changes.model_validate(changes)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "changes"
            raise ConfigurationError(f"{named}: {place}: {first['msg']} (got {first['input']!r})") from None
        return replace(
            self,
            fusion=self.fusion.changed(given.fusion, f"{named}: fusion") if given.fusion else self.fusion,
            ranker=self.ranker if given.ranker is None else given.ranker,
            diversity=self.diversity if given.diversity is None else given.diversity,
        )


def read_scenarios(fusion: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Scenario]:
    """All named places: those built in, and those that the operator names.

    Args:
        fusion: what the operator set for all places; it outranks what is built in.
        given: by place, what the operator set there; it outranks both.

    Raises:
        ConfigurationError: naming the place and the field.
    """
    found = {}
    for name in {**BUILT_IN, **given}:
        if not 0 < len(name) <= LONGEST_NAME:
            raise ConfigurationError(f"{SETTING}: {name!r}: a place has a name of 1 to {LONGEST_NAME} characters")
        built_in = Scenario().changed(BUILT_IN.get(name, {}), f"built in: {name}")
        everywhere = built_in.changed({"fusion": dict(fusion)}, "SHOPGRAPH_FUSION")
        found[name] = everywhere.changed(given.get(name, {}), f"{SETTING}: {name}")
    return found
