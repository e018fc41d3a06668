"""A reason called wrong over HTTP becomes a relation that a curator judges in the panel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from shopgraph.curation.doubt import list_doubts
from shopgraph.graph.connection import Graph
from shopgraph_web.keys import create_key

Post = Callable[..., TestResponse]


@pytest.fixture(autouse=True)
def no_doubts(shop: Graph) -> Iterator[None]:
    yield
    shop.driver.execute_query("MATCH (d:Doubt) DETACH DELETE d", database_=shop.database)


@pytest.fixture
def ask(app: Flask) -> Post:
    with app.app_context():
        key = create_key("the shop's page")
    client = app.test_client()

    def asked(address: str, body: Any = None) -> TestResponse:
        call = client.get if body is None else client.post
        return call(f"/api/v1/{address}", headers={"X-API-Key": key}, **({} if body is None else {"json": body}))

    return asked


def shared_category(user_id: str) -> list[dict[str, Any]]:
    return [
        {"label": "User", "id": user_id, "title": ""},
        {"type": "PURCHASED", "forward": True},
        {"label": "Product", "id": "shop:bread", "title": "Bread"},
        {"type": "IN_CATEGORY", "forward": True},
        {"label": "Category", "id": "FOOD", "title": "FOOD"},
        {"type": "IN_CATEGORY", "forward": False},
        {"label": "Product", "id": "shop:soup", "title": "Soup"},
    ]


def test_the_relation_that_reaches_the_product_is_filed_judged_and_opened_again(
    ask: Post, sign_in: Callable, send_form: Callable, shop: Graph, user_id: str
) -> None:
    filed = ask("reasons/doubts", {"path": shared_category(user_id), "text": "soup is no food"})
    assert (filed.status_code, filed.json) == (202, {"id": "shop:soup IN_CATEGORY FOOD", "times": 1})
    assert ask("reasons/doubts", {"path": shared_category(user_id)}).json["times"] == 2
    (doubt,) = list_doubts(shop)
    assert (doubt["start_name"], doubt["present"], doubt["last_by"]) == ("Dry tomato soup", True, "the shop's page")

    curator = sign_in("curator")
    assert "It is wrong" in curator.get("/doubts/").text
    judged = send_form(curator, "/doubts/", "/doubts/judge", doubt=doubt["id"], verdict="wrong")
    assert judged.status_code == 302
    assert "wrong, curator@shop.example" in curator.get("/doubts/").text
    send_form(curator, "/doubts/", "/doubts/judge", doubt=doubt["id"], verdict="right")
    assert "judged meanwhile" in curator.get("/doubts/").text
    assert list_doubts(shop)[0]["verdict"] == "wrong"
    assert ask("reasons/doubts", {"path": shared_category(user_id)}).json["times"] == 3
    assert list_doubts(shop)[0]["verdict"] == "wrong", "who complains again takes no verdict back"
    assert send_form(curator, "/doubts/", "/doubts/reopen", doubt=doubt["id"]).status_code == 302
    assert list_doubts(shop)[0]["verdict"] is None
    send_form(curator, "/doubts/", "/doubts/reopen", doubt=doubt["id"])
    assert "no verdict on" in curator.get("/doubts/").text
    send_form(curator, "/doubts/", "/doubts/judge", doubt=doubt["id"], verdict="right")
    assert ask("reasons/doubts", {"path": shared_category(user_id)}).json["times"] == 4
    assert list_doubts(shop)[0]["verdict"] is None, "what was judged right is doubted anew"


def test_the_path_of_an_answer_is_taken_as_it_came(ask: Post, user_id: str) -> None:
    paths = [item["reason"]["path"] for item in ask(f"recommendations?user={user_id}").json["items"]]
    told = [path for path in paths if path]
    assert told
    for path in told:
        filed = ask("reasons/doubts", {"path": path})
        assert (filed.status_code, filed.json["times"]) == (202, 1)
        assert path[-1]["id"] in filed.json["id"]


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        ({-1: {"label": "Product", "id": "shop:gone"}}, 404, "not in the graph"),
        ({-2: {"type": "LIKES", "forward": True}}, 400, "the graph knows no LIKES"),
        ({-3: {"label": "Planet", "id": "FOOD"}}, 400, "the graph knows no IN_CATEGORY"),
        ({-2: {"label": "Product", "id": "shop:soup"}}, 400, "as the answer gave it"),
        ({-1: None}, 422, "path"),
    ],
)
def test_what_is_no_path_of_the_graph_is_refused(
    ask: Post, shop: Graph, user_id: str, changed: dict[int, Any], status: int, said: str
) -> None:
    path = shared_category(user_id)
    for place, step in changed.items():
        path[place] = step
    refused = ask("reasons/doubts", {"path": path})
    assert refused.status_code == status
    assert said in refused.json["error"]["message"]
    assert list_doubts(shop) == []


def test_an_answer_in_full_says_what_each_place_rests_on(ask: Post, user_id: str) -> None:
    items = ask(f"recommendations?user={user_id}&explain=full").json["items"]
    assert all(item["score"] == pytest.approx(sum(item["detail"]["sources"].values())) for item in items)
    assert [list(item["detail"]["sources"]) for item in items] == [item["sources"] for item in items]
    assert all(item["detail"]["purchases"] == {} for item in items), "no ranker serves"
    assert ask(f"recommendations?user={user_id}").json["items"][0]["detail"] is None
    assert ask(f"recommendations?user={user_id}&explain=whole").status_code == 422


def test_a_key_that_only_reads_files_no_doubt(app: Flask, shop: Graph, user_id: str) -> None:
    with app.app_context():
        key = create_key("reader", scopes=["recommend"])
    refused = app.test_client().post(
        "/api/v1/reasons/doubts", headers={"X-API-Key": key}, json={"path": shared_category(user_id)}
    )
    assert refused.status_code == 403
    assert list_doubts(shop) == []


def test_a_viewer_sees_doubts_and_may_not_judge_them(sign_in: Callable, send_form: Callable, shop: Graph) -> None:
    viewer = sign_in("viewer")
    assert "No doubts" in viewer.get("/doubts/").text
    assert send_form(viewer, "/change", "/doubts/judge", doubt="x", verdict="wrong").status_code == 403
