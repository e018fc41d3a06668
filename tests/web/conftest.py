"""The panel over a small planted shop in a real Neo4j; each test has people, keys and sessions of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shopgraph.dataset.snapshot import export_snapshot
from shopgraph.derivation.derive import derive
from shopgraph.graph.connection import Graph
from shopgraph.privacy.pseudonym import open_pseudonymiser
from shopgraph.settings import Settings
from shopgraph.wiring_serving import Serving, build_serving
from shopgraph_web.accounts import add_person
from shopgraph_web.application import create_app

RAW_USER = "household 17"
NEWEST = datetime(2017, 12, 25, 18, tzinfo=UTC)
SCRIPT = "<script>alert('soup')</script>"

EMPTY = "CYPHER 25 MATCH (n) WHERE NOT n:__Neo4jMigration CALL (n) { DETACH DELETE n }"

PLANT = """
CYPHER 25
CREATE (:Source {id: 'shop', title: 'Planted shop', currency: 'USD', terms: 'made for this test', full_catalogue: true,
                 newest_event_at: $newest})
CREATE (soup:Product {id: 'shop:soup', title: 'Dry tomato soup', price: 2.5, package_size: '12 OZ'})
CREATE (bread:Product {id: 'shop:bread', title: 'Dark bread', price: 3.25})
CREATE (tea:Product {id: 'shop:tea', title: 'Green tea', price: 4.0})
CREATE (bad:Product {id: 'shop:bad', title: $script, description: $script, price: 1.0})
CREATE (gone:Product {id: 'shop:gone', title: 'Gone soda', price: 1.0})
CREATE (secret:Product {id: 'shop:secret', title: 'Hidden salt', price: 1.0})
WITH soup, bread, tea, bad, gone, secret
FOREACH (p IN [soup, bread, tea, bad, gone, secret] |
  SET p.source = 'shop', p.run = 'plant', p.stock = 1, p.hidden = false, p.brand_id = '',
      p.category_1 = 'FOOD', p.category_2 = '', p.category_3 = '',
      p.first_seen = datetime('2017-01-01T00:00:00Z'), p.retired_at = datetime('9999-12-31T00:00:00Z'),
      p.description = coalesce(p.description, ''))
SET gone.retired_at = datetime('2017-06-01T00:00:00Z'), secret.hidden = true, soup.brand_id = 'kettle & co'
CREATE (soup)-[:MADE_BY {source: 'shop', run: 'plant'}]->(:Brand {id: 'kettle & co', name: 'Kettle & Co'})
CREATE (food:Category {id: 'FOOD', name: 'FOOD', level: 1})
CREATE (drinks:Category {id: 'FOOD > DRINKS', name: 'DRINKS', level: 2})-[:CHILD_OF]->(food)
CREATE (tea)-[:IN_CATEGORY]->(drinks), (soup)-[:IN_CATEGORY]->(food), (bread)-[:IN_CATEGORY]->(food)
CREATE (:Category {id: 'TOOLS', name: 'TOOLS', level: 1})
WITH soup, bread, tea
UNWIND range(0, 11) AS i
CREATE (u:User {id: CASE i WHEN 0 THEN $user ELSE 'u_other' + i END, age: '35-44', source: 'shop', run: 'plant'})
WITH u, i, soup, bread, tea
UNWIND CASE WHEN i < 8 THEN [soup, bread] ELSE [tea] END AS p
CREATE (u)-[:PURCHASED {line_id: u.id + p.id, at: $newest - duration({hours: i + 1}), quantity: 2, amount: 6.5,
                        discount: 0.0, order_id: 'o' + i, source: 'shop', run: 'plant'}]->(p)
"""


@pytest.fixture(scope="session")
def user_id(settings: Settings) -> str:
    """The pseudonym of RAW_USER, who bought soup and bread."""
    return open_pseudonymiser(settings).pseudonym(settings.source, RAW_USER)


@pytest.fixture(scope="module")
def shop(shared_graph: Graph, tmp_path_factory: pytest.TempPathFactory, user_id: str) -> Graph:
    """The planted shop, with what is bought together and popularity derived; a module's tests read the same one."""
    graph = shared_graph
    graph.driver.execute_query(EMPTY, database_=graph.database)
    graph.driver.execute_query(PLANT, database_=graph.database, newest=NEWEST, script=SCRIPT, user=user_id)
    snapshot = export_snapshot(graph, NEWEST, tmp_path_factory.mktemp("snapshots"))
    derive(graph, snapshot, NEWEST)
    return graph


@pytest.fixture(scope="module")
def serving(settings: Settings, shop: Graph) -> Iterator[Serving]:
    found = build_serving(settings)
    yield found
    found.close()


@pytest.fixture
def panel_settings(settings: Settings, tmp_path: Path) -> Settings:
    """Settings whose home is this test's own: no people yet, no broker."""
    return settings.model_copy(update={"home": tmp_path / "panel"})


@pytest.fixture
def app(panel_settings: Settings, serving: Serving) -> Flask:
    return create_app(panel_settings, serving=serving)


SignIn = Callable[..., FlaskClient]
SendForm = Callable[..., TestResponse]


@pytest.fixture
def sign_in(app: Flask) -> SignIn:
    """A browser in which a new person of a role has signed in."""

    def signed_in(role: str = "admin") -> FlaskClient:
        with app.app_context():
            person = add_person(f"{role}@shop.example", role)
        client = app.test_client()
        answer = _send_form(client, "/login", "/login", email=person.email, password=person.password)
        assert answer.status_code == 302
        return client

    return signed_in


@pytest.fixture
def admin(sign_in: SignIn) -> FlaskClient:
    return sign_in("admin")


@pytest.fixture(scope="module")
def reading_app(settings: Settings, serving: Serving, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """One panel for all tests of a module that change nobody's account."""
    return create_app(settings.model_copy(update={"home": tmp_path_factory.mktemp("panel")}), serving=serving)


@pytest.fixture(scope="module")
def reader(reading_app: Flask) -> FlaskClient:
    """A browser in which a viewer has signed in."""
    with reading_app.app_context():
        person = add_person("reader@shop.example", "viewer")
    client = reading_app.test_client()
    _send_form(client, "/login", "/login", email=person.email, password=person.password)
    return client


@pytest.fixture
def send_form() -> SendForm:
    """Sends a form of a page with that page's own token."""
    return _send_form


def _send_form(client: FlaskClient, page: str, address: str, **fields: str) -> TestResponse:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(page).text)
    assert found, f"{page} has no form token"
    return client.post(address, data={**fields, "csrf_token": found.group(1)})
