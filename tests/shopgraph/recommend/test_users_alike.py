"""Who buys alike on a planted shop: the twin comes first, by what was derived and, without it, by the embedding."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from shopgraph.errors import InputError
from shopgraph.recommend.users_alike import UsersAlike, users_alike

NOW = datetime(2024, 6, 3, tzinfo=UTC)


def found(alike: UsersAlike | None) -> list[tuple[str, list[str], int]]:
    assert alike is not None
    return [(user.id, [product["id"] for product in user.shared], user.shared_count) for user in alike.users]


@pytest.fixture
def shop(plant: Callable[..., Any]) -> Any:
    """The twin bought what the user bought, the toy's owner one product of it and toys."""
    own = [("u_me", product, 1, product) for product in ("s:soup0", "s:bread2", "s:soup4")]
    twin = [("u_twin", product, 2, f"{product} {time}") for product in ("s:bread2", "s:soup0") for time in range(2)]
    toys = [("u_toys", product, 1, product) for product in ("s:soup0", "s:toy1", "s:toy2", "s:toy3")]
    return plant([*own, *twin, ("u_twin", "s:bread2", 3, "once more"), *toys, ("u_else", "s:toy7", 1, "a")])


def test_the_twin_comes_first_and_what_both_bought_is_named(shop: Any) -> None:
    alike = users_alike(shop.graph, "u_me", NOW)
    assert found(alike) == [("u_twin", ["s:bread2", "s:soup0"], 2), ("u_toys", ["s:soup0"], 1)]
    assert alike.by == "purchases"
    assert alike.users[0].score > alike.users[1].score
    assert len(found(users_alike(shop.graph, "u_me", NOW, n=1))) == 1


def test_where_nothing_was_derived_the_graph_embedding_tells(shop: Any) -> None:
    undo = "CYPHER 25 MATCH (:User {id: 'u_me'})-[s:SIMILAR_TO]->() DELETE s"
    shop.graph.driver.execute_query(undo, database_=shop.graph.database)
    assert found(users_alike(shop.graph, "u_me", NOW)) == [], "no release serves yet"
    shop.publish({"u_me": 0, "u_twin": 2, "u_toys": 0, "u_else": 0})
    alike = users_alike(shop.graph, "u_me", NOW)
    assert alike.by == "graph"
    assert [user for user, *_ in found(alike)] == ["u_toys", "u_twin"], "u_else shares no product with the user"


def test_nobody_is_none_and_bounds_are_checked(shop: Any) -> None:
    assert users_alike(shop.graph, "u_nobody", NOW) is None
    for n in (0, 21):
        with pytest.raises(InputError, match="ask for 1 to 20 users"):
            users_alike(shop.graph, "u_me", NOW, n=n)
