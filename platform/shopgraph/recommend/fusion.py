"""Reciprocal rank fusion: many ranked lists into one, by arithmetic on ranks alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from shopgraph.errors import ConfigurationError
from shopgraph.recommend.candidate import Candidate


@dataclass(frozen=True)
class Blend:
    """Which sources speak, how loudly, and how steeply their voice falls with rank."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    weights: Mapping[str, Annotated[float, Field(ge=0)]]
    """By source; one of weight 0 is not asked."""
    rank_offset: Annotated[float, Field(gt=-1)] = 60.0
    """Added to each rank: small, a first place counts for much; large, agreement of sources does."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", MappingProxyType(dict(self.weights)))

    @property
    def sources(self) -> list[str]:
        return [source for source, weight in self.weights.items() if weight > 0]

    def with_source(self, source: str, weight: float) -> Blend:
        return Blend({**self.weights, source: weight}, self.rank_offset)


@dataclass(frozen=True)
class FusionConfig:
    """One blend a setting. The first two were tuned on purchases of weeks 45 to 48 of the Complete Journey."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    repeat: Blend = field(
        default_factory=lambda: Blend(
            {
                "repeat_purchases": 1.0,
                "due_again": 0.05,
                "bought_together": 0.05,
                "graph_neighbours": 0.1,
                "popular_lately": 0.1,
                "category_favourites": 0.05,
            },
            rank_offset=5.0,
        )
    )
    """Where products the user owns may come again."""
    novel: Blend = field(
        default_factory=lambda: Blend(
            {
                "graph_neighbours": 1.0,
                "popular_lately": 0.15,
                "bought_together": 0.05,
                "category_favourites": 0.01,
                "text_neighbours": 0.01,
            },
            rank_offset=250.0,
        )
    )
    """Where they may not."""
    session: Blend = field(
        default_factory=lambda: Blend(
            {"session_neighbours": 1.0, "searched_lately": 1.0, "popular_in_category": 0.2, "popular_lately": 0.1}
        )
    )
    """For a newcomer who has looked at something or typed a query; its first two also join the settings above where
    the user has."""
    segment: Blend = field(default_factory=lambda: Blend({"popular_in_segment": 1.0}))
    """For a newcomer of whom only attributes are known."""
    category: Blend = field(default_factory=lambda: Blend({"popular_in_category": 1.0}))
    """For a stranger who asks for some categories."""
    popular: Blend = field(default_factory=lambda: Blend({"popular_lately": 1.0}))
    """For anyone else."""
    new: Blend = field(default_factory=lambda: Blend({"text_new_arrivals": 1.0, "attribute_paths": 0.5}))
    """For what nobody has bought yet, shown to someone with a history."""
    arrivals: Blend = field(default_factory=lambda: Blend({"new_arrivals": 1.0}))
    """The same for anyone else."""
    similar: Blend = field(
        default_factory=lambda: Blend({"similar_baskets": 1.0, "similar_graph": 1.0, "similar_text": 0.7})
    )
    """For products like one product."""
    like: Blend = field(
        default_factory=lambda: Blend({"baskets_like_these": 1.0, "graph_like_these": 1.0, "text_like_these": 0.7})
    )
    """For products like several and unlike others."""
    search: Blend = field(default_factory=lambda: Blend({"full_text_search": 1.0, "text_search": 1.0}))
    """For what answers a query."""

    @property
    def sources(self) -> set[str]:
        return {source for blend in vars(self).values() for source in blend.sources}

    def changed(self, fields: Mapping[str, Any], named: str) -> FusionConfig:
        """With some fields set anew; weights of sources that are not named stay.

        Args:
            named: what brought the fields, for the error.

        Raises:
            ConfigurationError: a field that is not there, or a value that it can't have.
        """
        anew = {setting: _merged(vars(self).get(setting), blend) for setting, blend in fields.items()}
        try:
            return TypeAdapter(FusionConfig).validate_python(vars(self) | anew)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ConfigurationError(f"{named}: {place}: {first['msg']} (got {first['input']!r})") from None


def _merged(present: Blend | None, given: Any) -> Any:
    """What was given is validated later; what is no mapping stays as it is until then."""
    if present is None or not isinstance(given, Mapping):
        return given
    weights = given.get("weights", {})
    return {
        "rank_offset": present.rank_offset,
        **given,
        "weights": {**present.weights, **weights} if isinstance(weights, Mapping) else weights,
    }


@dataclass(frozen=True)
class Fused:
    """One product after fusion, with the sources that offered it, the loudest first."""

    id: str
    score: float
    sources: tuple[str, ...]
    via: str | None
    shares: Mapping[str, float] = field(default_factory=dict)
    """What each source adds to the score; empty where a score is no sum."""


def fuse(lists: Mapping[str, Sequence[Candidate | None]], blend: Blend) -> list[Fused]:
    """Score each product by the sum over sources of weight / (rank_offset + rank), ranks counted from 1.

    Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual rank learning methods",
    SIGIR 2009; the weights are ours. Ties go by id. None in a list holds a rank that nothing is offered at.
    """
    offered: dict[str, list[tuple[float, str, str | None]]] = {}
    for source, candidates in lists.items():
        for rank, candidate in enumerate(candidates, start=1):
            if candidate is None:
                continue
            share = blend.weights[source] / (blend.rank_offset + rank)
            offered.setdefault(candidate.id, []).append((share, source, candidate.via))
    fused = []
    for item, parts in offered.items():
        loudest = sorted(parts, key=lambda part: (-part[0], part[1]))
        via = next((via for _, _, via in loudest if via is not None and via != item), None)
        shares = {name: share for share, name, _ in loudest}
        fused.append(Fused(item, sum(shares.values()), tuple(shares), via, shares))
    return sorted(fused, key=lambda item: (-item.score, item.id))
