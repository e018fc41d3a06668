"""What served answers are worth: users' later purchases judge what is served to them as of the moment before.

The moment is the newest event that any derived value or vector carries, so no answer sees what judges it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shopgraph.errors import InputError
from shopgraph.evaluation import DEPTH, NO_ITEM, Figures, Setting, evaluate, figures, pairs, protocol, recent_buyers
from shopgraph.graph.connection import Graph
from shopgraph.graph.wide_tables import all_ids, relation_table
from shopgraph.recommend.recommender import Recommender
from shopgraph.records import ARROW_TYPES
from shopgraph.schema import RELATIONS
from shopgraph.settings import utc_now
from shopgraph.tracking import Progress, silent

POPULARITY_WEEKS = 4
SESSION = 5
"""Products bought last that stand for a visit."""
POPULARITY, RECOMMENDER = f"popularity, last {POPULARITY_WEEKS} weeks", "recommend()"
NOVEL = "novel"

Answer = Callable[[str], Sequence[str]]
"""Products for a user, best first."""


class Judged:
    """Users and products by number, what was bought before a moment, and what counts as right after it.

    Args:
        seen, later: purchases before the moment and in the weeks judged; columns start (user), end (product), at.
    """

    def __init__(self, seen: pa.Table, later: pa.Table) -> None:
        self.users = pc.unique(pa.chunked_array([*seen["start"].chunks, *later["start"].chunks]))
        products = pc.unique(pa.chunked_array([*seen["end"].chunks, *later["end"].chunks]))
        self.products = products.take(pc.sort_indices(products))  # equal ones are told apart by id, as sources do
        self.seen = self._numbers(seen)
        self.times = seen["at"].to_numpy()
        shape = (len(self.users), len(self.products))
        self.settings = protocol(pairs(*self.seen, shape), pairs(*self._numbers(later), shape))
        self._row = {product: row for row, product in enumerate(self.products.to_pylist())}

    def _numbers(self, purchases: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        return (
            pc.index_in(purchases["start"], self.users).to_numpy(),
            pc.index_in(purchases["end"], self.products).to_numpy(),
        )

    def popularity(self) -> np.ndarray:
        """Buyers in the four weeks before the last day seen; whole days, UTC."""
        since = self.times.max().astype("datetime64[D]") - np.timedelta64(7 * POPULARITY_WEEKS, "D")
        return recent_buyers(*self.seen, self.times, since, len(self.products))

    def judged_by_popularity(self, setting: Setting) -> Figures:
        buyers = self.popularity()
        return evaluate(lambda rows: np.broadcast_to(buyers, (len(rows), len(buyers))), setting)

    def ranked(self, answer: Answer, setting: Setting, clients: int = 1, progress: Progress = silent) -> Ranked:
        """Ask for every judged user of a setting. A product that was never bought can't be right, and is no candidate.

        Args:
            clients: users asked for at the same time.
            progress: called after each user.
        """
        users: Sequence[str] = self.users.take(pa.array(setting.users)).to_pylist()

        def timed(user: str) -> tuple[Sequence[str], float]:
            started = time.perf_counter()
            found = answer(user)
            return found, time.perf_counter() - started

        ranked, seconds = np.full((len(users), DEPTH), NO_ITEM, np.int64), np.zeros(len(users))
        progress(setting.name, 0, len(users))
        with ThreadPoolExecutor(clients) as asking:
            for row, (found, taken) in enumerate(asking.map(timed, users)):
                rows = [self._row.get(product, NO_ITEM) for product in found[:DEPTH]]
                ranked[row, : len(rows)], seconds[row] = rows, taken
                progress(setting.name, row + 1, len(users))
        return Ranked(ranked, seconds)

    def latest(self, count: int) -> dict[str, list[str]]:
        """The products that each user bought last, latest first, each once."""
        order = np.argsort(-self.times.astype(np.int64), kind="stable")
        found: dict[str, dict[str, None]] = {}
        users, products = self.users.to_pylist(), self.products.to_pylist()
        for user, product in zip(self.seen[0][order].tolist(), self.seen[1][order].tolist(), strict=True):
            own = found.setdefault(users[user], {})
            if len(own) < count:
                own[products[product]] = None
        return {user: list(own) for user, own in found.items()}


@dataclass(frozen=True)
class Ranked:
    """What was answered.

    Shapes:
        items: (judged users, DEPTH), product numbers best first, `NO_ITEM` where an answer runs out
        seconds: (judged users,), how long each answer took
    """

    items: np.ndarray
    seconds: np.ndarray


@dataclass(frozen=True)
class Line:
    """What one model is worth in one setting."""

    setting: str
    model: str
    asked_with: str
    """What the model is told of a user."""
    answered: float
    """Share of the users for whom it has an answer."""
    figures: Figures
    median_ms: float | None
    """Of an answer, one client; of nothing that is not served."""


@dataclass(frozen=True)
class Trial:
    """The moment to judge from, and who is judged by what."""

    cut: datetime
    judged: Judged
    left_out: int
    """Users whose vectors carry purchases that would judge them."""


def open_trial(graph: Graph, recommender: Recommender, most_users: int | None = None, seed: int = 0) -> Trial:
    """Judge from the newest event that serving has learned from, by all purchases since.

    Args:
        most_users: judge so many, drawn at random; None for all.

    Raises:
        InputError: nothing was derived or published yet, or nothing was bought since.
    """
    carried = recommender.known_until()
    if carried is None:
        raise InputError("there is nothing to judge: nothing was derived or published yet; run 'shopgraph retrain'")
    cut = carried + timedelta(milliseconds=1)
    field = [pa.field("at", ARROW_TYPES["datetime"])]
    bought = relation_table(graph, RELATIONS["PURCHASED"], all_ids(graph, "User"), field, utc_now())
    is_later = pc.greater_equal(bought["at"], pa.scalar(cut, ARROW_TYPES["datetime"]))
    seen, later = bought.filter(pc.invert(is_later)), bought.filter(is_later)
    encoded = pa.array(graph.wide("users_encoded_since", since=cut)["ids"], pa.string())
    buyers = pc.unique(later["start"])
    users = buyers.filter(pc.invert(pc.is_in(buyers, encoded)))
    left_out = len(buyers) - len(users)
    if most_users is not None and most_users < len(users):
        users = users.take(pa.array(np.random.default_rng(seed).permutation(len(users))[:most_users]))
    later = later.filter(pc.is_in(later["start"], users))
    if not len(later) or not len(seen):
        raise InputError(
            f"there is nothing to judge by: no purchase is newer than {carried:%Y-%m-%d %H:%M} UTC, the newest that "
            "serving has learned from; ingest newer ones, and evaluate before the next retraining"
        )
    return Trial(cut, Judged(seen, later), left_out)


def backtest(
    recommender: Recommender, trial: Trial, sources: Sequence[str] = (), progress: Progress = silent
) -> Iterator[Line]:
    """Judge popularity, `recommend()` and each source alone, setting by setting.

    Args:
        sources: see `Recommender.sources`.
        progress: called after each user.
    """
    cut, judged = trial.cut, trial.judged
    sessions = judged.latest(SESSION)
    for name in ("all", NOVEL):
        setting, novel = judged.settings[name], name == NOVEL
        if not len(setting.users):
            continue
        yield Line(name, POPULARITY, "nothing", 1.0, judged.judged_by_popularity(setting), None)
        for model in (RECOMMENDER, *sources):

            def answer(user: str, model: str = model, novel: bool = novel) -> list[str]:
                if model == RECOMMENDER:
                    return [item.id for item in recommender.recommend(user, DEPTH, novel, cut).items]
                return recommender.offered(model, user, DEPTH, novel, cut, session=sessions.get(user, []))

            found = judged.ranked(answer, setting, 1, lambda of, *said, model=model: progress(f"{of} {model}", *said))
            yield Line(
                setting=name,
                model=model,
                asked_with="history" if model == RECOMMENDER else recommender.asked_with(model),
                answered=float((found.items != NO_ITEM).any(axis=1).mean()),
                figures=figures(found.items, setting),
                median_ms=float(1000 * np.median(found.seconds)),
            )
