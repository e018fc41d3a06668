"""Where an answer is for: the scenario of that place, or what an experiment there makes of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from shopgraph.errors import ConfigurationError
from shopgraph.recommend.candidate import Sources
from shopgraph.recommend.experiment import INTERLEAVING, Experiment, uniform
from shopgraph.recommend.fusion import Blend, Fused
from shopgraph.recommend.interleaving import team_draft
from shopgraph.recommend.opened import VERSIONS
from shopgraph.recommend.scenario import PERSONAL, Scenario

logger = logging.getLogger(__name__)

MOST_RANKERS = VERSIONS
"""Of an experiment: with more, each answer would open one anew."""
MOST_KEPT = 100
"""Experiments whose variants a process keeps made up."""


@dataclass(frozen=True)
class Place:
    """How one answer is made."""

    ways: tuple[Scenario, ...]
    """One, or two whose lists are interleaved."""
    scenario: str = ""
    experiment: str = ""
    """The id of the experiment that chose the ways; "" where none did."""
    variant: str = ""
    """Of the experiment; "" where two are interleaved."""
    seed: tuple[str, ...] = ()

    @property
    def interleaves(self) -> bool:
        return len(self.ways) > 1

    def merged(self, pools: Sequence[list[Fused]]) -> tuple[list[Fused], dict[str, int]]:
        """One list of what each way offers, and the teams where two are interleaved.

        The coins are the same for a user and a day, so that pages do not overlap.
        """
        if not self.interleaves:
            return pools[0], {}
        return team_draft(pools[0], pools[1], lambda number: uniform(*self.seed, str(number)) < 0.5)


class Places:
    """All places of a shop.

    Args:
        usual: of a place without a name of its own.
        named: by name.
        has_ranker: whether a version of a ranker is there.

    Raises:
        ConfigurationError: a place names a source that has no query file, or a ranker that is not there.
    """

    def __init__(
        self,
        usual: Scenario,
        named: Mapping[str, Scenario],
        sources: Sources,
        has_ranker: Callable[[str], bool] = lambda version: False,
    ) -> None:
        self.usual = usual
        self.named = named
        self._sources = sources
        self._has_ranker = has_ranker
        for scenario in (usual, *named.values()):
            self._require(scenario)
        self._made: dict[str, tuple[Scenario, ...]] = {}

    def as_usual(self, scenario: str, *settings: str) -> bool:
        """Whether a place answers some settings of `FusionConfig` as every place does."""
        here, usual = self.named.get(scenario, self.usual), self.usual
        alike = all(here.blend(setting) == usual.blend(setting) for setting in settings)
        return alike and (here.ranker, here.diversity) == (usual.ranker, usual.diversity)

    def at(self, scenario: str, running: Experiment | None, who: str, moment: datetime) -> Place:
        """How an answer is made there.

        Args:
            running: the experiment that runs there.
            who: pseudonym of the user, or of the visit; without one nobody's variant could stay the same, and the
                place is as it always is.
        """
        usual = Place((self.named.get(scenario, self.usual),), scenario)
        ways = self._ways(running) if running is not None and who else ()
        if running is None or not ways:
            return usual
        if running.kind == INTERLEAVING:
            return Place(ways, scenario, running.id, seed=(running.id, who, f"{moment.astimezone(UTC):%Y-%m-%d}"))
        variant = running.assigned(who)
        return Place((ways[running.variants.index(variant)],), scenario, running.id, variant.name)

    def made(self, experiment: Experiment) -> tuple[Scenario, ...]:
        """What each variant makes of the place.

        Raises:
            ConfigurationError: a variant changes what can't be changed, or names a source that has no query file or a
                ranker that is not there.
        """
        usual = self.named.get(experiment.scenario, self.usual)
        ways = tuple(usual.changed(variant.changes, variant.name) for variant in experiment.variants)
        for way in ways:
            self._require(way)
        rankers = {way.ranker for way in ways} - {False}
        if len(rankers) > MOST_RANKERS:
            raise ConfigurationError(f"an experiment tries {MOST_RANKERS} rankers at most, this one {len(rankers)}")
        return ways

    def differs_for_strangers_alone(self, experiment: Experiment) -> bool:
        """Whether its variants differ in nothing but sources that a ranker replaces for the users whom it knows."""
        first, *others = self.made(experiment)
        alike = all(self._as_ranked(way) == self._as_ranked(first) for way in others)
        return alike and any(way != first for way in others)

    def _require(self, way: Scenario) -> None:
        self._sources.require(sorted(way.fusion.sources))
        if isinstance(way.ranker, str) and not self._has_ranker(way.ranker):
            raise ConfigurationError(f"ranker {way.ranker!r}: no such version on this machine, or it ranks nothing")

    def _as_ranked(self, way: Scenario) -> Scenario:
        """What is left of a way where the ranker answers: of the house's own sources, none of those it learned from."""
        if not way.ranker:
            return way
        heard = {
            setting: Blend({name: weight for name, weight in blend.weights.items() if self._sources.own(name)})
            for setting, blend in ((setting, getattr(way.fusion, setting)) for setting in PERSONAL)
        }
        return replace(way, fusion=replace(way.fusion, **heard))

    def _ways(self, experiment: Experiment) -> tuple[Scenario, ...]:
        """Nothing where this process can't make them: one that was started with other settings than the experiment."""
        if experiment.id not in self._made:
            if len(self._made) == MOST_KEPT:
                self._made.clear()
            try:
                self._made[experiment.id] = self.made(experiment)
            except ConfigurationError as error:
                logger.warning("experiment %s does not run here: %s", experiment.id, error)
                self._made[experiment.id] = ()
        return self._made[experiment.id]
