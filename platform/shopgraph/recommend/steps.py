"""The chain of what an answer may rest on, the first that answers being taken."""

from __future__ import annotations

from collections.abc import Sequence

from shopgraph.recommend.fusion import Blend, FusionConfig
from shopgraph.recommend.standing import Standing

IN_SESSION = "session_neighbours"


def steps(
    fusion: FusionConfig, standing: Standing, exclude_owned: bool, session: Sequence[str], new_only: bool = False
) -> list[tuple[str, Blend]]:
    """Names of steps, see `Recommendations`, each with its blend.

    Args:
        session: products of the visit, latest first.
        new_only: what is asked for is what nobody has bought yet.
    """
    if new_only:
        return [*([("personal", fusion.new)] if standing.active else []), ("arrivals", fusion.arrivals)]
    found: list[tuple[str, Blend]] = []
    if standing.active:
        personal = fusion.novel if exclude_owned else fusion.repeat
        weight = fusion.session.weights.get(IN_SESSION, 0.0)
        found.append(("personal", personal.with_source(IN_SESSION, weight) if session else personal))
    if session:
        found.append(("session", fusion.session))
    if standing.known:
        found.append(("segment", fusion.segment))
    return [*found, ("popular", fusion.popular)]
