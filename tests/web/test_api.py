from collections.abc import Callable
from functools import partial

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from shopgraph.graph.connection import Graph
from shopgraph_web.keys import create_key

RAW_USER = "household 17"
Ask = Callable[[str], TestResponse]


@pytest.fixture(scope="module")
def ask(reading_app: Flask) -> Ask:
    """Asks the API with a key in force."""
    with reading_app.app_context():
        key = create_key("test")
    client = reading_app.test_client()
    return lambda address: client.get(f"/api/v1/{address}", headers={"X-API-Key": key})


def test_a_raw_user_id_and_its_pseudonym_get_the_same_answer(ask: Ask, user_id: str) -> None:
    answer = ask(f"recommendations?user={RAW_USER}&n=5").json
    assert answer["items"] == ask(f"recommendations?user={user_id}&n=5").json["items"]
    assert {"shop:soup", "shop:bread"} <= {item["id"] for item in answer["items"]}
    assert answer["release"] is None
    assert answer["as_of"].startswith("2017-12-25")
    first = answer["items"][0]
    assert first["sources"]
    assert first["reason"]["text"]
    assert RAW_USER not in str(answer)


def test_owned_products_are_left_out_when_asked(ask: Ask) -> None:
    answer = ask(f"recommendations?user={RAW_USER}&exclude_owned=true").json
    assert "shop:tea" in {item["id"] for item in answer["items"]}
    assert not {"shop:soup", "shop:bread"} & {item["id"] for item in answer["items"]}


def test_a_stranger_gets_what_is_popular_and_is_told_so(ask: Ask) -> None:
    known, stranger = ask(f"recommendations?user={RAW_USER}").json, ask("recommendations?user=nobody").json
    assert stranger["items"][0]["id"] in {"shop:soup", "shop:bread"}
    assert stranger["step"] != known["step"]


def test_an_answer_holds_what_the_filters_let_pass(ask: Ask) -> None:
    def found(query: str) -> set[str]:
        return {item["id"] for item in ask(f"recommendations?user={RAW_USER}&{query}").json["items"]}

    assert found("min_price=3&max_price=3.5") == {"shop:bread"}
    assert "shop:soup" not in found("exclude=shop:soup&exclude=shop:tea")
    assert found("category=FOOD") >= {"shop:soup", "shop:bread"}
    assert found("category=TOOLS&category=NOTHING") == set()
    refused = ask(f"recommendations?user={RAW_USER}&min_price=3&max_price=2")
    assert (refused.status_code, refused.json["error"]["code"]) == (400, "bad_request")


def test_n_is_how_many_at_most(ask: Ask) -> None:
    assert len(ask(f"recommendations?user={RAW_USER}&n=1").json["items"]) == 1


@pytest.mark.parametrize(
    "query",
    [
        "",
        "user=",
        "user=1&n=0",
        "user=1&n=101",
        "user=1&n=-3",
        "user=1&n=many",
        "user=1&exclude_owned=perhaps",
        f"user={'x' * 201}",
        "user=1&min_price=cheap",
        "user=1&max_price=-1",
    ],
)
def test_a_request_that_breaks_a_bound_is_refused_in_the_one_shape(ask: Ask, query: str) -> None:
    answer = ask(f"recommendations?{query}")
    assert answer.status_code == 422
    assert answer.json["error"]["code"] == "invalid"
    assert answer.json["error"]["message"]


def test_similar_products_leave_out_the_product_itself(ask: Ask) -> None:
    answer = ask("products/shop:soup/similar?n=3").json
    assert answer["items"][0]["id"] == "shop:bread"
    assert "shop:soup" not in {item["id"] for item in answer["items"]}


def test_a_search_finds_by_words_where_no_text_embedding_serves(ask: Ask) -> None:
    answer = ask("search?q=tomato SOUP (&n=3").json
    assert answer["items"][0]["id"] == "shop:soup"
    assert answer["items"][0]["reason"]["text"] == "Its text has what you typed"
    assert (answer["step"], answer["items"][0]["sources"]) == ("words", ["full_text_search"])
    for typed in ("NOT", "((", "%20", "tomato~^*", "🍅"):
        assert ask(f"search?q={typed}").status_code == 200, typed
    assert ask("search?q=").status_code == 422
    assert ask(f"search?q={'x' * 201}").status_code == 422


def test_a_product_is_its_catalogue_facts(ask: Ask) -> None:
    assert ask("products/shop:soup").json == {
        "id": "shop:soup", "title": "Dry tomato soup", "description": "", "price": 2.5, "currency": "USD",
        "image": None, "package_size": "12 OZ", "stock": 1, "hidden": False, "retired": False,
        "brand": "Kettle & Co", "authors": [],
        "category": "FOOD", "popularity": 8,
    }  # fmt: skip
    assert ask("products/shop:gone").json["retired"] is True


def test_ids_may_hold_a_slash(ask: Ask, shop: Graph) -> None:
    run = partial(shop.driver.execute_query, database_=shop.database)
    run("MATCH (p:Product {id: 'shop:soup'}) CREATE (q:Product {id: 'shop:AC/DC'}) SET q += p {.*, id: 'shop:AC/DC'}")
    try:
        assert ask("products/shop:AC%2FDC").json["id"] == "shop:AC/DC"
        assert ask("products/shop:AC/DC/similar").status_code == 200
        assert ask("users/who%2Fever/similar").json["error"]["message"] == "no user has the id 'who/ever'"
    finally:
        run("MATCH (q:Product {id: 'shop:AC/DC'}) DETACH DELETE q")


def test_users_who_buy_alike_are_named_by_pseudonym_with_what_both_bought(ask: Ask, user_id: str) -> None:
    answer = ask(f"users/{RAW_USER}/similar?n=3").json
    assert answer == ask(f"users/{user_id}/similar?n=3").json
    assert answer["by"] == "purchases"
    assert [user["id"] for user in answer["users"]] == ["u_other1", "u_other2", "u_other3"]
    assert {product["title"] for product in answer["users"][0]["shared"]} == {"Dry tomato soup", "Dark bread"}
    assert answer["users"][0]["shared_count"] == 2
    assert ask(f"users/{RAW_USER}/similar?n=21").status_code == 422


@pytest.mark.parametrize(
    "address", ["products/shop:none", "products/shop:none/similar", "users/none/similar", "nothing"]
)
def test_what_is_not_there_is_a_404_in_the_one_shape(ask: Ask, address: str) -> None:
    answer = ask(address)
    assert answer.status_code == 404
    assert answer.json["error"]["code"] == "not_found"


def test_another_method_is_refused_in_the_one_shape(reading_app: Flask) -> None:
    answer = reading_app.test_client().post("/api/v1/health")
    assert answer.status_code == 405
    assert answer.json["error"]["code"] == "method_not_allowed"


def test_health_asks_for_no_key(reading_app: Flask) -> None:
    assert reading_app.test_client().get("/api/v1/health").json == {"status": "ok", "release": None}


def test_the_description_is_openapi_31_and_names_every_address(reading_app: Flask) -> None:
    described = reading_app.test_client().get("/api/openapi.json").json
    assert described["openapi"].startswith("3.1")
    assert set(described["paths"]) == {
        "/api/v1/recommendations", "/api/v1/recommendations/like", "/api/v1/recommendations/batch",
        "/api/v1/products/{id}", "/api/v1/products/{id}/similar", "/api/v1/search",
        "/api/v1/users/{user}/similar", "/api/v1/events", "/api/v1/experiments", "/api/v1/experiments/{id}",
        "/api/v1/reasons/doubts", "/api/v1/health",
    }  # fmt: skip
    assert described["components"]["securitySchemes"]["api_key"]["name"] == "X-API-Key"
    assert described["paths"]["/api/v1/recommendations"]["get"]["security"] == [{"api_key": []}]
    assert "security" not in described["paths"]["/api/v1/health"]["get"]
