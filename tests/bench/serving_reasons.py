"""Whether reasons are why: the purchase that a reason starts from is taken out of the graph, and all is asked again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from shopgraph.graph.connection import Graph
from shopgraph.recommend.answer import Item, Recommendations
from shopgraph.recommend.page import MOST_ITEMS
from shopgraph.recommend.recommender import Recommender
from shopgraph.recommend.standing import read_standing

SHOWN = 20
FEWEST_BOUGHT = 10
"""Products that a user must have bought, so that another of them can be taken out instead."""
TAKEN = """
MATCH (u:User {id: $user})-[b:PURCHASED]->(p:Product {id: $product})
WITH b, properties(b) AS line
DELETE b
RETURN collect(line) AS lines
"""
GIVEN_BACK = """
MATCH (u:User {id: $user}), (p:Product {id: $product})
UNWIND $lines AS line
CREATE (u)-[b:PURCHASED]->(p)
SET b = line
"""


@dataclass(frozen=True)
class Faithfulness:
    """Of reasons that start from a purchase: does the product they explain fall when that purchase is gone?

    A product's standing is its score less the mean score of the others it was shown with.
    """

    reasons: int
    falls: float
    """Share of the products that stand lower without the purchase."""
    falls_without_another: float
    """The same without another product that the user bought, drawn by lot."""
    falls_further: float
    """Share of the products that fall further without the reason's purchase than without the other one, ties by half.
    Reasons that are no reasons reach one half."""


def faithfulness(
    graph: Graph, recommender: Recommender, users: Sequence[str], as_of: datetime, seed: int, in_full: bool = True
) -> Faithfulness:
    """Ask for each user's first product that a path from a purchase explains; the graph ends as it began.

    Args:
        in_full: judge the reasons of an answer in full, which start from what a product leans on most.
    """
    random, drops = np.random.default_rng(seed), list[tuple[float, float]]()
    for user in users:
        answer = _asked(recommender, user, as_of, SHOWN, in_full)
        item = next((item for item in answer.items if _evidence(item)), None)
        bought = sorted(set(read_standing(graph, as_of, user).own.products))
        if item is None or len(bought) < FEWEST_BOUGHT:
            continue
        evidence, others = _evidence(item), [one.id for one in answer.items if one is not item]
        control = str(random.choice([product for product in bought if product != evidence]))
        before = _standing(_asked(recommender, user, as_of, MOST_ITEMS), item.id, others)
        after = []
        for product in (evidence, control):
            with without(graph, user, product):
                after.append(_standing(_asked(recommender, user, as_of, MOST_ITEMS), item.id, others))
        drops.append((before - after[0], before - after[1]))
    of_reason, of_other = np.array(drops).T
    return Faithfulness(
        reasons=len(drops),
        falls=float((of_reason > 0).mean()),
        falls_without_another=float((of_other > 0).mean()),
        falls_further=float((of_reason > of_other).mean() + 0.5 * (of_reason == of_other).mean()),
    )


@contextmanager
def without(graph: Graph, user: str, product: str) -> Iterator[None]:
    """A graph in which the user never bought the product."""
    asked = {"user": user, "product": product}
    taken = graph.driver.execute_query(TAKEN, asked, database_=graph.database).records[0]["lines"]
    try:
        yield
    finally:
        graph.driver.execute_query(GIVEN_BACK, {**asked, "lines": taken}, database_=graph.database)


def _asked(recommender: Recommender, user: str, as_of: datetime, n: int, in_full: bool = False) -> Recommendations:
    return recommender.recommend(user, n, exclude_owned=True, as_of=as_of, in_full=in_full)


def _evidence(item: Item) -> str:
    """The bought product that the reason's path goes through; "" where there is none."""
    path = item.reason.path
    return path[2]["id"] if len(path) > 3 and path[1]["type"] == "PURCHASED" else ""


def _standing(answer: Recommendations, product: str, others: Sequence[str]) -> float:
    """What is not among the answers stands where the last of them does."""
    scores = {item.id: item.score for item in answer.items}
    lowest = min(scores.values(), default=0.0)
    return scores.get(product, lowest) - float(np.mean([scores.get(other, lowest) for other in others]))
