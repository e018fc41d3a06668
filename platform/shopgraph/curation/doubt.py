"""Doubts: relations that somebody called a wrong reason, filed for a person to judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from shopgraph.errors import InputError
from shopgraph.graph.connection import Graph
from shopgraph.schema import NODES, RELATIONS, relation_id
from shopgraph.settings import utc_now

RIGHT, WRONG = VERDICTS = ("right", "wrong")


@dataclass(frozen=True)
class Doubted:
    """A relation, in its own direction."""

    relation: str
    start_label: str
    start: str
    end_label: str
    end: str

    @property
    def id(self) -> str:
        """The same for every doubt about it."""
        return relation_id(self.start, self.relation, self.end)


def last_of(path: Sequence[Mapping[str, Any]]) -> Doubted:
    """The relation of a reason's path that reaches the product: it is what the reason claims of it.

    Args:
        path: as an answer gives it, nodes and relations in turn; see `Reason`.

    Raises:
        InputError: there is no path, or it is none.
    """
    if len(path) < 3 or len(path) % 2 == 0:
        raise InputError("path: a reason without a path rests on no relation that could be wrong")
    try:
        start, relation, end = path[-3:]
        if not relation["forward"]:
            start, end = end, start
        found = Doubted(str(relation["type"]), start["label"], str(start["id"]), end["label"], str(end["id"]))
    except (KeyError, TypeError):
        said = "path: send it as the answer gave it: nodes (label, id) and relations (type, forward)"
        raise InputError(said) from None
    if found.relation not in RELATIONS or not {found.start_label, found.end_label} <= NODES.keys():
        raise InputError(f"path: the graph knows no {found.relation} between {found.start_label} and {found.end_label}")
    return found


def file_doubt(graph: Graph, doubted: Doubted, *, by: str, text: str = "") -> int:
    """File it; how often it was doubted. One that was judged before is open again.

    Args:
        by: who says so.
        text: why, in their words.

    Raises:
        InputError: the relation is not in the graph, or not any more.
    """
    found = graph.write("doubt_filed", id=doubted.id, **asdict(doubted), by=by, text=text, at=utc_now())
    if not found:
        raise InputError(f"{doubted.id} is not in the graph, or not any more")
    return int(found[0]["times"])


def judge_doubt(graph: Graph, doubt_id: str, verdict: str, *, by: str) -> None:
    """Judge a doubted relation; one that is wrong speaks for no product from the next answer on.

    Raises:
        InputError: no such verdict, or no open doubt has that id.
    """
    if verdict not in VERDICTS:
        raise InputError(f"{verdict!r} is no verdict; choose from {', '.join(VERDICTS)}")
    if not graph.write("doubt_judged", id=doubt_id, verdict=verdict, by=by, at=utc_now()):
        raise InputError(f"nobody doubts {doubt_id!r}, or it was judged meanwhile")


def reopen_doubt(graph: Graph, doubt_id: str, *, by: str) -> None:
    """Take a verdict back.

    Raises:
        InputError: no judged doubt has that id.
    """
    if not graph.write("doubt_reopened", id=doubt_id, by=by, at=utc_now()):
        raise InputError(f"no verdict on {doubt_id!r} stands")


def list_doubts(graph: Graph, limit: int = 200) -> list[dict[str, Any]]:
    """Open ones first, the most doubted first."""
    return list(graph.single("doubts_listed", limit=limit)["doubts"])
