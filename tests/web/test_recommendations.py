"""Recommendations beyond one user's first page: pages, many users at once, and what is like a set of products."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shopgraph.errors import OverdueError
from shopgraph.wiring_serving import Serving
from shopgraph_web.keys import create_key

RAW_USER = "household 17"
Post = Callable[..., TestResponse]


@pytest.fixture(scope="module")
def client(reading_app: Flask) -> FlaskClient:
    """Asks the API with a key in force."""
    with reading_app.app_context():
        key = create_key("test")
    found = reading_app.test_client()
    found.environ_base["HTTP_X_API_KEY"] = key
    return found


@pytest.fixture(scope="module")
def post(client: FlaskClient) -> Post:
    return lambda noun, **body: client.post(f"/api/v1/recommendations/{noun}", json=body)


def shown(answer: TestResponse) -> list[str]:
    assert answer.status_code == 200, answer.json
    return [item["id"] for item in answer.json["items"]]


@pytest.mark.parametrize(
    "address", [f"recommendations?user={RAW_USER}", "products/shop:soup/similar?", "search?q=dry+dark+green"]
)
def test_pages_and_filters_are_the_same_wherever_products_are_asked_for(client: FlaskClient, address: str) -> None:
    whole = client.get(f"/api/v1/{address}&n=10")
    assert whole.json["next_offset"] is None
    found, offset = [], 0
    while offset is not None:
        page = client.get(f"/api/v1/{address}&n=1&offset={offset}")
        found += shown(page)
        offset = page.json["next_offset"]
    assert found == shown(whole)
    assert found
    assert "shop:bread" not in shown(client.get(f"/api/v1/{address}&exclude=shop:bread"))
    assert set(shown(client.get(f"/api/v1/{address}&min_price=3&max_price=3.5"))) <= {"shop:bread"}
    assert shown(client.get(f"/api/v1/{address}&category=TOOLS")) == []
    for refused in ("offset=81", "offset=-1", "offset=100&n=1", "min_price=-1"):
        answer = client.get(f"/api/v1/{address}&{refused}")
        assert (answer.status_code, answer.json["error"]["code"]) == (422, "invalid")


def test_what_is_new_to_the_shop_is_asked_for_alone_and_for_many(client: FlaskClient, post: Post) -> None:
    """All that this shop may show for a reason has been bought."""
    assert shown(client.get(f"/api/v1/recommendations?user={RAW_USER}"))
    alone = client.get(f"/api/v1/recommendations?user={RAW_USER}&new_only=true")
    assert (shown(alone), alone.json["step"]) == ([], "arrivals")
    (many,) = post("batch", users=[RAW_USER], new_only=True).json["answers"]
    assert many["answer"]["items"] == []


def test_what_is_like_a_set_has_none_of_it(post: Post) -> None:
    answer = post("like", like=["shop:soup"], unlike=["shop:tea"], n=5)
    assert shown(answer) == ["shop:bread"]
    assert answer.json["step"] == "like"
    assert shown(post("like", like=["shop:soup"], exclude=["shop:bread"])) == []
    assert shown(post("like", like=["shop:soup", "shop:bread"])) == []


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"like": ["shop:soup", "shop:none"], "unlike": ["shop:nor this"]}, 422, "'shop:none', 'shop:nor this'"),
        ({"like": []}, 422, "like"),
        ({}, 422, "like"),
        ({"like": ["shop:soup"], "unlikely": ["shop:tea"]}, 422, "unlikely"),
        ({"like": ["shop:soup"], "unlike": ["shop:soup"]}, 400, "both liked and unliked: shop:soup"),
        ({"like": ["shop:soup"], "min_price": 3, "max_price": 2}, 400, "is above"),
    ],
)
def test_a_set_that_can_not_be_used_is_refused_by_name(post: Post, body: dict, status: int, said: str) -> None:
    answer = post("like", **body)
    assert answer.status_code == status
    assert said in answer.json["error"]["message"]


@pytest.mark.parametrize("noun", ["recommendations/like", "recommendations/batch", "reasons/doubts"])
def test_a_body_that_is_too_large_is_refused_wherever_one_is_sent(client: FlaskClient, noun: str) -> None:
    answer = client.post(f"/api/v1/{noun}", json={"like": ["x" * 2**20], "users": [], "path": []})
    assert (answer.status_code, answer.json["error"]["code"]) == (413, "too_large")


def test_many_users_are_answered_in_the_order_asked_each_with_its_own_error(
    client: FlaskClient, post: Post, user_id: str
) -> None:
    users = ["nobody", RAW_USER, "", user_id, "x" * 201, RAW_USER]
    answers = post("batch", users=users, n=3, exclude_owned=True).json["answers"]
    in_full = post("batch", users=[RAW_USER], n=3, explain="full").json["answers"]
    assert all(item["detail"]["sources"] for item in in_full[0]["answer"]["items"])
    assert [answer["user"] for answer in answers] == users
    alone = client.get(f"/api/v1/recommendations?user={RAW_USER}&n=3&exclude_owned=true").json
    ids = {alone.pop("recommendation_id")}
    for place in (1, 3, 5):
        ids.add(answers[place]["answer"].pop("recommendation_id"))
        assert answers[place]["answer"] == alone
        assert answers[place]["error"] is None
    assert len(ids) == 4, "each answer is one of its own"
    assert answers[0]["answer"]["step"] == "popular"
    for place in (2, 4):
        assert answers[place]["answer"] is None
        assert answers[place]["error"]["code"] == "invalid"


def test_a_user_who_takes_too_long_keeps_no_other_from_an_answer(
    post: Post, serving: Serving, user_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = serving.recommender.recommend

    def slow(user: str, *asked: Any, **told: Any) -> Any:
        if user != user_id:
            raise OverdueError("Neo4j took longer than 5 s for serving_state: try again")
        return real(user, *asked, **told)

    monkeypatch.setattr(serving.recommender, "recommend", slow)
    late, there = post("batch", users=["nobody", RAW_USER], n=3).json["answers"]
    assert (late["answer"], late["error"]["code"]) == (None, "unavailable")
    assert len(there["answer"]["items"]) == 3


def test_a_batch_is_of_one_to_a_hundred_users_and_its_options_are_checked_once(post: Post) -> None:
    assert len(post("batch", users=["nobody"] * 100, n=1).json["answers"]) == 100
    for refused in ({"users": []}, {"users": ["a"] * 101}, {"users": ["a"], "n": 0}, {"users": ["a"], "session": "b"}):
        assert post("batch", **refused).status_code == 422
    assert post("batch", users=["a"], min_price=3, max_price=2).status_code == 400
