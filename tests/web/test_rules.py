from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shopgraph.graph.connection import Graph
from shopgraph.recommend.rules import Rule, add_rule, list_rules
from shopgraph_web.keys import create_key


@pytest.fixture(autouse=True)
def no_rules(shop: Graph):
    yield
    shop.driver.execute_query("MATCH (r:Rule) DETACH DELETE r", database_=shop.database)


def test_a_curator_puts_a_rule_in_force_and_ends_it(sign_in: Callable, send_form: Callable, shop: Graph) -> None:
    client: FlaskClient = sign_in("curator")
    assert "No rules yet" in client.get("/rules/").text
    sent = {"kind": "boost", "label": "Brand", "target": "kettle & co", "amount": "2"}
    assert send_form(client, "/rules/", "/rules/", **sent).status_code == 302
    page = client.get("/rules/").text
    assert "Kettle &amp; Co" in page
    assert "in force" in page
    (rule,) = list_rules(shop)
    assert (rule["kind"], rule["amount"], rule["made_by"]) == ("boost", 2.0, "curator@shop.example")
    assert send_form(client, "/rules/", f"/rules/{rule['id']}/end").status_code == 302
    assert "ended by curator@shop.example" in client.get("/rules/").text
    assert not list_rules(shop)[0]["open"]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"target": "nothing"}, "no brand has the id"),
        ({"amount": "two"}, "not a number"),
        ({"amount": "1"}, "a factor above 1"),
        ({"starts": "tomorrow"}, "not a date"),
        ({"kind": "explode"}, "a rule is one of"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_and_what_was_typed_stays(
    sign_in: Callable, send_form: Callable, shop: Graph, sent: dict[str, str], said: str
) -> None:
    client = sign_in("curator")
    form = {"kind": "boost", "label": "Brand", "target": "kettle & co", "amount": "2", **sent}
    answer = send_form(client, "/rules/", "/rules/", **form)
    assert answer.status_code == 400
    assert said in answer.text
    if "target" not in sent:
        assert 'value="kettle &amp; co"' in answer.text
    assert list_rules(shop) == []


def test_rules_that_leave_nothing_are_named_in_the_answer(app: Flask, shop: Graph) -> None:
    with app.app_context():
        headers = {"X-API-Key": create_key("test")}
    found = shop.driver.execute_query("MATCH (p:Product) RETURN p.id AS id", database_=shop.database)
    for record in found.records:
        add_rule(shop, Rule(f"no {record['id']}", "filter", "Product", record["id"], 0.0), by="ann")
    for address in ("recommendations?user=household 17", "products/shop:soup/similar", "search?q=dry"):
        answer = app.test_client().get(f"/api/v1/{address}", headers=headers).json
        assert answer["items"] == []
        assert "filtered out by rules" in answer["note"]
        assert "no shop:bread" in answer["note"]


def test_a_viewer_sees_rules_and_may_not_make_them(sign_in: Callable, send_form: Callable, shop: Graph) -> None:
    client = sign_in("viewer")
    page = client.get("/rules/")
    assert page.status_code == 200
    assert "Put in force" not in page.text
    refused = send_form(client, "/change", "/rules/", kind="filter", label="Product", target="shop:soup")
    assert refused.status_code == 403
    assert list_rules(shop) == []
