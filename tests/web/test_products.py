import pytest
from flask.testing import FlaskClient

from shopgraph_web.admin.products import lucene


def test_the_list_has_what_is_on_sale_with_the_popular_first(reader: FlaskClient) -> None:
    text = reader.get("/products/").text
    assert text.index("Dark bread") < text.index("Green tea") < text.index("shop:bad")
    assert text.index("Dry tomato soup") < text.index("Green tea")
    assert "Gone soda" not in text
    assert "Hidden salt" not in text
    assert "2.50 USD" in text


@pytest.mark.parametrize(
    ("asked", "shown", "left_out"),
    [
        ("q=tomato", "Dry tomato soup", "Dark bread"),
        ("q=TOMA", "Dry tomato soup", "Dark bread"),
        ("q=soup tomato", "Dry tomato soup", "Green tea"),
        ("q=shop:tea", "Green tea", "Dark bread"),
        ("q=soda&state=retired", "Gone soda", "Green tea"),
        ("state=retired", "Gone soda", "Dry tomato soup"),
        ("state=hidden", "Hidden salt", "Dry tomato soup"),
        ("category=FOOD", "Dark bread", "Gone soda"),
        ("category=TOOLS", "No product matches", "Dark bread"),
        ("q=no such thing", "No product matches", "Dark bread"),
        ("page=2", "No product matches", "Dark bread"),
        ("page=-1", "Dark bread", "Gone soda"),
    ],
)
def test_search_and_filters(reader: FlaskClient, asked: str, shown: str, left_out: str) -> None:
    answer = reader.get(f"/products/?{asked}")
    assert answer.status_code == 200
    assert shown in answer.text
    assert left_out not in answer.text


@pytest.mark.parametrize("text", ["a AND (", '"', "*", "title:", "~^{}[]", "\\", "OR", "NOT soup", "😀", "soup/"])
def test_no_typed_text_breaks_the_search(reader: FlaskClient, text: str) -> None:
    assert reader.get("/products/", query_string={"q": text}).status_code == 200


def test_typed_words_become_a_lucene_expression_of_all_of_them() -> None:
    assert lucene("Dry SOUP") == "dry AND (soup OR soup*)"
    assert lucene("(dry) && soup:") == "dry AND (soup OR soup*)"
    assert lucene("!?") == '""'


def test_an_unknown_state_is_a_bad_request(reader: FlaskClient) -> None:
    answer = reader.get("/products/?state=sold")
    assert answer.status_code == 400
    assert "is not one of on_sale, hidden, retired" in answer.text


def test_a_product_shows_its_properties_and_relations(reader: FlaskClient) -> None:
    text = reader.get("/products/shop:soup").text
    for fact in (
        "Dry tomato soup",
        "2.50 USD",
        "12 OZ",
        "Kettle &amp; Co",
        "Bought by",
        "Bought together with",
        "Dark bread",
    ):
        assert fact in text, fact
    assert "/nodes/Brand?id=kettle+%26+co" in text


def test_similar_products_come_with_their_reasons(reader: FlaskClient) -> None:
    text = reader.get("/products/shop:soup/similar").text
    assert 'data-product="shop:bread"' in text
    assert 'data-product="shop:soup"' not in text
    assert 'data-product="shop:secret"' not in text
    assert 'class="text-secondary small reason w-100">' in text


def test_a_title_that_is_a_script_is_shown_as_text(reader: FlaskClient) -> None:
    for page in ("/products/", "/products/shop:bad", "/products/?q=alert"):
        text = reader.get(page).text
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text


def test_an_unknown_product_is_a_friendly_404(reader: FlaskClient) -> None:
    answer = reader.get("/products/shop:none")
    assert answer.status_code == 404
    assert "no product has the id" in answer.text
    assert "To the dashboard" in answer.text
