"""Reasons: for each item the best path that is in the graph now, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shopgraph.recommend.evidence import BOUGHT_WITH, Facts, Path
from shopgraph.recommend.filters import ARRIVALS, WITHIN
from shopgraph.recommend.fusion import Fused
from shopgraph.recommend.rules import PIN

RELATION_ORDER = (BOUGHT_WITH, "WRITTEN_BY", "IN_CATEGORY", "MADE_BY", "HAS_ATTRIBUTE")
SHARED_LABEL = {"WRITTEN_BY": "Author", "IN_CATEGORY": "Category", "MADE_BY": "Brand", "HAS_ATTRIBUTE": "Attribute"}
PREFERRED = {
    "category_favourites": ("IN_CATEGORY",),
    "popular_in_category": ("IN_CATEGORY",),
    "text_neighbours": ("WRITTEN_BY", "IN_CATEGORY", "MADE_BY"),
    "text_like_these": ("WRITTEN_BY", "IN_CATEGORY", "MADE_BY"),
    "similar_text": ("WRITTEN_BY", "IN_CATEGORY", "MADE_BY"),
}
"""Relations that speak for a source before the general order; what the user bought before always comes first."""
BY_FEATURE = {
    "category": "IN_CATEGORY",
    "brand": "MADE_BY",
    "author": "WRITTEN_BY",
    "attribute": "HAS_ATTRIBUTE",
    "item_knn": "BOUGHT_WITH",
    "ease": "BOUGHT_WITH",
    "user_knn": "BOUGHT_WITH",
    "ials": "BOUGHT_WITH",
}
"""The relation that a ranker's feature stands for, by how its name begins."""
FOUND_BY = {
    "full_text_search": "Its text has what you typed",
    "text_search": "What it says, and where it is in the graph, is near to what you typed",
}
"""In words, why a source answers a query with a product."""
SEARCHED = "searched_lately"
NEAR = "Close to what you like in the learned graph"
SPOKEN_FOR = {
    ARRIVALS: "New here, in a category that sells well",
    WITHIN: "Within what you asked for",
    PIN: "Chosen by the shop",
    "graph": NEAR,
    "graph_neighbours": NEAR,
    "graph_like_these": "Close to what you named in the learned graph",
    "similar_graph": "Close to it in the learned graph",
    "session_neighbours": "Close to what you looked at in the learned graph",
    SEARCHED: "Its text has what you searched for",
    "text": "Described like what you like",
    "text_neighbours": "Described like what you like",
    "text_new_arrivals": "Described like what you like",
    "text_like_these": "Described like what you named",
    "similar_text": "Described like it",
    "popular_in_segment": "Bought lately by people of your segment",
    **dict.fromkeys(("item_knn", "ease", "user_knn", "ials"), "Bought by people who buy what you buy"),
}
"""In words, what a source means by a product that no path leads to and few people bought lately."""
POPULAR_SOURCES = frozenset({"popular_lately", "popular_in_segment"})


@dataclass(frozen=True)
class Reason:
    """Why an item is shown.

    `path` alternates nodes `{label, id, title}` and relations `{type, forward}`; empty where nothing but popularity, or
    the query, speaks for the item.
    """

    text: str
    path: list[dict[str, Any]]


def explain(user_id: str, item: Fused, facts: Facts, features: Mapping[str, float] = {}) -> Reason:
    """Choose and word the reason of one item.

    Args:
        features: what each feature adds to the item's score, where that is known: of paths that it leans on alike, the
            one is chosen whose relation's features add most.
    """
    found_by = FOUND_BY.get(item.sources[0])
    if found_by is not None:
        return Reason(found_by, [])
    user = {"label": "User", "id": user_id, "title": ""}
    target = {"label": "Product", "id": item.id, "title": facts.title}
    if facts.times:
        times = "once" if facts.times == 1 else f"{facts.times} times"
        text = f"You bought this {times}, last on {facts.last:%d %B %Y}"
        return Reason(text, [user, _relation("PURCHASED"), target])
    if item.sources[0] == SEARCHED:
        return Reason(SPOKEN_FOR[SEARCHED], [])
    if item.sources[0] in POPULAR_SOURCES and facts.popularity:
        return Reason(_popular(facts.popularity), [])
    chosen = chosen_path(item, facts, features)
    if chosen is None:
        return Reason(_popular(facts.popularity) if facts.popularity else _without_a_path(item), [])
    return Reason(_words(chosen), _path(user, chosen, target))


def chosen_path(item: Fused, facts: Facts, features: Mapping[str, float] = {}) -> Path | None:
    """The path that speaks for an item, of those that it leans on most; see `explain`."""
    most = max((path.leaning for path in facts.paths), default=0.0)
    by_relation = {path.relation: path for path in facts.paths if path.leaning == most}
    order = (*_by_features(features), *PREFERRED.get(item.sources[0], ()), *RELATION_ORDER)
    return next((by_relation[relation] for relation in order if relation in by_relation), None)


def _by_features(features: Mapping[str, float]) -> list[str]:
    """Relations whose features speak for the item, the one that adds most first."""
    total = dict.fromkeys(BY_FEATURE.values(), 0.0)
    for name, added in features.items():
        for stem, relation in BY_FEATURE.items():
            if name.startswith(f"{stem}_"):
                total[relation] += added
    return sorted((relation for relation, added in total.items() if added > 0), key=lambda one: -total[one])


def _without_a_path(item: Fused) -> str:
    said = (SPOKEN_FOR[source] for source in item.sources if source in SPOKEN_FOR)
    return next(said, "Ranked high for you by the shop")


def _popular(buyers: int) -> str:
    return f"Bought by {buyers} {'person' if buyers == 1 else 'people'} in the last four weeks"


def _words(path: Path) -> str:
    bond = {"PURCHASED": "you bought", "VIEWED": "you viewed"}.get(path.bond or "")
    product, shared = path.product_title, path.shared_name
    like = f"{product}, which {bond}" if bond else product
    return {
        "BOUGHT_WITH": f"Often bought together with {like}",
        "WRITTEN_BY": f"By {shared}, like {like}",
        "IN_CATEGORY": f"{shared}, like {like}",
        "MADE_BY": f"From {shared}, like {like}",
        "HAS_ATTRIBUTE": f"Shares {path.shared_key} {shared} with {like}",
    }[path.relation]


def _path(user: dict[str, Any], path: Path, target: dict[str, Any]) -> list[dict[str, Any]]:
    product = {"label": "Product", "id": path.product, "title": path.product_title}
    start = [user, _relation(path.bond), product] if path.bond else [product]
    if path.relation == BOUGHT_WITH:
        return [*start, _relation(BOUGHT_WITH), target]
    shared = {"label": SHARED_LABEL[path.relation], "id": path.shared, "title": path.shared_name}
    return [*start, _relation(path.relation), shared, _relation(path.relation, forward=False), target]


def _relation(kind: str, forward: bool = True) -> dict[str, Any]:
    return {"type": kind, "forward": forward}
