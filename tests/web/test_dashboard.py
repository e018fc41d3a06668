from flask.testing import FlaskClient

from shopgraph.tracking import RunLog
from shopgraph.wiring_serving import Serving


def test_it_shows_counts_sources_and_that_nothing_is_published_yet(reader: FlaskClient) -> None:
    text = reader.get("/").text
    assert '<div class="h2 m-0" data-count="Product">6</div>' in text
    assert '<div class="h2 m-0" data-count="User">12</div>' in text
    assert "20 order lines in all" in text
    assert "Planted shop" in text
    assert "No release yet" in text


def test_purchases_per_week_are_counted_up_to_the_newest(reader: FlaskClient, serving: Serving) -> None:
    assert reader.get("/purchases-by-week.json").json == {"weeks": ["2017-12-19"], "lines": [20]}
    add = """CYPHER 25 MATCH (u:User) WITH u LIMIT 1 MATCH (p:Product {id: 'shop:tea'})
    CREATE (u)-[:PURCHASED {line_id: 'early', at: datetime('2017-12-11T09:00:00Z'), quantity: 1, amount: 1.0}]->(p)"""
    graph = serving.graph
    graph.driver.execute_query(add, database_=graph.database)
    assert reader.get("/purchases-by-week.json").json == {
        "weeks": ["2017-12-05", "2017-12-12", "2017-12-19"],
        "lines": [1, 0, 20],
    }
    graph.driver.execute_query(
        "CYPHER 25 MATCH ()-[r:PURCHASED {line_id: 'early'}]->() DELETE r", database_=graph.database
    )


def test_the_last_runs_show_with_their_error(reader: FlaskClient, serving: Serving) -> None:
    runs = RunLog(serving.graph)
    runs.finish(runs.begin("ingest"), "failed", error="orders.csv:7: <b>quantity</b> is not a number")
    text = reader.get("/").text
    assert "orders.csv:7: &lt;b&gt;quantity&lt;/b&gt; is not a number" in text
