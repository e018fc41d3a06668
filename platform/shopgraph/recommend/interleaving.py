"""Interleaving: two ranked lists merged into one, so that what is chosen from it tells which list is better."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shopgraph.recommend.fusion import Fused

NO_TEAM = -1


def team_draft(
    first: Sequence[Fused], second: Sequence[Fused], coin: Callable[[int], bool]
) -> tuple[list[Fused], dict[str, int]]:
    """Merge two lists as captains choose teams: who has fewer picks its best product that is still free.

    Where both have as many, a coin says who picks. Once a list has nothing left, what is left of the other one follows
    and belongs to no team: a team that picks alone would be credited with more than its share.

    Args:
        coin: of a round, counted from 0; true where the first list picks.

    Returns:
        All products, and by product the list that picked it (0, 1), or `NO_TEAM`.

    Source: Radlinski, Kurup and Joachims, "How does clickthrough data reflect retrieval quality?", CIKM 2008.
    """
    lists, places, picked = (first, second), [0, 0], [0, 0]
    merged: list[Fused] = []
    teams: dict[str, int] = {}

    def best(side: int) -> Fused | None:
        while places[side] < len(lists[side]) and lists[side][places[side]].id in teams:
            places[side] += 1
        return lists[side][places[side]] if places[side] < len(lists[side]) else None

    while True:
        side = int(picked[1] < picked[0]) if picked[0] != picked[1] else int(not coin(picked[0]))
        own, other = best(side), best(1 - side)
        chosen = own or other
        if chosen is None:
            return merged, teams
        merged.append(chosen)
        teams[chosen.id] = side if own and other else NO_TEAM
        picked[side] += 1
